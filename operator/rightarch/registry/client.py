"""The client: one look-up, from a reference to the platforms of its image.

A generator of requests, without I/O of its own. Sources: OCI distribution specification 1.1, sections on pulling
manifests and blobs; the Docker registry API where registries keep to that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

import httpx
import orjson

from rightarch import manifest
from rightarch.errors import ImageError, UnreadableImage
from rightarch.manifest import Descriptor, Document
from rightarch.platforms import ImagePlatforms
from rightarch.reasons import Reason
from rightarch.reference import Reference, check_digest
from rightarch.registry import failures
from rightarch.registry.authorization import Authorizer, Flow
from rightarch.registry.endpoint import WAY, Endpoint
from rightarch.registry.hosts import Hosts
from rightarch.registry.keychain import Credential
from rightarch.registry.location import locate
from rightarch.registry.sender import PATIENCE
from rightarch.registry.transport import LIMIT, TOO_LARGE

MAX_REDIRECTS: Final = 5
MIRROR_SECONDS: Final = 3.0
"""How long a host is waited for when there is another to ask."""
TAGS: Final = 1000
"""Tags that are asked for at a time; registries may give fewer."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_NO_HEAD: Final = frozenset({405, 501})
_AGENT: Final = "rightarch (+https://rightarch.dev)"
_DIGEST: Final = "docker-content-digest"


class Contents(Protocol):
    """Images whose content is known, by digest."""

    def get(self, key: str, /) -> ImagePlatforms | None:
        """The image, or None."""


class Client:
    """Asks registries, with one credential at a time."""

    def __init__(self, authorizer: Authorizer, contents: Contents, hosts: Hosts) -> None:
        self._authorizer = authorizer
        self._hosts = hosts
        self._contents = contents

    def find(self, reference: Reference, credential: Credential | None, *, confirm: bool) -> Flow[ImagePlatforms]:
        """The platforms of an image.

        With ``confirm``, ask by HEAD first: where the content of the digest is known already, that the registry
        names it is all there is to learn, and registries that count GETs do not count it.

        Raises:
            ImageError: why they can't be told.
        """
        if confirm:
            digest = yield from self._head(reference, credential)
            if digest is not None and (known := self._contents.get(digest)):
                return known
        document = yield from self.document(reference, credential)
        if known := self._contents.get(document.digest):
            return known
        return (yield from self._read(document, reference, credential))

    def _head(self, reference: Reference, credential: Credential | None) -> Flow[str | None]:
        """The digest that a reference stands for; None where the registry does not say it without the content."""
        response = yield from self._ask("HEAD", f"manifests/{reference.identifier}", reference, credential)
        if response.status_code in _NO_HEAD:
            return None
        digest = _stated(response)
        if reference.digest and digest not in {None, reference.digest}:
            raise failures.failed(response.request.url, "answers with another digest than the one that was asked for")
        return reference.digest or digest

    def document(self, reference: Reference, credential: Credential | None) -> Flow[Document]:
        """The manifest or index that a reference stands for, its digest verified.

        Raises:
            ImageError: why it can't be had.
        """
        if reference.digest is None and not self._hosts.of(reference)[0].resolve:
            # what the tag stands for is told by another host than the one that has it first
            digest = yield from self._head(reference, credential)
            reference = replace(reference, digest=digest)
        rest = f"manifests/{reference.identifier}"
        response = yield from self._ask("GET", rest, reference, credential, reference.digest)
        stated = _stated(response)
        _verify(response, stated)
        digest = reference.digest or stated or manifest.digest_of(response.content)
        return Document(response.content, response.headers.get("content-type", ""), digest)

    def _read(self, document: Document, reference: Reference, credential: Credential | None) -> Flow[ImagePlatforms]:
        """Drive the reading of a document, fetching what it asks for."""
        try:
            reading = manifest.read(document)
            wanted = next(reading)
            while True:
                wanted = reading.send((yield from self._part(wanted, reference, credential)))
        except StopIteration as stop:
            platforms: ImagePlatforms = stop.value
            return platforms

    def blob(self, reference: Reference, digest: str, credential: Credential | None) -> Flow[bytes]:
        """A small blob of the reference's repository, such as a configuration; its digest verified.

        Raises:
            ImageError: why it can't be had; MalformedImage where it is larger than any document may be.
        """
        return self._content(f"blobs/{digest}", digest, reference, credential)

    def tags(self, reference: Reference, credential: Credential | None, pages: int) -> Flow[tuple[str, ...]]:
        """The tags of the reference's repository, of so many pages at most.

        Where a page says that there is another one, only what it says of *which* is believed, not of where.

        Raises:
            ImageError: why they can't be had.
        """
        rest, found = f"tags/list?n={TAGS}", []
        for _ in range(pages):
            response = yield from self._ask("GET", rest, reference, credential)
            found += _tags(response)
            if not (query := _next_page(response)):
                break
            rest = f"tags/list?{query}"
        return tuple(dict.fromkeys(found))

    def _part(self, wanted: Descriptor, reference: Reference, credential: Credential | None) -> Flow[bytes]:
        kind = "blobs" if wanted.is_config else "manifests"
        return self._content(f"{kind}/{wanted.digest}", wanted.digest, reference, credential)

    def _content(self, rest: str, digest: str, reference: Reference, credential: Credential | None) -> Flow[bytes]:
        response = yield from self._ask("GET", rest, reference, credential, digest)
        return response.content

    def _ask(
        self, method: str, rest: str, reference: Reference, credential: Credential | None, digest: str | None = None
    ) -> Flow[httpx.Response]:
        """What the first of the registry's endpoints answers that has it, with the digest that is asked for."""
        problems: list[ImageError] = []
        endpoints = self._endpoints(rest, reference)
        for left, endpoint in zip(range(len(endpoints) - 1, -1, -1), endpoints, strict=True):
            request = _request(method, endpoint, reference, rest, patience=MIRROR_SECONDS if left else None)
            ours = credential if endpoint.credentials or endpoint.is_origin(reference) else None
            try:
                response = yield from self._fetch(request, ours)
                if method == "HEAD" and response.status_code in _NO_HEAD:
                    return response
                if error := failures.of_status(response):
                    raise error
                _verify(response, digest)
            except ImageError as error:
                problems.append(error)
            else:
                return response
        raise next((problem for problem in problems if problem.transient), problems[-1])

    def _endpoints(self, rest: str, reference: Reference) -> Sequence[Endpoint]:
        """Those that may be asked; for which tags there are and what they stand for, those alone that may tell."""
        by_tag = (reference.digest is None and rest == f"manifests/{reference.identifier}") or rest.startswith("tags/")
        found = [each for each in self._hosts.of(reference) if each.pull and (each.resolve or not by_tag)]
        if not found:
            text = f"no host that is configured for {reference.domain} may be asked for it"
            raise UnreadableImage(Reason.IMAGE_NOT_FOUND, text)
        return found

    def _fetch(self, request: httpx.Request, credential: Credential | None) -> Flow[httpx.Response]:
        """Send a request and follow its redirects; each hop is authorized by itself, by what its own host may see."""
        origin = request.url
        for _ in range(MAX_REDIRECTS + 1):
            ours = credential if _same(request.url, origin) else None
            response = yield from self._authorizer.send(request, ours)
            location = response.headers.get("location")
            if response.status_code not in _REDIRECTS or not location:
                return response
            request = _redirected(request, location)
        raise failures.failed(origin, f"redirects more than {MAX_REDIRECTS} times")


