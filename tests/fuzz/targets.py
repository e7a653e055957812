"""Targets: the parsers, and what must hold whatever they are given."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Any

import httpx

from rightarch import contents, manifest
from rightarch.errors import ImageError, InvalidReference
from rightarch.manifest import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Document
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry import challenge, dockerconfig, failures, location, login
from rightarch.registry.dockerconfig import Malformed
from tests.images import Entry, artifact, attested, index, single

from . import mutation

if TYPE_CHECKING:
    from collections.abc import Callable

HEX = "0123456789abcdef" * 4
REFERENCES = [
    "nginx", "nginx:1.27", "bitnami/redis", "docker.io/nginx", "index.docker.io/a/b:c", "localhost/app",
    "localhost:5000/app:2", "[::1]:5000/a:b", "[2001:DB8::1]/a", "Registry/app", "10.0.0.1/app", "a__b/c---d.e_f",
    f"app@sha256:{HEX}", f"ghcr.io/a/b:1@sha512:{HEX * 2}", "host:443/a", "a/" + "b" * 250, HEX, "xn--n3h.com/app",
]  # fmt: skip
CHALLENGES = [
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
    'Basic realm="a, b", Bearer realm="https://t/", error="insufficient_scope"',
    'Negotiate YWJj==, Basic realm="x\\"y"',
    "  Bearer   realm = r ,, service\t=\ts ",
]
WAITS = [
    "120",
    "0",
    "Wed, 21 Oct 2026 07:28:00 GMT",
    "Wednesday, 21-Oct-26 07:28:00 GMT",
    "Wed Oct 21 07:28:00 2026",
    "",
]
LOCATIONS = [
    "https://host.example/v2/a?x=y#z", "/v2/token", "//host/x", "http://[::1]:80/", "https://user:pass@host:443/a",
    "https://xn--n3h.com/", "http://1.2.3.4:65536/", "ftp://x", "https://é.com/",
]  # fmt: skip
CONFIGS = [
    '{"auths": {"https://index.docker.io/v1/": {"auth": "YTpi"}, "*.io:5000/a": {"username": "a", "password": "b"}}}',
    '{"auths": {"[::1]:5000": {"auth": "YTpi", "identitytoken": "t"}}, "credHelpers": {"a": "x"}, "credsStore": "y"}',
    '{"a.io": {"auth": "YTpi"}}',
]
IMAGES = [
    attested("linux/amd64", "linux/arm64/v8", salt="fuzz"),
    index(Entry(index(Entry(single("linux/amd64", "fuzz"), "linux/amd64")))),
    index(Entry(single("linux/arm", "fuzz", docker=True)), docker=True),
    single("linux/s390x", "fuzz"),
    single("linux/s390x", "fuzz", inline=True),
    artifact("fuzz"),
]
DOCUMENTS = [each.body.decode() for image in IMAGES for each in (image.root, *image.manifests)]
ANSWERS = [*DOCUMENTS, '{"os": "linux", "architecture": "arm64", "variant": "v8"}', '{"architecture": "x86_64"}']
MEDIA_TYPES = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST, "", "text/plain", f"{OCI_INDEX}; charset=utf-8"]
MALFORMED = {Reason.NOT_AN_IMAGE, Reason.MALFORMED_IMAGE}


@dataclass(frozen=True)
class Fuzzed:
    """How many runs there were, how many of them were sense, and the seconds that they took."""

    runs: int
    accepted: int
    seconds: float


def fuzz(name: str, runs: int, seed: int) -> Fuzzed:
    """Run a target on so many inputs.

    Raises:
        AssertionError: with the seed and the number of the run, which make its input again.
    """
    target, begun, accepted = TARGETS[name], perf_counter(), 0
    for number in range(runs):
        try:
            accepted += target(Random(f"{seed} {number}"))
        except Exception as error:
            raise AssertionError(f"{name}, seed {seed}, run {number}: {error!r}") from error
    return Fuzzed(runs, accepted, perf_counter() - begun)


def _reference(random: Random) -> bool:
    """A reference, or an InvalidReference that points into the text; the canonical form is a fixed point."""
    text = mutation.text(random, REFERENCES)
    try:
        found = Reference.parse(text)
    except InvalidReference as error:
        if not 0 <= error.position <= len(text):
            raise
        return False
    assert Reference.parse(str(found)) == found, text
    assert Reference.parse(found.canonical).canonical == found.canonical, text
    return True


def _manifest(random: Random) -> bool:
    """Platforms in normal form, or an ImageError of a Reason that documents can have; also for people."""
    body = mutation.document(random, DOCUMENTS)
    document = Document(body, random.choice(MEDIA_TYPES), manifest.digest_of(body))
    with suppress(ImageError):
        parsed = contents.parse(document)
        assert sum(parsed.sizes.values()) >= 0
        assert parsed.root.digest == document.digest
    try:
        platforms = _read(random, document)
    except ImageError as error:
        if error.reason not in MALFORMED:
            raise
        return False
    assert all(platform.known for platform in platforms), body
    return True


def _read(random: Random, document: Document) -> Any:  # noqa: ANN401 - a tuple of platforms
    reading = manifest.read(document)
    try:
        next(reading)
        while True:
            reading.send(mutation.document(random, ANSWERS))
    except StopIteration as stop:
        return stop.value.platforms


def _challenge(random: Random) -> bool:
    """Challenges with names in lower case; one to answer is Basic or has a realm."""
    headers = [mutation.text(random, CHALLENGES) for _ in range(random.randrange(3))]
    found = challenge.parse(headers)
    assert all(each.scheme == each.scheme.lower() for each in found), headers
    chosen = challenge.choose(found)
    assert chosen is None or chosen.scheme == "basic" or chosen.realm, headers
    return chosen is not None


def _retry_after(random: Random) -> bool:
    """A wait within its bounds, or none."""
    value = mutation.text(random, WAITS).encode(errors="surrogatepass")
    request = httpx.Request("GET", "https://registry.example/v2/")
    error = failures.of_status(httpx.Response(429, headers=[(b"Retry-After", value)], request=request))
    assert error is not None, value
    assert error.retry_after is None or 0 < error.retry_after <= failures.MAX_RETRY_AFTER, value
    return error.retry_after is not None


def _location(random: Random) -> bool:
    """A URL of the web without userinfo, or none."""
    text = mutation.text(random, LOCATIONS)
    base = httpx.URL("https://registry.example/v2/") if random.random() < 0.5 else None
    found = location.locate(text, base)
    if found is None:
        return False
    assert found.scheme in {"http", "https"}, text
    assert found.host, text
    assert not found.userinfo, text
    return True


def _docker_config(random: Random) -> bool:
    """Credentials of text, or Malformed; matching any image with any key raises nothing."""
    body = mutation.document(random, CONFIGS)
    with suppress(ImageError):
        reference = Reference.parse(mutation.text(random, REFERENCES))
        key = mutation.text(random, ["*.example.com:5000/a", "[::1]:5000", "a.io", "https://index.docker.io/v1/"])
        dockerconfig.matches(key.encode(errors="replace").decode(), reference)  # JSON has no lone surrogates
        with suppress(Malformed):
            dockerconfig.matching(dockerconfig.parse_legacy(body), reference)
    try:
        found = login.parse(body)
    except Malformed:
        return False
    for entry in (*found.entries, *dockerconfig.parse_config(body)):
        assert isinstance(entry.credential.username, str), body
        assert isinstance(entry.credential.password, str), body
    return True


TARGETS: dict[str, Callable[[Random], bool]] = {
    "references": _reference,
    "manifests": _manifest,
    "challenges": _challenge,
    "retry-after": _retry_after,
    "locations": _location,
    "docker-config": _docker_config,
}
