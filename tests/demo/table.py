"""The table: each workload, what came of it without Rightarch and, beside that, what came of it with Rightarch."""

from __future__ import annotations

from collections import Counter
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from .judge import Verdict, problems
from .purchase import ACT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .judge import Row, Seen, SeenPod
    from .purchase import Purchase
    from .scenario import Workload

STYLES = {Verdict.RUNS: "green", Verdict.PENDING: "yellow", Verdict.NO_PULL: "red", Verdict.EXEC_FORMAT_ERROR: "red"}
COLUMNS = (
    ("Workload,\nimage: platforms", "", 24, 26),
    ("Without:\nnode", "", 11, 13),
    ("\nverdict", "", 17, 17),
    ("With Rightarch:\nwritten", "cyan", 20, 20),
    ("\nnode", "", 11, 13),
    ("\nverdict", "", 12, 17),
)
"""Titles, styles, and the widths that fit into 100 and into 120 characters."""
WIDE = sum(wide + 1 for *_, wide in COLUMNS)
NOTES = (
    "written: the Reason, and the values of kubernetes.io/arch in the required node affinity.",
    "verdict: the nodes are simulated (KWOK) and run no programs; the scheduler that chose them is the",
    "  real one. What a node would make of the images follows from its architecture and their platforms:",
    "  exec format error: a single manifest for another CPU is pulled, and its program can't start;",
    '  ErrImagePull: an index without the node\'s platform ends in "no match for platform in manifest".',
)


def table(rows: Sequence[Row], width: int) -> Table:
    """The table of all workloads, for a console of this width."""
    made = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False, header_style="bold")
    for title, style, narrow, wide in COLUMNS:
        made.add_column(title, style=style, width=wide if width >= WIDE else narrow, overflow="fold")
    for row in rows:
        for line in zip_longest(*_cells(row), fillvalue=""):
            made.add_row(*line)
        made.add_section()
    return made


def purchases(without: Purchase, with_: Purchase) -> Table:
    """Where Karpenter's nodes had the pods of each Deployment run, without and with Rightarch."""
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False, header_style="bold")
    for title in ("Workload, image: platforms", "Without: nodes of Karpenter", "With Rightarch: nodes of Karpenter"):
        made.add_column(title)
    for workload in ACT:
        description = "\n".join(str(line) for line in _description(workload))
        made.add_row(description, *(_placed(workload, side) for side in (without, with_)))
    return made


def _placed(workload: Workload, side: Purchase) -> Text:
    counts = side.placed.get(workload.name, {})
    where = ", ".join(_times(architecture, count) for architecture, count in sorted(counts.items())) or "none"
    return Text(f"{where}: can't run", "red") if side.failing_of(workload) else Text(f"{where}: runs", "green")


def warnings(rows: Sequence[Row]) -> Iterator[str]:
    """What the creators of workloads were told, a line each."""
    for row in rows:
        for warning in row.with_.warnings:
            yield f"Warning at the creation of {row.workload.kind} {row.workload.name}: {warning}"


def _cells(row: Row) -> Iterator[list[str | Text]]:
    """The lines of each cell."""
    yield [*_description(row.workload), _mark(row)]
    yield from _outcome(row.without)
    yield _written(row.with_)
    yield from _outcome(row.with_)


def _description(workload: Workload) -> Iterator[str | Text]:
    yield Text(_times(f"{workload.kind} {workload.name}", workload.pods), "bold")
    for image in workload.all_images:
        init = " (init)" if image in workload.init_images else ""
        yield f"{image.name}: {', '.join(image.platforms)}{init}"


def _mark(row: Row) -> Text:
    return Text("NOT as expected", "red bold") if problems([row]) else Text("as expected", "green")


def _outcome(seen: Seen) -> tuple[list[str | Text], list[str | Text]]:
    """Nodes and verdicts, a line per node."""
    landed = Counter((pod.node or "none", pod.architecture or "", verdict) for pod, verdict in _judged(seen))
    lines = sorted(landed.items())
    nodes: list[str | Text] = [_times(f"{name} {architecture}".rstrip(), n) for (name, architecture, _), n in lines]
    return nodes, [Text(verdict, STYLES[verdict]) for (_, _, verdict), _ in lines]


def _judged(seen: Seen) -> Iterator[tuple[SeenPod, Verdict]]:
    return zip(seen.pods, seen.verdicts, strict=True)


def _times(text: str, count: int) -> str:
    return f"{text} x{count}" if count > 1 else text


def _written(seen: Seen) -> list[str | Text]:
    """The distinct Reasons and architectures of the pods; one of each, if all is well."""
    lines = {
        (pod.reason or "no Reason", f"arch in {', '.join(pod.written)}" if pod.written else "spec unchanged")
        for pod in seen.pods
    }
    return [text for pair in sorted(lines) for text in pair]
