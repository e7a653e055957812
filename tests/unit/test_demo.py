"""The demo's own judgement, on recorded rows: it must see what is wrong, or its exit status means nothing."""

from __future__ import annotations

import dataclasses
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from tests.demo.folder import CONTROL_PLANE, Busy, end, held
from tests.demo.judge import Row, Seen, SeenPod, Verdict, problems, verdict
from tests.demo.run import closing
from tests.demo.scenario import (
    AMD64_ONLY,
    ARM64_ONLY,
    ARMV7_ONLY,
    LATE_ARM64,
    MULTI_ARCH,
    NODES,
    PAIR_AMD64,
    PAIR_ARM64,
    WORKLOADS,
    DemoImage,
    Workload,
)
from tests.demo.table import table
from tests.images import LATE, SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.images import Image

    Fault = Callable[[Row], Row]

IMAGES = (AMD64_ONLY, ARM64_ONLY, MULTI_ARCH, PAIR_AMD64, PAIR_ARM64, ARMV7_ONLY, LATE_ARM64)


def seen_pod(name: str, node: str | None, reason: str | None = None, arches: Sequence[str] = ()) -> SeenPod:
    """A pod in its last state, bound to a node or to none."""
    spec: dict[str, Any] = {"containers": [{"name": "main"}]} | ({"nodeName": node} if node else {})
    if arches:
        term = {"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": list(arches)}]}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
        spec["affinity"] = {"nodeAffinity": required}
    phase, architecture = ("Running", NODES[node]) if node else ("Pending", None)
    return SeenPod(name, phase, node, architecture, node is None, reason, spec)


def recorded(workload: Workload) -> Row:
    """A workload as it comes out when all is well: anywhere without Rightarch, and rightly with it."""
    nodes = [name for name, architecture in NODES.items() if architecture in workload.runs_on]
    kept = not workload.runs_on
    reason = "NoCommonArchitecture" if kept else "Constrained"
    without = [seen_pod(f"p{index}", list(NODES)[index]) for index in range(workload.expected_without)]
    places = ["n1"] if kept else [nodes[index % len(nodes)] if nodes else None for index in range(workload.pods)]
    with_ = [seen_pod(f"p{index}", place, reason, workload.runs_on) for index, place in enumerate(places)]
    warnings = ("rightarch: NoCommonArchitecture: none",) if kept else ()
    return Row(Seen(workload, tuple(without)), Seen(workload, tuple(with_), warnings))


def row_of(name: str) -> Row:
    """The recorded row of the workload of this name."""
    return next(recorded(workload) for workload in WORKLOADS if workload.name == name)


def with_(**changes: Any) -> Fault:  # noqa: ANN401 - any field of a pod
    """Let the first pod be otherwise, with Rightarch."""
    return lambda row: dataclasses.replace(row, with_=_first(row.with_, **changes))


def without(**changes: Any) -> Fault:  # noqa: ANN401 - any field of a pod
    """Let the first pod be otherwise, without Rightarch."""
    return lambda row: dataclasses.replace(row, without=_first(row.without, **changes))


def _first(seen: Seen, **changes: Any) -> Seen:  # noqa: ANN401 - any field of a pod
    return dataclasses.replace(seen, pods=(dataclasses.replace(seen.pods[0], **changes), *seen.pods[1:]))


def _fewer(seen: Seen) -> Seen:
    return dataclasses.replace(seen, pods=seen.pods[1:])


def test_nothing_is_wrong_where_all_is_as_it_must_be() -> None:
    """Every workload of the scenario can come out well."""
    assert problems([recorded(workload) for workload in WORKLOADS]) == []


@pytest.mark.parametrize(
    ("name", "fault", "problem"),
    [
        ("checkout", with_(node="n3", architecture="arm64"), "p0 on n3 (arm64): ErrImagePull; it was expected to run"),
        ("search", with_(node="n5", architecture="riscv64"), "p0 on n5 (riscv64): exec format error"),
        ("web", with_(node=None, architecture=None, phase="Pending", unschedulable=True), "p0 on None (None): Pending"),
        ("web", with_(phase="Pending"), "p0 on n1 (amd64): Pending; it was expected to run"),
        ("web", with_(reason=None), "p0 has the Reason None; Constrained was expected"),
        ("migrate", with_(reason="Unresolved"), "p0 has the Reason Unresolved; Constrained was expected"),
        ("web", with_(spec={}), "p0 is limited to nothing; amd64, arm64 was expected"),
        ("report", lambda row: Row(row.without, _fewer(row.with_)), "it has 4 pods; 5 were expected"),
        ("report", lambda row: Row(_fewer(row.without), row.with_), "without Rightarch it has 4 pods; 5 were expected"),
        (
            "node-agent",
            with_(node="n3", architecture="arm64"),
            "p0 on n3 (arm64): ErrImagePull; it was expected to run",
        ),
        ("late-agent", with_(reason="ImageNotFound"), "p0 has the Reason ImageNotFound; Constrained was expected"),
        ("late-agent", lambda row: Row(_fewer(row.without), row.with_), "it has 4 pods; 5 were expected"),
        ("toolbox", without(reason="Constrained"), "without Rightarch, p0 has something of it"),
        ("mixed-pair", with_(spec={"hostNetwork": True}), "its spec is not the same as without Rightarch"),
        ("mixed-pair", with_(reason="Constrained"), "the Reason Constrained; NoCommonArchitecture was expected"),
        (
            "mixed-pair",
            lambda row: Row(row.without, dataclasses.replace(row.with_, warnings=("rightarch: Only386",))),
            "was not warned of NoCommonArchitecture; the warnings were: rightarch: Only386",
        ),
        ("sensor", with_(node="n3", architecture="arm64", phase="Running"), "p0 is Running on n3; it was expected to"),
        ("sensor", with_(unschedulable=False), "p0 is Pending on None; it was expected to stay Pending"),
    ],
)
def test_a_fault_is_named(name: str, fault: Fault, problem: str) -> None:
    """Each expectation can fail, and says of which workload."""
    row = fault(row_of(name))
    found = problems([*(recorded(each) for each in WORKLOADS if each.name != name), row])
    assert any(problem in sentence for sentence in found), found
    assert all(sentence.startswith(f"{row.workload.kind} {name}: ") for sentence in found)


