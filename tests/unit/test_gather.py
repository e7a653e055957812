"""Gathering: every image gets an outcome, by the deadline, and what is known is not waited for."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from rightarch.affinity import Writing
from rightarch.capacity import Capacity
from rightarch.gather import MAX_LOOKUPS, gather, parse, recall
from rightarch.placement import Failure, Input, decide, record
from rightarch.platforms import ImagePlatforms, Platform
from rightarch.policy import Effective, Facts, ImageOverride
from rightarch.reasons import Note, Reason
from rightarch.reference import Reference
from rightarch.registry import ANONYMOUS, AnonymousKeychain, Registry, RegistryOptions
from tests.controlplane import free_port
from tests.support.ticks import Ticks

CAPACITY = Capacity(frozenset({("linux", "amd64")}))
ANYBODY = AnonymousKeychain()
BUDGET = 1.0
PATIENCE = 60.0
"""The budget where it is not what a test is about: refused connections are answered at once."""


@pytest.fixture
async def registry() -> AsyncIterator[Registry]:
    """The real client; the registries that it asks are on loopback."""
    client = Registry(RegistryOptions(allow_loopback=True))
    yield client
    await client.aclose()


@pytest.fixture
def hanging() -> Iterator[str]:
    """A registry that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def pod(*images: str) -> dict[str, Any]:
    """A pod of containers with these images."""
    return {"metadata": {}, "spec": {"containers": [{"name": f"c{i}", "image": im} for i, im in enumerate(images)]}}


def reasons(given: Input) -> dict[str, Reason]:
    """Why each image is not known."""
    return {name: outcome.reason for name, outcome in given.images.items() if isinstance(outcome, Failure)}


async def test_an_image_that_is_not_known_in_time_is_a_failure(registry: Registry, hanging: str) -> None:
    """All are waited for together: two hanging images take one budget, not two, and the look-ups go on."""
    names = f"{hanging}/a:1", f"{hanging}/b:1"
    begun = time.monotonic()
    with Ticks() as ticks:
        given = await gather(pod(*names), CAPACITY, registry, ANYBODY, BUDGET)
    assert time.monotonic() - begun >= BUDGET
    assert ticks.seconds < 1.5 * BUDGET
    assert reasons(given) == dict.fromkeys(names, Reason.TIMED_OUT)
    assert registry.stats.in_flight == 2
    assert given.capacity is CAPACITY


async def test_without_time_nothing_is_waited_for(registry: Registry, hanging: str) -> None:
    """The API server's deadline may leave none; the look-up is begun nevertheless, for the next pod."""
    with Ticks() as ticks:
        given = await gather(pod(f"{hanging}/a:1"), CAPACITY, registry, ANYBODY, 0.0)
    assert ticks.seconds < BUDGET / 2
    assert reasons(given) == {f"{hanging}/a:1": Reason.TIMED_OUT}
    assert registry.stats.in_flight == 1


async def test_a_name_that_does_not_parse_is_a_failure_of_its_own(registry: Registry) -> None:
    """It says nothing about the other images, and nobody is asked for it."""
    gone = f"127.0.0.1:{free_port()}/a:1"
    given = await gather(pod("Not/A/Name", gone), CAPACITY, registry, ANYBODY, PATIENCE)
    assert reasons(given) == {"Not/A/Name": Reason.INVALID_REFERENCE, gone: Reason.REGISTRY_UNREACHABLE}


async def test_what_memory_holds_is_never_waited_for(registry: Registry) -> None:
    """The coroutine ends at its first step: nothing that hangs elsewhere can come between."""
    unreachable = pod(f"127.0.0.1:{free_port()}/a:1")
    await gather(unreachable, CAPACITY, registry, ANYBODY, PATIENCE)
    again = gather(unreachable, CAPACITY, registry, ANYBODY, PATIENCE)
    with pytest.raises(StopIteration) as ended:
        again.send(None)
    assert list(reasons(ended.value.value).values()) == [Reason.REGISTRY_UNREACHABLE]


async def test_nobody_is_asked_for_what_a_policy_states(registry: Registry, hanging: str) -> None:
    """Neither by an admission nor by the controller; the pod's other images are looked up."""
    stated, other = f"{hanging}/stated:1", f"{hanging}/other:1"
    override = ImageOverride(pattern=f"{hanging}/stated", platforms=("linux/arm64", "linux/arm"))
    policy = Effective(facts=Facts(overrides=(override,)))
    given = await gather(pod(stated, other), CAPACITY, registry, ANYBODY, 0.05, policy=policy)
    assert registry.stats.in_flight == 1
    assert given.images[stated] == recall(pod(stated), CAPACITY, registry, ANYBODY, policy).images[stated]
    assert reasons(given) == {other: Reason.TIMED_OUT}
    image = given.images[stated]
    assert isinstance(image, ImagePlatforms)
    assert image.node_architectures("linux") == {"arm64", "arm"}
    assert given.policy is policy


async def test_a_pod_can_not_ask_for_thousands(registry: Registry, hanging: str) -> None:
    """What is beyond the limit counts as not known, and is not looked up."""
    names = [f"{hanging}/a{index}:1" for index in range(MAX_LOOKUPS + 10)]
    given = await gather(pod(*names), CAPACITY, registry, ANYBODY, 0.05)
    assert list(given.images) == names
    assert list(reasons(given).values()).count(Reason.LOOKUP_LIMIT) == 10
    assert registry.stats.in_flight == MAX_LOOKUPS


def test_a_parsed_name_is_remembered_unless_it_is_huge() -> None:
    """Names of a sensible length are parsed once; the memory holds no megabytes."""
    assert parse("nginx:1.27") is parse("nginx:1.27")
    huge = "x" * 100_000
    assert parse(huge) is not parse(huge)


async def test_an_answer_that_could_not_be_confirmed_is_marked(registry: Registry) -> None:
    """What is known stays known while its registry fails, and the decision says so; others are not marked."""
    stays, goes = Reference.parse(f"127.0.0.1:{free_port()}/a:1"), Reference.parse(f"127.0.0.1:{free_port()}/b:1")
    image = ImagePlatforms("sha256:" + "0" * 64, (Platform("linux", "amd64"),), indexed=True)
    registry.learn(stays, ANONYMOUS, image, age=0.0)
    registry.learn(goes, ANONYMOUS, image, age=3600.0)
    both = pod(str(stays), str(goes))
    assert (await gather(both, CAPACITY, registry, ANYBODY, 0.0)).stale == frozenset()
    async with asyncio.timeout(60):
        while registry.stats.in_flight:  # noqa: ASYNC110 - nothing tells of the end but this number
            await asyncio.sleep(0.01)
    given = await gather(both, CAPACITY, registry, ANYBODY, 0.0)
    assert given.stale == {str(goes)}
    decision = decide(given)
    assert decision.notes == (Note.STALE,)
    assert '"notes":["Stale"]' in record(decision, Writing())
    assert decision.warnings == ()