def _request(
    method: str, endpoint: Endpoint, reference: Reference, rest: str, *, patience: float | None
) -> httpx.Request:
    """A request to an endpoint, with what is meant for that host alone."""
    extensions: dict[str, Any] = {LIMIT: manifest.MAX_BYTES, TOO_LARGE: Reason.MALFORMED_IMAGE}
    extensions |= {WAY: endpoint.way, PATIENCE: patience}
    headers = {**dict(endpoint.headers), **_HEADERS}
    return httpx.Request(method, endpoint.locate(reference, rest), headers=headers, extensions=extensions)


_HEADERS: Final[Mapping[str, str]] = {
    "accept": manifest.ACCEPT,
    "accept-encoding": "identity",
    "user-agent": _AGENT,
}


def _redirected(request: httpx.Request, location: str) -> httpx.Request:
    """The request to where an answer points, without its authorization, nor elsewhere what was meant for its host."""
    url = locate(location, request.url)
    if url is None:
        raise failures.failed(request.url, "redirects to what is no URL of the web")
    same = _same(url, request.url)
    kept = {**request.extensions, WAY: request.extensions[WAY] if same else None}
    headers = {name: value for name, value in request.headers.items() if name != "authorization"} if same else _HEADERS
    return httpx.Request(request.method, url, headers=headers, extensions=kept)


def _tags(response: httpx.Response) -> list[str]:
    """The tags of a page; Artifactory and others say null for none."""
    try:
        tags = orjson.loads(response.content)["tags"] or []
    except (orjson.JSONDecodeError, KeyError, TypeError):
        tags = None
    if not isinstance(tags, list):
        raise failures.failed(response.request.url, "answers with what is no list of tags")
    return [tag for tag in tags if isinstance(tag, str)]


def _next_page(response: httpx.Response) -> str:
    """The query by which an answer's next page is asked for; empty where there is none."""
    try:
        return httpx.URL(response.links.get("next", {}).get("url", "")).query.decode()
    except (httpx.InvalidURL, UnicodeDecodeError):
        return ""


def _same(url: httpx.URL, other: httpx.URL) -> bool:
    return (url.scheme, url.netloc) == (other.scheme, other.netloc)


def _stated(response: httpx.Response) -> str | None:
    """The digest that the registry states, if it states one."""
    digest = response.headers.get(_DIGEST)
    return None if digest is None or check_digest(digest) else digest


def _verify(response: httpx.Response, digest: str | None) -> None:
    if digest is not None and manifest.digest_of(response.content, digest) != digest:
        problem = f"sent content that does not have its digest {digest}: something between damages or replaces it"
        raise failures.failed(response.request.url, problem)
