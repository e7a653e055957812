"""What is kept outside of a process answers inside it: without a request, until a registry says otherwise."""

import asyncio
from dataclasses import dataclass, field

import pytest

from rightarch.errors import ImageError
from rightarch.platforms import ImagePlatforms, Platform
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry import ANONYMOUS, AnonymousKeychain, Key, Registry, RegistryOptions
from tests.controlplane import free_port
from tests.images import RegistryServer, attested, index

ANYBODY = AnonymousKeychain()
PLATFORMS = (Platform("linux", "amd64"), Platform("linux", "arm64"))
DAY = 86400.0


@dataclass
class Seen:
    """An observer that writes down what it is told."""

    found_: list[tuple[Key, ImagePlatforms | ImageError]] = field(default_factory=list)
    used_: list[tuple[Key, ImagePlatforms]] = field(default_factory=list)

    def found(self, key: Key, outcome: ImagePlatforms | ImageError) -> None:
        """A look-up ended."""
        self.found_.append((key, outcome))

    def used(self, key: Key, image: ImagePlatforms) -> None:
        """An answer was given."""
        self.used_.append((key, image))


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.now


def client(clock: Clock | None = None) -> tuple[Registry, Seen]:
    """The real client, observed."""
    options = RegistryOptions(allow_loopback=True, lookup_timeout=60)
    registry, seen = Registry(options, clock=clock) if clock else Registry(options), Seen()
    registry.observer = seen
    return registry, seen


async def settled(registry: Registry) -> None:
    """Let the look-ups in flight end."""
    async with asyncio.timeout(60):
        while registry.stats.in_flight:  # noqa: ASYNC110 - nothing tells of the end but this number
            await asyncio.sleep(0.01)


async def test_a_learnt_tag_that_is_fresh_costs_no_request() -> None:
    """Another replica read it just now."""
    registry, _ = client()
    image = ImagePlatforms("sha256:" + "1" * 64, PLATFORMS, indexed=True)
    reference = Reference.parse(f"127.0.0.1:{free_port()}/a:1")
    learnt = registry.learn(reference, ANONYMOUS, image, age=599.0)
    assert registry.known(reference, ANYBODY) is learnt is image
    assert registry.stats.in_flight == 0
    await registry.aclose()


async def test_a_learnt_tag_past_its_time_is_confirmed_by_one_head() -> None:
    """It answers at once, however old, and the registry is asked for its digest alone."""
    with RegistryServer() as server:
        content = attested("linux/amd64", "linux/arm64", salt="learnt")
        server.push("a", "1", content)
        server.forget()
        registry, seen = client()
        image = ImagePlatforms(content.digest, PLATFORMS, indexed=True)
        reference = Reference.parse(f"{server.host}/a:1")
        registry.learn(reference, ANONYMOUS, image, age=30 * DAY)
        for _ in range(3):
            assert registry.known(reference, ANYBODY) is image
        await settled(registry)
        assert registry.known(reference, ANYBODY) is image
        assert [(request.method, request.status) for request in server.requests()] == [("HEAD", 200)]
        assert seen.found_ == [((ANONYMOUS, reference.canonical), image)]
        await registry.aclose()


async def test_a_learnt_answer_ends_a_day_after_a_registry_began_to_fail() -> None:
    """Not a day after it was learnt: an image may rest for long. A success in between begins anew."""
    clock = Clock()
    registry, _ = client(clock)
    image = ImagePlatforms("sha256:" + "1" * 64, PLATFORMS, indexed=True)
    reference = Reference.parse(f"127.0.0.1:{free_port()}/a:1")
    registry.learn(reference, ANONYMOUS, image, age=0.0)
    clock.now += 30 * DAY
    assert registry.known(reference, ANYBODY) is image
    await settled(registry)
    clock.now += DAY - 1
    assert registry.known(reference, ANYBODY) is image
    await settled(registry)
    registry.learn(reference, ANONYMOUS, image, age=40 * DAY)  # an old fact told once more gives no further day
    clock.now += 2
    assert registry.known(reference, ANYBODY) is None
    registry.learn(reference, ANONYMOUS, image, age=0.0)
    assert registry.known(reference, ANYBODY) is image
    await registry.aclose()


async def test_what_is_known_better_here_stays() -> None:
    """A fact that is older than our own look-up does not take its place."""
    with RegistryServer() as server:
        content = attested("linux/amd64", "linux/arm64", salt="new")
        server.push("a", "1", content)
        registry, _ = client()
        reference = Reference.parse(f"{server.host}/a:1")
        ours = await registry.platforms(reference, ANYBODY)
        old = ImagePlatforms("sha256:" + "1" * 64, PLATFORMS[:1], indexed=True)
        assert registry.learn(reference, ANONYMOUS, old, age=60.0) is ours
        assert registry.known(reference, ANYBODY) is ours
        new = registry.learn(reference, ANONYMOUS, old, age=0.0)
        assert registry.known(reference, ANYBODY) is new is old
        await registry.aclose()


async def test_what_is_forgotten_is_read_anew() -> None:
    """Whoever deletes a fact wants it looked up, content and all."""
    with RegistryServer() as server:
        content = attested("linux/amd64", "linux/arm64", salt="wrong")
        server.push("a", "1", content)
        registry, _ = client()
        reference = Reference.parse(f"{server.host}/a:1")
        registry.learn(reference, ANONYMOUS, ImagePlatforms(content.digest, PLATFORMS[:1], indexed=True), age=0.0)
        registry.forget(reference, ANONYMOUS)
        assert registry.known(reference, ANYBODY) is None
        assert await registry.platforms(reference, ANYBODY) == ImagePlatforms(content.digest, PLATFORMS, indexed=True)
        await registry.aclose()


async def test_the_observer_is_told_what_is_found_and_used() -> None:
    """Failures too: they are part of what is known of an image."""
    with RegistryServer() as server:
        content = index(salt="empty")
        server.push("a", "1", content)
        registry, seen = client()
        reference, missing = Reference.parse(f"{server.host}/a:1"), Reference.parse(f"{server.host}/a:2")
        image = await registry.platforms(reference, ANYBODY)
        assert (seen.found_, seen.used_) == ([((ANONYMOUS, reference.canonical), image)], [])
        registry.known(reference, ANYBODY)
        assert seen.used_ == [((ANONYMOUS, reference.canonical), image)]
        with pytest.raises(ImageError):
            await registry.platforms(missing, ANYBODY)
        key, outcome = seen.found_[-1]
        assert key == (ANONYMOUS, missing.canonical)
        assert isinstance(outcome, ImageError)
        assert outcome.reason is Reason.IMAGE_NOT_FOUND
        await registry.aclose()


async def test_the_observer_is_not_told_of_what_is_not_to_be_recorded() -> None:
    """Unless somebody else waits for the same look-up."""
    with RegistryServer() as server:
        server.push("a", "1", index(salt="empty"))
        server.push("b", "1", index(salt="empty"))
        registry, seen = client()
        first, second = Reference.parse(f"{server.host}/a:1"), Reference.parse(f"{server.host}/b:1")
        await registry.platforms(first, ANYBODY, record=False)
        assert registry.known(first, ANYBODY, record=False)
        assert (seen.found_, seen.used_) == ([], [])
        both = registry.platforms(second, ANYBODY, record=False), registry.platforms(second, ANYBODY)
        image, _ = await asyncio.gather(*both)
        assert seen.found_ == [((ANONYMOUS, second.canonical), image)]
        await registry.aclose()
