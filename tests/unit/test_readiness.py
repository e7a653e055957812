"""Readiness as the controller tells it: the same figures as the report's, by less than the report may read."""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from rightarch.controller.census import PODS
from rightarch.controller.readiness import ARCHITECTURE, Readiness
from rightarch.controller.workloads import KINDS, POD, Wanted
from rightarch.platforms import ImagePlatforms
from rightarch.policy import Kind, Policy
from rightarch.report.inventory import Inventory
from rightarch.report.report import Origin, Report, make
from rightarch.rulebook import Rulebook
from rightarch.snapshot import Nodes
from tests.unit import test_report_cases as golden

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from rightarch.cluster import Cluster
    from rightarch.report.workload import Workload
    from tests.unit.test_report_cases import Case

LEFT_OUT: Final = {
    "planned": "it is of a file, and the controller is of a cluster",
    "updates": "it needs what registries have beside the images of the cluster, and the controller asks for none of it",
    "architecture": f"the controller's figures are about {ARCHITECTURE}",
}
"""The fields that cases have of which the controller knows nothing, and why."""
UNREAD: Final = {
    "A Job of nobody is a workload while it has not ended": "Jobs are not read, so that one counts while it has pods"
}
"""Further cases that need something of the kind."""
CASES: Final = [case for case in golden.CASES if not LEFT_OUT.keys() & case.keys() and case["name"] not in UNREAD]


class Stored:
    """An API server as far as lists need one, with the objects of a case as it would store them."""

    def __init__(self, case: Case) -> None:
        self.lists: dict[str, list[Mapping[str, Any]]] = {}
        paths = {kind.name: kind.path for kind in (POD, *KINDS)}
        for thing in golden.objects(case):
            if (kind := thing["kind"]) in paths and not _has_ended(thing):
                name = thing["metadata"]["name"]
                metadata = {"namespace": "default", "uid": f"{kind}/{name}"} | thing["metadata"]
                self.lists.setdefault(paths[kind], []).append({**thing, "metadata": metadata})

    async def pages(
        self, path: str, query: Mapping[str, str] | None = None
    ) -> AsyncIterator[tuple[list[Mapping[str, Any]], str]]:
        """All of a collection; of pods, those that have not ended are asked for."""
        assert query == ({"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"} if path == PODS else None)
        yield self.lists.get(path, []), "1"


def _has_ended(thing: Mapping[str, Any]) -> bool:
    return thing["kind"] == "Pod" and thing.get("status", {}).get("phase") in {"Succeeded", "Failed"}


def rulebook(case: Case) -> Rulebook:
    """The policies of a case, as they are followed."""
    book = Rulebook()
    metadata = {"name": "p", "uid": "u"}
    book.shelves[Kind.CLUSTER].replace(
        [Policy.of(Kind.CLUSTER, {"metadata": metadata, "spec": spec}) for spec in case.get("policy", [])]
    )
    return book


def snapshot(case: Case) -> Nodes:
    """The nodes of a case, as they are followed."""
    nodes = Nodes()
    nodes.replace(golden.nodes(case))
    nodes.pools.replace(golden.pools(case))
    nodes.claims.replace([])
    return nodes


def known(case: Case, wanted: Wanted) -> ImagePlatforms | None:
    """What is known of an image."""
    found = golden.known(case["images"][wanted.image])
    return found if isinstance(found, ImagePlatforms) else None


def report(case: Case) -> Report:
    """What the report says of a case."""
    return make(golden.workloads(case), golden.question(case), Origin("a case"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_the_figures_are_those_of_the_report(case: Case) -> None:
    """Workloads, pods, and what they ask for, by verdict: of each case that needs nothing that the controller lacks."""
    cluster = cast("Cluster", Stored(case))
    readiness = Readiness(cluster, snapshot(case), lambda wanted: known(case, wanted), rulebook(case))
    await readiness.take()
    told, said = readiness.totals, report(case).verdicts
    assert {verdict: (t.workloads, t.pods, t.requests) for verdict, t in told.items()} == {
        verdict: (t.workloads, t.pods, t.requests) for verdict, t in said.items()
    }


async def test_nobody_waits_while_many_pods_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner may have thousands: what is made of them at once is made beside the event loop, and judged there."""
    threads: list[int] = []

    def seen(self: Inventory, chosen: frozenset[str] | None = None) -> list[Workload]:
        threads.append(get_ident())
        return made(self, chosen)

    made = Inventory.workloads
    monkeypatch.setattr(Inventory, "workloads", seen)
    case = CASES[0]
    await Readiness(cast("Cluster", Stored(case)), snapshot(case), lambda _: None, rulebook(case)).take()
    assert len(threads) == 1
    assert get_ident() not in threads


def test_nearly_all_cases_are_held_against_it() -> None:
    """Those that are left out are few, and each that is named is there."""
    assert UNREAD.keys() <= {case["name"] for case in golden.CASES}
    assert len(CASES) > 0.9 * len(golden.CASES)
    assert {"Pinned", "Ready", "Blocked", "Unknown", "Emulated"} == {
        said["verdict"] for case in CASES for said in case["expect"].values()
    }
