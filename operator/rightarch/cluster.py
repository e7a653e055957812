"""The API server, through the official client: raw dicts in and out.

The client's typed models drop the fields that they don't know and refuse replies that lack others, so its models are
not used: only its configuration, authentication and connections.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from socket import SOCK_STREAM
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

import orjson
from kubernetes.aio import config as loading
from kubernetes.aio.client import ApiClient, Configuration

from rightarch.errors import RightarchError, SettingsError
from rightarch.kubeconfig import check
from rightarch.lines import lines

NODES: Final = "/api/v1/nodes"
ALIVE: Final = "status.phase!=Succeeded,status.phase!=Failed"
"""The field selector of pods that have not ended."""

PAGE: Final = 500
"""Objects per page of a list."""
LIST_SECONDS: Final = 60
WRITE_SECONDS: Final = 15
"""How long reading or changing one object may take."""
WATCH_SECONDS: Final = 270
"""How long the API server is asked to keep a watch open; it is then resumed where it ended."""
WATCH_SLACK: Final = 15
"""How long its end is waited for: a connection that died without a word tells nothing of it."""
_AS: Final = "application/json;as={};g=meta.k8s.io;v=v1"
_METADATA_LIST: Final = _AS.format("PartialObjectMetadataList")
_METADATA: Final = _AS.format("PartialObjectMetadata")
_JSON: Final = "application/json"

Patch = Literal["json-patch", "merge-patch"]
"""How a change is written: as operations, or as the parts of the object that change."""

_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_SUCCESS: Final = frozenset({200, 201})

log = logging.getLogger(__name__)

Object = Mapping[str, Any]


class ClusterError(RightarchError):
    """The API server refused a request, or ended a watch with an error.

    Attributes:
        status: the HTTP status; 410 where a resourceVersion is too old to go on from.
        reason: what the API server says.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"the API server answered {status}: {message}")
        self.status, self.reason = status, message


@dataclass(frozen=True, slots=True)
class Access:
    """How the API server is reached, for a library that has connections of its own.

    Attributes:
        server: its base URL.
        ca_file: certificates of the authorities to trust, PEM; None for the public ones.
        verify: whether its certificate is checked.
        cert_file: a client certificate, PEM, or None.
        key_file: the key of the client certificate.
        authorization: the value of the header of that name, or None.
        proxy: the URL of an HTTP proxy, or None.
    """

    server: str
    ca_file: str | None
    verify: bool
    cert_file: str | None
    key_file: str | None
    authorization: str | None = field(repr=False)
    proxy: str | None


