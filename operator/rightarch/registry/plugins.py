"""Plugins: credential providers of the kubelet's kind, run as programs from folders that the administrator mounts.

Source: ``CredentialProviderRequest`` and ``CredentialProviderResponse`` of ``credentialprovider.kubelet.k8s.io/v1``,
and how the kubelet of Kubernetes 1.36 runs and remembers providers (``pkg/credentialprovider/plugin/plugin.go``).
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, cast

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from rightarch.durations import seconds
from rightarch.errors import UnresolvedImage
from rightarch.logs import fields
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry.dockerconfig import Entry, key_of, matching
from rightarch.registry.keychain import CLUSTER, Credential
from rightarch.registry.memory import Recent
from rightarch.registry.providers import API_VERSION, Provider

PLUGIN_SECONDS: Final = 8.0
"""How long a plugin may take: less than a look-up, which is what the kubelet's minute is not."""
MAX_OUTPUT: Final = 256 * 1024
MAX_PROCESSES: Final = 8
"""Processes of one plugin at a time."""
_REMEMBERED: Final = 1024

log = logging.getLogger(__name__)


class PluginError(Exception):
    """A plugin gave no answer that can be used. The text has nothing of what it said."""


class _Auth(BaseModel):
    username: str = ""
    password: str = Field(default="", repr=False)


class _Response(BaseModel):
    """What a plugin answers. Unlike a configuration, it may say more than is known."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, hide_input_in_errors=True)

    api_version: Literal["credentialprovider.kubelet.k8s.io/v1"]
    kind: Literal["CredentialProviderResponse"]
    cache_key_type: Literal["Image", "Registry", "Global"]
    cache_duration: float | None = None
    auth: dict[str, _Auth] | None = Field(default=None, repr=False)

    @field_validator("cache_duration", mode="before")
    @classmethod
    def _duration(cls, value: object) -> float | None:
        found = seconds(value) if isinstance(value, str) else None
        if found is None and value is not None:
            raise ValueError("a duration is written 12h, 30m or 0s")
        return found

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The credentials, by the keys that they are for."""
        keyed = ((key_of(location), auth) for location, auth in (self.auth or {}).items())
        found = ((key, Credential(auth.username, auth.password)) for key, auth in keyed if key and auth.username)
        return tuple(Entry(key, credential) for key, credential in found)


@dataclass(frozen=True, slots=True)
class _Held:
    entries: tuple[Entry, ...]
    until: float


