"""Events: what is said about whom, once an hour, and never so that somebody waits."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from rightarch.cluster import ClusterError
from rightarch.events import MAX_OF_ONE, MAX_WAITING, Event, Events, Regarding, name_of, owner_of
from tests.support.ticks import Ticks

if TYPE_CHECKING:
    from rightarch.cluster import Cluster

WEB = Regarding("apps/v1", "Deployment", "shop", "web")
TOLD = Event("Admit", "NoCommonArchitecture", "because", warns=True)


def pod(kind: str, name: str, *, hash_: str = "", controller: bool = True) -> dict[str, Any]:
    """A pod that somebody owns."""
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "u", "controller": controller}
    return {"metadata": {"ownerReferences": [owner], "labels": {"pod-template-hash": hash_} if hash_ else {}}}


@pytest.mark.parametrize(
    ("given", "owner"),
    [
        (pod("ReplicaSet", "web-7c9d6f", hash_="7c9d6f"), WEB),
        (pod("ReplicaSet", "web-7c9d6f"), Regarding("apps/v1", "ReplicaSet", "shop", "web-7c9d6f", "u")),
        (
            pod("ReplicaSet", "web-7c9d6f", hash_="9d6f"),
            Regarding("apps/v1", "ReplicaSet", "shop", "web-7c9d6f", "u"),
        ),
        (pod("StatefulSet", "db", hash_="x"), Regarding("apps/v1", "StatefulSet", "shop", "db", "u")),
        (pod("StatefulSet", "db", controller=False), None),
        ({"metadata": {"name": "bare", "uid": "u"}}, Regarding("v1", "Pod", "shop", "bare", "u")),
        ({"metadata": {"generateName": "bare-"}}, None),
    ],
)
def test_who_answers_for_a_pod(given: dict[str, Any], owner: Regarding | None) -> None:
    """Its controller; a Deployment where the ReplicaSet's name and the pod's label say so, and only then."""
    assert owner_of(given, "shop") == owner


def test_names_are_those_that_every_replica_makes() -> None:
    """Of owner, Reason and hour alone: not of the note, nor of the UID, which not everybody knows."""
    hour = 1_000_000
    assert name_of(WEB, "Unresolved", hour) == "web.2049452b5e0bec7d"
    others = {
        name_of(WEB, "ImageNotFound", hour),
        name_of(WEB, "Unresolved", hour + 1),
        name_of(Regarding("apps/v1", "DaemonSet", "shop", "web"), "Unresolved", hour),
        name_of(Regarding("apps/v1", "Deployment", "other", "web"), "Unresolved", hour),
    }
    assert len(others | {name_of(WEB, "Unresolved", hour)}) == 5


class Slow:
    """A cluster that takes its time, and answers as it is told."""

    def __init__(self, status: int | None = None) -> None:
        self.taken: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._status = status

    async def create(self, path: str, thing: dict[str, Any]) -> dict[str, Any]:
        """Take an Event."""
        assert path == f"/apis/events.k8s.io/v1/namespaces/{thing['metadata']['namespace']}/events"
        self.taken.put_nowait(thing)
        if self._status is not None:
            raise ClusterError(self._status, "no")
        return thing


async def test_what_is_said_is_written_once_and_later() -> None:
    """In order, however often it is said in the hour; whoever says it does not wait."""
    cluster = Slow()
    events = Events(cast("Cluster", cluster), "pod-1")
    for _ in range(1000):
        events.say(WEB, TOLD)
    assert cluster.taken.empty()
    writing = asyncio.create_task(events.run())
    written = await cluster.taken.get()
    await asyncio.sleep(0.3)
    writing.cancel()
    assert cluster.taken.empty()
    assert written["regarding"] == {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web"}
    assert (written["reason"], written["type"], written["note"]) == ("NoCommonArchitecture", "Warning", "because")
    assert written["metadata"]["name"].startswith("web.")
    assert events.outcomes["Written"] == 1


async def test_no_more_than_five_in_a_second() -> None:
    """And no more wait than have room: what is said beyond that is counted."""
    cluster = Slow()
    events = Events(cast("Cluster", cluster), "pod-1")
    for number in range(MAX_WAITING + 10):
        events.say(Regarding("v1", "Pod", f"shop-{number % 4}", f"p{number}"), TOLD)
    assert events.outcomes["Dropped"] == 10
    begun = time.monotonic()
    with Ticks() as ticks:
        writing = asyncio.create_task(events.run())
        for _ in range(6):
            await cluster.taken.get()
    assert time.monotonic() - begun > 0.9
    assert ticks.seconds < 3
    writing.cancel()


async def test_one_namespace_does_not_silence_the_others() -> None:
    """However much is said of its pods, there is room for what is said elsewhere; and it gets room again."""
    cluster = Slow()
    events = Events(cast("Cluster", cluster), "pod-1")
    for number in range(MAX_WAITING):
        events.say(Regarding("v1", "Pod", "noisy", f"p{number}"), TOLD)
    assert events.outcomes["Dropped"] == MAX_WAITING - MAX_OF_ONE
    events.say(WEB, TOLD)
    assert events.outcomes["Dropped"] == MAX_WAITING - MAX_OF_ONE
    writing = asyncio.create_task(events.run())
    await cluster.taken.get()
    events.say(Regarding("v1", "Pod", "noisy", "late"), TOLD)
    assert events.outcomes["Dropped"] == MAX_WAITING - MAX_OF_ONE
    writing.cancel()


@pytest.mark.parametrize(("status", "outcome"), [(409, "Told"), (403, "Failed"), (500, "Failed")])
async def test_what_can_not_be_written_is_counted(status: int, outcome: str) -> None:
    """Another replica was first, or the API server refuses: neither ends the writing."""
    cluster = Slow(status)
    events = Events(cast("Cluster", cluster), "pod-1")
    events.say(WEB, TOLD)
    events.say(WEB, Event("Admit", "Other", "x"))
    writing = asyncio.create_task(events.run())
    for _ in range(2):
        await cluster.taken.get()
    assert not writing.done()
    assert events.outcomes[outcome] >= 1
    writing.cancel()