class Cluster:
    """One API server; make one by ``connect``, end it by ``aclose``.

    Attributes:
        requests: requests that were sent, by the API server's own verb and by the class of the answer's status
            (``2xx``…) or ``error``.
    """

    def __init__(self, client: ApiClient) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self._client = client

    @classmethod
    async def connect(cls, kubeconfig: Path | None, context: str | None = None) -> Self:
        """Prepare to talk to the API server; no request is made.

        Args:
            kubeconfig: whose context is taken; None for the account of the pod that this process runs in.
            context: its name; None for the current one.

        Raises:
            SettingsError: the kubeconfig can't be used, or there is no such account.
        """
        configuration = Configuration()
        try:
            if kubeconfig is None:
                loading.load_incluster_config(configuration)  # type: ignore[no-untyped-call] # the client's own gap
            else:
                await asyncio.to_thread(check, kubeconfig, context)
                await loading.load_kube_config(  # type: ignore[no-untyped-call] # likewise
                    str(kubeconfig), context, client_configuration=configuration, persist_config=False
                )
            client = ApiClient(configuration)
        except Exception as error:  # the client meets what it did not expect with any of them
            raise SettingsError(_unusable(kubeconfig, error)) from error
        client.user_agent = f"rightarch/{version('rightarch')}"
        return cls(client)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call] # likewise

    async def endpoints(self) -> frozenset[tuple[str, int]]:
        """The IP addresses and ports at which the API server is reached; none while its name does not resolve."""
        url = urlsplit(self._client.configuration.host)
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(url.hostname, port, type=SOCK_STREAM)
        except OSError:
            return frozenset()
        return frozenset((str(address[4][0]), port) for address in found)

    async def read(self, path: str) -> dict[str, Any]:
        """The object at a path, whole.

        Raises:
            ClusterError: with status 404 where there is none.
        """
        async with self._request("GET", path, {}, _JSON, WRITE_SECONDS) as response:
            found: dict[str, Any] = orjson.loads(await response.read())
            return found

    async def create(self, collection: str, thing: Object) -> dict[str, Any]:
        """Create an object, and return it as it was stored.

        Raises:
            ClusterError: with status 409 where there is one of that name.
        """
        return await self._send("POST", collection, thing)

    async def replace(self, path: str, thing: Object) -> dict[str, Any]:
        """Put an object in the place of the one at a path, and return it as it was stored.

        Raises:
            ClusterError: with status 409 where its ``metadata.resourceVersion`` is not the stored one's any more.
        """
        return await self._send("PUT", path, thing)

    async def patch(self, path: str, form: Patch, change: object) -> dict[str, Any]:
        """Change the object at a path, and return what it became.

        Args:
            path: the object's own.
            form: how the change is written.
            change: a list of operations, or parts of the object; ``metadata.resourceVersion`` in it is a condition.

        Raises:
            ClusterError: with status 409 where a merge's resourceVersion is not the object's any more, 422 where an
                operation's test failed.
        """
        content = f"application/{form}+json"
        async with self._request("PATCH", path, {}, _JSON, WRITE_SECONDS, content=content, body=change) as response:
            changed: dict[str, Any] = orjson.loads(await response.read())
            return changed

    async def delete(self, path: str) -> None:
        """Delete the object at a path.

        Raises:
            ClusterError: with status 404 where there is none.
        """
        async with self._request("DELETE", path, {}, _JSON, WRITE_SECONDS):
            return

    async def pages(
        self, path: str, query: Mapping[str, object] | None = None, *, metadata: bool = False
    ) -> AsyncGenerator[tuple[list[Object], str], None]:
        """The objects of a collection, a page at a time, each page with the list's resourceVersion.

        Args:
            path: the collection.
            query: selectors.
            metadata: whether the objects' metadata alone is asked for.

        Raises:
            ClusterError: with status 410 where the pages were read too slowly to go on.
        """
        asked: dict[str, object] = {**(query or {}), "limit": PAGE}
        while True:
            page = await self._get(path, asked, _METADATA_LIST if metadata else _JSON)
            yield page["items"] or [], page["metadata"]["resourceVersion"]  # none are null where metadata is asked for
            if not (token := page["metadata"].get("continue")):
                return
            asked["continue"] = token

    async def watch(
        self, path: str, resource_version: str, selectors: Mapping[str, object] | None = None, *, metadata: bool = False
    ) -> AsyncGenerator[tuple[str, Object], None]:
        """The changes of a collection, or of what selectors leave of it, since a resourceVersion, as (type, object).

        Ends when the API server ends the watch, as it regularly does. Bookmarks are among the events.

        Raises:
            ClusterError: with status 410 where the collection must be listed again.
        """
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": WATCH_SECONDS,
        } | dict(selectors or {})
        accept = _METADATA if metadata else _JSON
        async with self._request("GET", path, query, accept, WATCH_SECONDS + WATCH_SLACK) as response:
            async for line in lines(response.content.iter_any()):
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    raise ClusterError(event["object"].get("code", 500), event["object"].get("message", ""))
                yield event["type"], event["object"]

    async def access(self) -> Access:
        """How the API server is reached, with credentials that are fresh now."""
        used = self._client.configuration
        authorization = await used.get_api_key_with_prefix("BearerToken")
        return Access(
            used.host, used.ssl_ca_cert, used.verify_ssl, used.cert_file, used.key_file, authorization, used.proxy
        )

    async def _get(self, path: str, query: Mapping[str, object], accept: str) -> Any:  # noqa: ANN401 - JSON
        async with self._request("GET", path, query, accept, LIST_SECONDS) as response:
            return orjson.loads(await response.read())

    async def _send(self, method: str, path: str, thing: Object) -> dict[str, Any]:
        async with self._request(method, path, {}, _JSON, WRITE_SECONDS, body=thing) as response:
            stored: dict[str, Any] = orjson.loads(await response.read())
            return stored

    @asynccontextmanager
    async def _request(  # noqa: PLR0913 - the parts of a request; the last two are those of one with a body
        self,
        method: str,
        path: str,
        query: Mapping[str, object],
        accept: str,
        seconds: float,
        *,
        content: str = _JSON,
        body: object = None,
    ) -> AsyncIterator[Any]:
        """The raw response of a request that succeeded; ``seconds`` bounds it as a whole."""
        parts = await self._client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": accept, "Content-Type": content},
            body=body,
            auth_settings=["BearerToken"],
        )
        verb = _verb(method, query)
        try:
            response = (await self._client.call_api(*parts, _request_timeout=seconds)).response
        except BaseException:
            self.requests[verb, "error"] += 1
            raise
        self.requests[verb, f"{response.status // 100}xx"] += 1
        async with response:
            if response.status not in _SUCCESS:
                raise ClusterError(response.status, _message(await response.content.read(4096)))
            yield response


def _verb(method: str, query: Mapping[str, object]) -> str:
    """What the API server calls a request."""
    if method == "GET":
        return "watch" if "watch" in query else "list" if "limit" in query else "get"
    return _VERBS[method]


def named(name: str | None) -> dict[str, object]:
    """The selector of one object by its name; none for None."""
    return {} if name is None else {"fieldSelector": f"metadata.name={name}"}


def _message(body: bytes) -> str:
    """What a Status says, as far as one can be read."""
    try:
        return str(orjson.loads(body)["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "no reason was given"


def _unusable(kubeconfig: Path | None, error: Exception) -> str:
    known = isinstance(error, loading.ConfigException | OSError | ValueError)
    said = " ".join((str(error) if known else f"{type(error).__name__}: {error}").split())
    if kubeconfig is None:
        return f"no --kubeconfig is given and this is no pod of a cluster ({said}); name a kubeconfig"
    return f"--kubeconfig {kubeconfig}: {said}; name a kubeconfig with a usable current context"