class Plugins:
    """The keychain of all configured plugins, whose credentials are matched together, as the kubelet does it.

    Args:
        providers: what is configured.
        folder: of the programs.
        clock: in seconds, for what is remembered.

    Attributes:
        scope: of the cluster, as what the nodes' own plugins give is for all of a node's pods.
    """

    scope: str = CLUSTER

    def __init__(
        self, providers: Sequence[Provider], folder: Path, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._plugins = [_Plugin(provider, folder, clock) for provider in providers]
        self._asked = lru_cache(_REMEMBERED)(self._matching)  # each admission asks, and matching takes its time

    def serves(self, reference: Reference) -> bool:
        """Those that the configuration of a plugin matches."""
        return bool(self._asked(Reference(reference.domain, reference.path)))

    async def credentials(self, reference: Reference) -> Sequence[Credential]:
        """What the plugins that serve the image's registry give.

        Raises:
            UnresolvedImage: one of them fails, and what the others give is nothing.
        """
        asked = self._asked(Reference(reference.domain, reference.path))
        answers = await asyncio.gather(*(plugin.entries(reference) for plugin in asked))
        found = matching((entry for entries in answers for entry in entries or ()), reference)
        if not found and any(entries is None for entries in answers):
            raise UnresolvedImage(Reason.UNRESOLVED, "a credential provider failed; it is asked again")
        return found

    def _matching(self, image: Reference) -> tuple["_Plugin", ...]:
        return tuple(plugin for plugin in self._plugins if plugin.provider.serves(image))


class _Plugin:
    """One plugin, and what it answered."""

    def __init__(self, provider: Provider, folder: Path, clock: Callable[[], float]) -> None:
        self.provider = provider
        self._program, self._clock = folder / provider.name, clock
        self._held: Recent[str, _Held] = Recent(_REMEMBERED)
        self._asked: dict[str, asyncio.Task[tuple[Entry, ...] | None]] = {}
        self._room = asyncio.Semaphore(MAX_PROCESSES)
        self._failing = False

    async def entries(self, reference: Reference) -> tuple[Entry, ...] | None:
        """Its credentials for an image and perhaps others; None where it fails."""
        if (held := self._remembered(reference)) is not None:
            return held
        task = self._asked.get(reference.name)
        if task is None:
            task = self._asked[reference.name] = asyncio.create_task(self._ask(reference))
            task.add_done_callback(lambda _: self._asked.pop(reference.name))
        await asyncio.wait([task])  # unlike awaiting the task, this leaves it to the others when it is cancelled
        return task.result()

    def _remembered(self, reference: Reference) -> tuple[Entry, ...] | None:
        now = self._clock()
        for key in _keys(reference).values():
            held = self._held.get(key)
            if held is not None and now <= held.until:
                return held.entries
        return None

    async def _ask(self, reference: Reference) -> tuple[Entry, ...] | None:
        try:
            async with self._room:
                response = _parse(await _run(self._program, self.provider, reference))
        except PluginError as error:
            log.log(
                logging.DEBUG if self._failing else logging.WARNING,
                "a credential provider failed",
                extra=fields(plugin=self.provider.name, image=reference.name, problem=str(error)),
            )
            self._failing = True
            return None
        self._failing = False
        self._remember(reference, response)
        return response.entries

    def _remember(self, reference: Reference, response: _Response) -> None:
        given = response.cache_duration
        life = self.provider.default_cache_duration if given is None else given
        if life > 0:
            key = _keys(reference)[response.cache_key_type]
            self._held.put(key, _Held(response.entries, self._clock() + life))


def _keys(reference: Reference) -> Mapping[str, str]:
    """By which key each type of answer is remembered, from the narrow to the wide. No image is called ``*``."""
    return {"Image": reference.name, "Registry": reference.domain, "Global": "*"}


class _Conversation(asyncio.SubprocessProtocol):
    """What a process says.

    Attributes:
        output: so far.
        ended: done when the process has ended and nobody can say more; or fails, when it has said too much.
        exited: set when the process has ended.
    """

    def __init__(self) -> None:
        self.output = bytearray()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.exited = asyncio.Event()
        self._said_all = False

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 - there is one pipe to read
        """Take what it says."""
        self.output += data
        if len(self.output) > MAX_OUTPUT and not self.ended.done():
            self.ended.set_exception(PluginError(f"it said more than {MAX_OUTPUT} bytes"))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002 - an end is an end
        """Note the end of a pipe: it need not read all that it is told."""
        self._said_all = self._said_all or fd == 1
        self._look()

    def process_exited(self) -> None:
        """Note the end of the process."""
        self.exited.set()
        self._look()

    def _look(self) -> None:
        if self._said_all and self.exited.is_set() and not self.ended.done():
            self.ended.set_result(None)


async def _run(program: Path, provider: Provider, reference: Reference) -> bytes:
    """The output of a plugin that is asked for an image, by its name without tag and digest.

    Raises:
        PluginError: it failed, took too long, or said too much.
    """
    request = {"apiVersion": API_VERSION, "kind": "CredentialProviderRequest", "image": reference.name}
    try:
        async with asyncio.timeout(PLUGIN_SECONDS):
            transport, conversation = await asyncio.get_running_loop().subprocess_exec(
                _Conversation,
                program,
                *provider.args,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,  # it may say there what it should keep
                env={**os.environ, **{each.name: each.value for each in provider.env}},
                start_new_session=True,  # so that its children end with it
            )
            try:
                return await _talk(transport, conversation, orjson.dumps(request))
            finally:
                await _end(transport, conversation)
    except TimeoutError:
        raise PluginError(f"it did not answer within {PLUGIN_SECONDS:g} s") from None
    except OSError as error:
        raise PluginError(f"it can't be run: {error.strerror}") from None


async def _talk(transport: asyncio.SubprocessTransport, conversation: _Conversation, request: bytes) -> bytes:
    stdin = cast("asyncio.WriteTransport", transport.get_pipe_transport(0))
    with suppress(RuntimeError):  # uvloop's, of a pipe that is closed already: a program may end without reading
        stdin.write(request)
        stdin.close()
    await conversation.ended
    if status := transport.get_returncode():
        raise PluginError(f"it ended with status {status}")
    return bytes(conversation.output)


async def _end(transport: asyncio.SubprocessTransport, conversation: _Conversation) -> None:
    """End the process and its children, whatever became of it, and close its pipes, whoever holds on to them."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(transport.get_pid(), signal.SIGKILL)
    await conversation.exited.wait()  # first: closing a transport takes the status of a process from who waits for it
    transport.close()


def _parse(output: bytes) -> _Response:
    try:
        content: Any = orjson.loads(output)
        return _Response.model_validate(content)
    except orjson.JSONDecodeError:
        problem = "its answer is not JSON"
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        problem = f"its answer is not as it should be at {'.'.join(map(str, first['loc'][:1])) or 'its root'}"
    raise PluginError(problem)
