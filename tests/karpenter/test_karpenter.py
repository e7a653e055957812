"""What Karpenter buys with Rightarch and without, and what is said of it. One file: all of it shares one cluster."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from rightarch.capacity import Offer
from tests.controlplane import binary, wait_for
from tests.controlplane.process import clean_environment
from tests.support.karpenter import node_pool, requirement

from .arena import POOLS
from .cases import ARCH, CAPACITY_TYPE, LABEL, OS, SIDES, Case, cases, taint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .arena import Arena, Outcomes
    from .probes import Probe

    Object = dict[str, Any]

CASES = cases()
PAGE: Final = Path(__file__).parents[2] / "docs" / "karpenter.md"
COMMANDS: Final = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
SINGLE: Final = "An image for amd64 alone gets what it would have got where only amd64 may be bought"
BOTH: Final = "An image for both gets amd64 where only amd64 may be bought"
BOUND_SECONDS: Final = 60
LOOKED_SECONDS: Final = 40
"""Karpenter looks every 10 s, and waits for 15 s whether what it found still holds; one node at a time."""


pytestmark = pytest.mark.timeout(900)  # the first test has all of it played: a minute, where nothing else runs


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_karpenter_buys_what_the_case_says(outcomes: Outcomes, case: Case, side: str) -> None:
    """NodeClaims by architecture, what they cost, and how many pods have a node; none is bought to be thrown away."""
    expected, outcome = case.expected(side), outcomes[case.name, side]
    assert dict(outcome.nodes) == dict(outcome.nodes if expected.nodes is None else expected.nodes)
    assert outcome.price == pytest.approx(outcome.price if expected.price is None else expected.price)
    assert (outcome.bound, outcome.pending) == (case.count() - expected.pending, expected.pending)
    assert len(outcome.misplaced) == expected.misplaced
    assert expected.zones in {None, outcome.zones}
    assert outcome.thrown_away == ()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_pod_is_where_an_image_of_it_does_not_run(outcomes: Outcomes, case: Case) -> None:
    """Whatever the case: that is the promise."""
    assert outcomes[case.name, "with"].misplaced == ()


def test_names_are_unique() -> None:
    """A sentence stands for one case, and there are enough of them."""
    names = [case.name for case in CASES]
    assert sorted(set(names)) == sorted(names)
    assert len(names) >= 40


@pytest.mark.usefixtures("outcomes")
def test_a_pod_gets_its_node_where_one_is_said_to_be_had(arena: Arena, probed: list[Probe]) -> None:
    """A yes for one of the architectures is enough: its node has one of those that the pod may run on."""
    sure = [probe for probe in probed if Offer.YES in probe.offers()]
    assert len(sure) >= 10
    for probe in sure:
        os, architecture = wait_for(lambda key=probe.key: arena.node_of(key), BOUND_SECONDS)  # type: ignore[misc] # binds the loop's value
        assert os == "linux", probe
        assert architecture in probe.architectures, probe


@pytest.mark.usefixtures("outcomes")
def test_no_pod_gets_a_node_where_none_is_said_to_be_had(arena: Arena, probed: list[Probe]) -> None:
    """No means never: a warning for a pod that gets its node would teach people to ignore it."""
    hopeless = [probe for probe in probed if probe.offers() == {Offer.NO}]
    assert len(hopeless) >= 10
    for probe in hopeless:
        assert arena.launched(probe.key) == [], probe
        assert arena.node_of(probe.key) is None, probe


def test_pods_are_told_what_karpenter_will_not_buy(arena: Arena, outcomes: Outcomes) -> None:
    """The annotation of a pod that stays Pending names the note; none that got a node has it."""
    told = {pod["metadata"]["name"]: _is_told(pod) for pod in arena.pods("with")}
    waiting = {pod["metadata"]["name"] for pod in arena.pods("with") if not pod["spec"].get("nodeName")}
    assert outcomes
    assert sum(told[name] for name in waiting) >= 5
    assert [name for name, is_told in told.items() if is_told and name not in waiting] == []


def _is_told(pod: dict[str, dict[str, dict[str, str]]]) -> bool:
    return "NoCapacity" in pod["metadata"]["annotations"].get("rightarch.dev/decision", "")


@pytest.fixture(scope="module")
def documented(arena: Arena) -> Iterator[Arena]:
    """What the page takes for granted: two NodePools, here without work, and a Deployment."""
    aside = [taint(f"{LABEL}=docs:NoSchedule")]
    container = {"name": "main", "image": arena.images["multi-arch"]}
    spec: Object = {"selector": {"matchLabels": {"app": "docs"}}, "replicas": 0}
    spec["template"] = {"metadata": {"labels": {"app": "docs"}}, "spec": {"containers": [container]}}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "docs"}, "spec": spec}
    arena.plane.apply(node_pool("general", taints=aside), node_pool("arm", taints=aside), deployment)
    yield arena
    arena.plane.kubectl("delete", "nodepool/general", "nodepool/arm", "deployment/docs")
    arena.plane.kubectl("delete", "clusterarchitecturepolicy", "capacity", "arm-taint", "--ignore-not-found")


@pytest.mark.usefixtures("outcomes")
def test_the_commands_of_the_page_do_what_it_says(documented: Arena) -> None:
    """Each of them ends well; NodePools and policies are then what the page wants them to be."""
    path = f"{binary('kubectl').parent}:{os.environ['PATH']}"
    environment = clean_environment() | {"KUBECONFIG": str(documented.plane.kubeconfig), "PATH": path}
    assert len(COMMANDS) == 6
    for command in COMMANDS:
        done = subprocess.run(["bash", "-ec", command], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (command, done.stderr)
        assert done.stdout
    pools = {pool["metadata"]["name"]: pool["spec"] for pool in documented.listed(POOLS)}
    [wanted] = [each for each in pools["general"]["template"]["spec"]["requirements"] if each["key"] == ARCH]
    assert wanted["values"] == ["amd64", "arm64"]
    assert pools["arm"]["weight"] == 100


def case(name: str) -> Case:
    """A case of the table."""
    return next(each for each in cases() if each.name == name)


def consolidated(arena: Arena, given: Case, side: str, is_so: Callable[[], bool]) -> None:
    """Let a NodePool consolidate until it is so.

    Karpenter that has found nothing to do looks again after five minutes, or when a NodePool has changed: the very
    change that there is something to do for may be one that it has seen a moment too early.
    """
    for delay in itertools.cycle(("0s", "1s")):
        open_to_arm(arena, given, side, delay)
        with contextlib.suppress(TimeoutError):
            wait_for(is_so, LOOKED_SECONDS, pause=1)
            return


def open_to_arm(arena: Arena, given: Case, side: str, delay: str = "0s") -> None:
    """Let the NodePool of a case have arm64 too, which is cheaper, and consolidate at once or soon."""
    requirements = [
        requirement(ARCH, "In", "amd64", "arm64"),
        requirement(OS, "In", "linux"),
        requirement(CAPACITY_TYPE, "In", "on-demand"),
    ]
    change = {"template": {"spec": {"requirements": requirements}}, "disruption": {"consolidateAfter": delay}}
    headers = {"Content-Type": "application/merge-patch+json"}
    path = f"{POOLS}/{given.key(side)}-0"
    arena.client.patch(path, json={"spec": change}, headers=headers).raise_for_status()


@pytest.mark.timeout(450)
@pytest.mark.usefixtures("outcomes")
def test_consolidation_moves_nothing_where_it_can_not_run(arena: Arena) -> None:
    """Without Rightarch the image for amd64 alone is moved to arm64; with it, only the image that has both is."""
    single, both = case(SINGLE), case(BOTH)
    open_to_arm(arena, single, "with")
    consolidated(
        arena, single, "without", lambda: len(arena.outcomes([single])[SINGLE, "without"].misplaced) == single.count()
    )
    consolidated(arena, both, "with", lambda: arena.launched(both.key("with")) == ["arm64"])
    moved = arena.outcomes([single, both])
    assert moved[SINGLE, "with"].thrown_away == ()
    assert dict(moved[SINGLE, "with"].nodes) == {"amd64": 1}
    assert moved[BOTH, "with"].misplaced == moved[SINGLE, "with"].misplaced == ()
