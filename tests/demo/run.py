"""The run: play the scenario twice, show what came of it, and say whether that is as it must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import purchase
from .judge import Row, Verdict, problems
from .play import play
from .progress import Progress
from .scenario import Expected
from .scene import WITH, WITHOUT
from .shopping import shop
from .stage import Stage
from .table import NOTES, purchases, table, warnings
from .talk import talk

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from .folder import Hold
    from .judge import Seen
    from .purchase import Purchase


def run(hold: Hold, console: Console, *, keep: bool) -> bool:
    """Run the demo; returns whether all came out as it must."""
    progress = Progress(console)
    with Stage(hold, progress) as stage:
        with progress.step("Creating the workloads without Rightarch") as tell:
            without = play(stage, WITHOUT, tell)
        stage.install()
        with progress.step("Creating the same workloads with Rightarch") as tell:
            with_ = play(stage, WITH, tell)
        rows = [Row(*pair) for pair in zip(without, with_, strict=True)]
        wrong = problems(rows)
        show(rows, wrong, console)
        stage.start_karpenter()
        with progress.step("Having Karpenter buy nodes for the same Deployments") as tell:
            sides = shop(stage, tell)
        missed = purchase.problems(*sides)
        show_purchases(sides, missed, console)
        if keep:
            stage.keep()
            _print(console, talk(hold, stage.references), wrap=False)
    _print(console, [f"Took {progress.seconds:.0f} s in all.{'' if keep else ' Nothing was left behind.'}"])
    return not wrong and not missed


def show_purchases(sides: tuple[Purchase, Purchase], wrong: Sequence[str], console: Console) -> None:
    """Print what Karpenter bought for both sides, what is wrong, and what it costs."""
    _print(console, [""])
    console.print(purchases(*sides))
    _print(console, [f"NOT AS EXPECTED: {problem}" for problem in wrong], style="red bold")
    _print(console, purchase.lines(*sides), style="bold")
    _print(console, [""])


def show(rows: Sequence[Row], wrong: Sequence[str], console: Console) -> None:
    """Print the table, the warnings, the notes, what is wrong, and the sum."""
    _print(console, [""])
    console.print(table(rows, console.width))
    _print(console, ["", *warnings(rows), ""])
    _print(console, NOTES, style="dim")
    _print(console, [""])
    _print(console, [f"NOT AS EXPECTED: {problem}" for problem in wrong], style="red bold")
    _print(console, closing(rows), style="bold")


def closing(rows: Sequence[Row]) -> list[str]:
    """How many pods would have failed for their node's architecture, without and with Rightarch."""
    names = " and ".join(filter(None, map(_excuse, rows)))
    return [
        f"Without Rightarch, {_sum([row.without for row in rows])}.",
        f"With Rightarch, {_sum([row.with_ for row in rows])}{names and ': '}{names}.",
    ]


def _sum(seen: Sequence[Seen]) -> str:
    verdicts = [verdict for each in seen for verdict in each.verdicts]
    exec_format, no_pull = verdicts.count(Verdict.EXEC_FORMAT_ERROR), verdicts.count(Verdict.NO_PULL)
    return (
        f"{exec_format + no_pull} of {len(verdicts)} pods landed where they can't run "
        f"({exec_format} would have met `exec format error`, {no_pull} `ErrImagePull`)"
    )


def _excuse(row: Row) -> str:
    """Why a workload fails with Rightarch too, where it does."""
    if not any(verdict.failed for verdict in row.with_.verdicts):
        return ""
    told = ", whose images share no architecture, of which its creator was warned"
    return row.workload.name + (told if row.workload.expected is Expected.KEPT and row.with_.warnings else "")


def _print(console: Console, lines: Iterable[str], style: str = "", *, wrap: bool = True) -> None:
    for line in lines:
        console.print(line, style=style, markup=False, highlight=False, soft_wrap=not wrap)
