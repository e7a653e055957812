"""The golden cases of `tests/cases/report`: objects in, a verdict for each workload out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from rightarch.capacity import NodePool
from rightarch.placement import Failure
from rightarch.platforms import ImagePlatforms, Platform
from rightarch.pod import Pod
from rightarch.policy import Choices, Effective, Kind, Policies, Policy
from rightarch.reasons import Reason
from rightarch.report.case import Question
from rightarch.report.inventory import Inventory
from rightarch.report.judging import judge
from rightarch.report.manifests import add
from rightarch.report.nodes import Node, Nodes
from rightarch.report.verdict import Judgement
from rightarch.report.workload import Workload

FOLDER = Path(__file__).parents[1] / "cases" / "report"
Case = Mapping[str, Any]
CASES: list[Case] = [case for path in sorted(FOLDER.glob("*.yaml")) for case in yaml.safe_load(path.read_text())]
NODES = {"a": {"arch": "amd64"}, "b": {"arch": "arm64"}}


def known(image: str | list[str]) -> ImagePlatforms | Failure:
    """What a case says of an image."""
    if isinstance(image, list):
        return ImagePlatforms("sha256:0", tuple(map(Platform.parse, image)), indexed=True)
    if "/" in image:
        return ImagePlatforms("sha256:0", (Platform.parse(image),), indexed=False)
    return Failure(Reason(image), "as the case says")


def node(name: str, said: Mapping[str, Any]) -> Mapping[str, Any]:
    """A node of a case."""
    platform = {"kubernetes.io/arch": said["arch"], "kubernetes.io/os": said.get("os", "linux")}
    labels = {key: value for key, value in platform.items() if value} | said.get("labels", {})
    spec = {"taints": said.get("taints", []), "unschedulable": said.get("cordoned", False)}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec}


def pool(name: str, said: Mapping[str, Any]) -> Mapping[str, Any]:
    """A NodePool of a case, ready."""
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    template = {"metadata": {"labels": said.get("labels", {})}, "spec": said}
    return {"metadata": {"name": name}, "spec": {"template": template, "limits": said.get("limits")}, "status": status}


def nodes(case: Case) -> list[Mapping[str, Any]]:
    """The nodes of a case."""
    return [node(*each) for each in case.get("nodes", NODES).items()]


def pools(case: Case) -> list[Mapping[str, Any]]:
    """Its NodePools."""
    return [pool(*each) for each in case.get("pools", {}).items()]


def objects(case: Case) -> list[Mapping[str, Any]]:
    """Its pods, and those that they may be of."""
    bare: Mapping[str, Any] = {"kind": "Pod", "metadata": {"name": "x"}, "spec": case.get("pod")}
    found: list[Mapping[str, Any]] = case.get("objects", [bare])
    return found


def workloads(case: Case) -> list[Workload]:
    """The workloads of a case's objects."""
    inventory = Inventory(planned=case.get("planned", False), selecting=policies(case).pod_labels)
    for thing in objects(case):
        add(inventory, thing)
    return inventory.workloads()


def question(case: Case) -> Question:
    """What a case asks of each."""
    return Question(
        case.get("architecture", "arm64"),
        {name: known(image) for name, image in case["images"].items()},
        Nodes(map(Node.of, nodes(case)), map(NodePool.of, pools(case))),
        case.get("guarded", False),
        case.get("updates", {}),
        effective(case),
    )


def policies(case: Case) -> Policies:
    """The one cluster policy of a case, if it has one."""
    metadata = {"name": "p", "uid": "u"}
    read = [Policy.of(Kind.CLUSTER, {"metadata": metadata, "spec": spec}) for spec in case.get("policy", [])]
    return Policies.of(read, Choices())


def effective(case: Case) -> Callable[[str, Pod], Effective]:
    """What applies to pods by it."""
    compiled = policies(case)
    return lambda namespace, pod: compiled.effective(namespace, {}, {}, pod)


def told(workload: Workload, judgement: Judgement, expected: Mapping[str, Any]) -> dict[str, Any]:
    """What the report says of a workload, as far as a case speaks of it."""
    said: dict[str, Any] = {
        "verdict": str(judgement.verdict),
        "risk": judgement.risk and str(judgement.risk),
        "fields": list(judgement.fields),
        "blocking": list(judgement.blocking),
        "unknown": {name: str(reason) for name, reason in judgement.unknown},
        "tolerations": [dict(each) for each in judgement.tolerations],
    }
    more: dict[str, Any] = {"updates": judgement.updates, "lines": yaml.safe_load(judgement.lines)}
    more |= {"pods": workload.pods, "cpu": workload.requests.cpu, "memory": workload.requests.memory // 2**20}
    return said | {key: value for key, value in more.items() if key in expected}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: Case) -> None:
    """The workloads are those that the case names, and each has its verdict, for the reason that the case gives."""
    found = {str(workload.owner): workload for workload in workloads(case)}
    assert set(found) == set(case["expect"])
    for owner, said in case["expect"].items():
        judgement = judge(found[owner], question(case))
        usual: dict[str, Any] = {"risk": None, "fields": [], "blocking": [], "unknown": {}, "tolerations": []}
        expected = {key: value for key, value in said.items() if key != "cause"}
        assert told(found[owner], judgement, said) == usual | expected
        assert (said["cause"] in judgement.cause) if "cause" in said else not judgement.cause


def test_there_are_enough_cases() -> None:
    """At least forty, each with a name of its own."""
    assert len({case["name"] for case in CASES}) == len(CASES) >= 40
