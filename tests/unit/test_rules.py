"""Rules: a namespace that no watch has told of yet is read, and what comes of it where that fails."""

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from rightarch.cluster import ClusterError
from rightarch.policy import Kind, Policy
from rightarch.rulebook import Rulebook
from rightarch.webhook import rules
from rightarch.webhook.rules import Rules
from tests.support.ticks import Ticks

if TYPE_CHECKING:
    from rightarch.cluster import Cluster

POD: dict[str, Any] = {"metadata": {}}
LABELLED = {"metadata": {"name": "shop", "labels": {"team": "x"}}}


class Answering:
    """An API server, as far as one read goes: it answers after some seconds, or refuses."""

    def __init__(self, answer: dict[str, Any] | Exception, seconds: float = 0.0) -> None:
        self.asked: list[str] = []
        self._answer, self._seconds = answer, seconds

    async def read(self, path: str) -> dict[str, Any]:
        """The answer."""
        self.asked.append(path)
        await asyncio.sleep(self._seconds)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def made(cluster: Answering) -> tuple[Rulebook, Rules]:
    """A rulebook with a policy for namespaces with a label."""
    book = Rulebook()
    spec = {"namespaceSelector": {"matchLabels": {"team": "x"}}}
    book.shelves[Kind.CLUSTER].put(Policy.of(Kind.CLUSTER, {"metadata": {"name": "a", "uid": "u"}, "spec": spec}))
    return book, Rules(book, cast("Cluster", cluster))


async def test_a_namespace_that_was_not_seen_is_read_once() -> None:
    """Its pods come under the policy that its labels select."""
    cluster = Answering(LABELLED)
    _, asked = made(cluster)
    for _ in range(3):
        assert (await asked.effective("shop", POD, time.monotonic() + 60)).name == "cap/a"
    assert cluster.asked == ["/api/v1/namespaces/shop"]


async def test_what_a_watch_has_told_is_not_read() -> None:
    """Nor is it replaced by what was read meanwhile, which is older."""
    cluster = Answering(LABELLED, 0.05)
    book, asked = made(cluster)
    reading = asyncio.create_task(asked.effective("shop", POD, time.monotonic() + 60))
    await asyncio.sleep(0.01)
    book.namespaces.put({"metadata": {"name": "shop", "labels": {"team": "y"}}})
    assert (await reading).name == "built-in"
    assert (await asked.effective("shop", POD, time.monotonic() + 60)).name == "built-in"
    assert len(cluster.asked) == 1


@pytest.mark.parametrize("answer", [ClusterError(404, "no such namespace"), OSError("the connection broke")])
async def test_where_it_can_t_be_read_its_name_is_all_that_is_known(
    answer: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The pod is decided on nevertheless, and the log tells once in a while."""
    book, asked = made(Answering(answer))
    spec = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}
    book.shelves[Kind.CLUSTER].put(Policy.of(Kind.CLUSTER, {"metadata": {"name": "b", "uid": "u"}, "spec": spec}))
    for _ in range(3):
        assert (await asked.effective("shop", POD, time.monotonic() + 60)).name == "cap/b"
    assert len(caplog.records) == 1


async def test_a_review_without_a_namespace_asks_for_none() -> None:
    """No API server sends one for a pod; the path without a name would be that of all namespaces."""
    cluster = Answering({"items": [LABELLED]})
    _, asked = made(cluster)
    assert (await asked.effective("", POD, time.monotonic() + 60)).name == "built-in"
    assert cluster.asked == []


async def test_an_answer_that_is_no_namespace_is_a_failure_to_read_one() -> None:
    """Whatever stands between us and the API server may answer anything; the pod is decided on nevertheless."""
    _, asked = made(Answering({"items": []}))
    assert (await asked.effective("shop", POD, time.monotonic() + 60)).name == "built-in"


async def test_no_pod_waits_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor for longer than a moment."""
    _, asked = made(Answering(LABELLED, 60.0))
    begun = time.monotonic()
    with Ticks() as ticks:
        assert (await asked.effective("shop", POD, begun + 0.05)).name == "built-in"
        monkeypatch.setattr(rules, "NAMESPACE_SECONDS", 0.05)
        assert (await asked.effective("shop", POD, time.monotonic() + 60)).name == "built-in"
        assert (await asked.effective("shop", POD, begun - 1)).name == "built-in"
    assert ticks.seconds < 2


async def test_without_the_right_to_namespaces_none_is_asked_for() -> None:
    """Each pod would cost a request that is refused."""
    cluster = Answering(ClusterError(403, "forbidden"))
    book, asked = made(cluster)
    book.namespaces.refuse()
    assert (await asked.effective("shop", POD, time.monotonic() + 60)).name == "built-in"
    assert cluster.asked == []
    book.namespaces.replace([LABELLED])
    assert (await asked.effective("shop", POD, time.monotonic() + 60)).name == "cap/a"