@pytest.mark.parametrize(
    ("images", "node", "expected"),
    [
        ([AMD64_ONLY], "n1", Verdict.RUNS),
        ([AMD64_ONLY], "n3", Verdict.NO_PULL),
        ([ARM64_ONLY], "n1", Verdict.EXEC_FORMAT_ERROR),
        ([ARM64_ONLY], "n4", Verdict.RUNS),
        ([ARM64_ONLY, AMD64_ONLY], "n5", Verdict.EXEC_FORMAT_ERROR),
        ([MULTI_ARCH], "n5", Verdict.NO_PULL),
        ([MULTI_ARCH, AMD64_ONLY], "n3", Verdict.NO_PULL),
        ([ARMV7_ONLY], "n3", Verdict.EXEC_FORMAT_ERROR),
        ([ARMV7_ONLY], "n1", Verdict.NO_PULL),
        ([AMD64_ONLY], None, Verdict.PENDING),
    ],
)
def test_the_verdict_is_what_a_real_node_would_make_of_the_images(
    images: list[DemoImage], node: str | None, expected: Verdict
) -> None:
    """An index without the platform can't be pulled; a manifest for another CPU can, and 32-bit arm on arm64 too."""
    assert verdict(images, seen_pod("p", node)) is expected


def test_the_closing_sentences_count_pods() -> None:
    """Without Rightarch all that landed wrong; with it, the pair that nobody can place."""
    without, with_rightarch = closing([recorded(workload) for workload in WORKLOADS])
    assert without == (
        "Without Rightarch, 26 of 48 pods landed where they can't run "
        "(10 would have met `exec format error`, 16 `ErrImagePull`)."
    )
    assert with_rightarch == (
        "With Rightarch, 1 of 41 pods landed where they can't run "
        "(0 would have met `exec format error`, 1 `ErrImagePull`): "
        "mixed-pair, whose images share no architecture, of which its creator was warned."
    )


@pytest.mark.parametrize("width", [100, 120])
def test_the_table_fits(width: int) -> None:
    """No line is longer than the console, and no verdict is cut."""
    written = io.StringIO()
    console = Console(file=written, width=width, color_system=None)
    console.print(table([recorded(workload) for workload in WORKLOADS], console.width))
    text = written.getvalue()
    assert all(len(line) <= width for line in text.splitlines())
    for cell in ("exec format error", "ErrImagePull", "Pending", "NoCommonArchitecture", "arch in amd64, arm64"):
        assert cell in text


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_the_table_tells_the_platforms_that_were_pushed(image: DemoImage) -> None:
    """What the scenario says of a sample is what its index or configuration says."""
    pushed = {**SAMPLES, **LATE}[image.sample]
    root = json.loads(pushed.root.body)
    assert ("manifests" in root) == image.indexed
    assert tuple(_platforms(pushed, root)) == image.platforms


def _platforms(pushed: Image, root: dict[str, Any]) -> list[str]:
    blobs = {blob.digest: blob.body for blob in pushed.blobs}
    stated = (
        [entry["platform"] for entry in root["manifests"] if entry["platform"]["os"] != "unknown"]
        if "manifests" in root
        else [json.loads(blobs[root["config"]["digest"]])]
    )
    names = ["/".join(filter(None, (each["architecture"], each.get("variant")))) for each in stated]
    return [name.removesuffix("/v8") for name in names]


def test_one_demo_at_a_time_has_the_folder_and_it_is_removed(tmp_path: Path) -> None:
    """A second run, and the end of it by somebody else, are refused meanwhile."""
    folder = tmp_path / "demo"
    with held(folder):
        for attempt in (held(folder).__enter__, lambda: end(folder)):
            with pytest.raises(Busy, match="A demo is running"):
                attempt()
        (folder / "file").touch()
    assert not folder.exists()
    assert not end(folder)


def test_what_a_demo_left_that_ended_with_the_machine_is_cleared(tmp_path: Path) -> None:
    """Nobody holds the lock, and no processes are written down."""
    (tmp_path / CONTROL_PLANE / "pki").mkdir(parents=True)
    (tmp_path / "kubeconfig").touch()
    with held(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    """Neither a run nor the end of one touches files that are no demo's."""
    (tmp_path / "precious").touch()
    with pytest.raises(Busy, match="files in it that are no demo's"), held(tmp_path):
        pass
    assert not end(tmp_path)
    assert (tmp_path / "precious").exists()
