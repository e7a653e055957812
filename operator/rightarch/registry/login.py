"""Logins: the credentials of whoever runs a command, as ``docker login`` and ``podman login`` left them.

For the command line alone: it runs programs that the user's configuration names. Sources: Docker's ``config.json``
(``auths``, ``credHelpers``, ``credsStore``), the protocol of docker-credential-helpers, podman's ``auth.json(5)``.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

import orjson

from rightarch.reference import DOCKER_HUB, Reference
from rightarch.registry.dockerconfig import Entry, key_of, matching, parse_config
from rightarch.registry.keychain import BEARER, IDENTITY, Credential, is_token

HELPER_SECONDS: Final = 20.0
"""How long a credential helper may take: some ask a cloud."""

_HUB: Final = "https://index.docker.io/v1/"
"""The name by which Docker Hub's credentials are stored."""
_HUB_KEYS: Final = frozenset({"index.docker.io", DOCKER_HUB})
_NOT_FOUND: Final = b"credentials not found"
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Login:
    """What a configuration says.

    Attributes:
        entries: credentials that it holds itself.
        helpers: names of credential helpers, by what their registries are called: a host with its port.
        store: the name of the helper for all other registries; empty where there is none.
    """

    entries: tuple[Entry, ...] = ()
    helpers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    store: str = ""

    def helper(self, reference: Reference) -> str:
        """The name of the helper that has the credentials for an image, or empty."""
        keys = _HUB_KEYS if reference.domain == DOCKER_HUB else {reference.domain}
        return next((name for key, name in self.helpers.items() if key in keys), self.store)


def config_file(environment: Mapping[str, str], home: Path) -> Path | None:
    """The first file of credentials that there is: Docker's, else podman's."""
    docker = Path(environment["DOCKER_CONFIG"]) if environment.get("DOCKER_CONFIG") else home / ".docker"
    podman = [home / ".config/containers/auth.json"]
    if environment.get("XDG_RUNTIME_DIR"):
        podman.insert(0, Path(environment["XDG_RUNTIME_DIR"]) / "containers/auth.json")
    if environment.get("REGISTRY_AUTH_FILE"):
        podman.insert(0, Path(environment["REGISTRY_AUTH_FILE"]))
    return next((path for path in (docker / "config.json", *podman) if path.is_file()), None)


def parse(content: bytes) -> Login:
    """Read a configuration.

    Raises:
        Malformed: it is no configuration of credentials.
    """
    entries = parse_config(content)
    document = orjson.loads(content)
    helpers = _texts(document.get("credHelpers"))
    keyed = {key: name for location, name in helpers if (key := key_of(location)) is not None}
    store = document.get("credsStore")
    return Login(
        (*_tokens(document.get("auths")), *entries),
        MappingProxyType(keyed),
        store if isinstance(store, str) else "",
    )


class LoginKeychain:
    """The keychain of whoever runs the command.

    Args:
        login: what the user's configuration says.
        tell: hears, in words for people, of helpers that fail.
    """

    def __init__(self, login: Login, tell: Callable[[str], None]) -> None:
        self._login = login
        self._tell = tell
        self._asked: dict[tuple[str, str], asyncio.Task[Credential | None]] = {}

    @property
    def scope(self) -> str:
        """The user: a command serves one."""
        return "login"

    def serves(self, reference: Reference) -> bool:  # noqa: ARG002 - the protocol's form
        """Every image: nobody else asks."""
        return True

    async def credentials(self, reference: Reference) -> Sequence[Credential]:
        """What the registry's helper gives, then what the configuration holds itself."""
        name = self._login.helper(reference)
        helped = await self._helped(name, reference) if name else None
        return [*([helped] if helped else ()), *matching(self._login.entries, reference)]

    async def _helped(self, name: str, reference: Reference) -> Credential | None:
        """A helper's answer, asked for once: it may open a dialogue, or ask a cloud."""
        server = _HUB if reference.domain == DOCKER_HUB else reference.domain
        task = self._asked.get((name, server))
        if task is None:
            task = self._asked[name, server] = asyncio.create_task(self._ask(name, server))
        return await asyncio.shield(task)

    async def _ask(self, name: str, server: str) -> Credential | None:
        program = f"docker-credential-{name}"
        try:
            status, output = await _run(program, server)
        except TimeoutError:
            self._tell(f"{program} did not answer within {HELPER_SECONDS:g} s: {server} is asked without it")
            return None
        except (OSError, ValueError) as error:
            problem = "is not on the PATH" if isinstance(error, FileNotFoundError) else f"can't be run: {error}"
            self._tell(f"{program}, which the configuration of credentials names, {problem}")
            return None
        if status != 0:
            if _NOT_FOUND not in output:
                self._tell(f"{program} failed for {server}: {_first_line(output)}")
            return None
        credential = _parse_answer(output)
        if credential is None:
            self._tell(f"{program} gave no name and secret for {server}")
        return credential


async def _run(program: str, server: str) -> tuple[int, bytes]:
    """Status and output of a helper that is asked for a server's credentials.

    Raises:
        OSError: it can't be run.
        ValueError: its name can't be a program's.
        TimeoutError: it took too long, and was ended.
    """
    if "/" in program:
        raise ValueError("its name has a slash")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        program, "get", stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(HELPER_SECONDS):
            output, _ = await process.communicate(server.encode())
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode or 0, output


def _parse_answer(output: bytes) -> Credential | None:
    """The credential; a helper says by the user name ``<token>`` that it is an identity token, as Credential does."""
    try:
        answer = orjson.loads(output)
    except orjson.JSONDecodeError:
        return None
    fields = dict(_texts(answer))
    username, secret = fields.get("Username"), fields.get("Secret")
    return Credential(username, secret) if username and secret else None


_TOKENS: Final = {"registrytoken": BEARER, "identitytoken": IDENTITY}
"""The fields of tokens, in the order in which Docker looks for them, and what they are."""


def _tokens(auths: object) -> Iterator[Entry]:
    """The tokens of ``auths``: of entries that have one, Docker uses nothing else."""
    for location, value in auths.items() if isinstance(auths, dict) else ():
        key, given = key_of(location), dict(_texts(value))
        for name, kind in _TOKENS.items():
            if key is not None and (token := given.get(name)) and is_token(token):
                yield Entry(key, Credential(kind, token))


def _texts(value: object) -> Iterator[tuple[str, str]]:
    """The members of an object whose values are text."""
    for name, text in value.items() if isinstance(value, dict) else ():
        if isinstance(text, str):
            yield name, text


def _first_line(output: bytes) -> str:
    text = output.decode(errors="replace").strip().partition("\n")[0][:_SHOWN]
    return "".join(character for character in text if character.isprintable()) or "it said nothing"
