"""Figures: medians over interleaved rounds, ratios against a base, and the tables that show them."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

console = Console(highlight=False, width=100)


@dataclass(frozen=True)
class Measure:
    """One figure of every round of a mode.

    Attributes:
        unit: what it is counted in.
        digits: decimals that are worth printing.
    """

    name: str
    unit: str
    digits: int = 1


def median(values: Iterable[float]) -> float:
    """The median; of nothing, not a number."""
    each = list(values)
    return statistics.median(each) if each else float("nan")


def percentile(values: Sequence[float], share: float) -> float:
    """The value that a share (0 to 1) of the sorted values does not exceed."""
    each = sorted(values)
    return each[min(len(each) - 1, int(len(each) * share))]


def table(
    title: str, measures: Sequence[Measure], rounds: Mapping[str, Sequence[Mapping[str, float]]]
) -> dict[str, dict[str, float]]:
    """Print the median of each measure per mode, with its range and its ratio to the first mode's.

    Returns:
        The medians, per mode and measure.
    """
    values = {
        mode: {m.name: [r[m.name] for r in each if m.name in r] for m in measures} for mode, each in rounds.items()
    }
    medians = {mode: {name: median(each) for name, each in of.items()} for mode, of in values.items()}
    base = next(iter(medians.values()))
    shown = Table("", *rounds, title=title, title_justify="left")
    for measure in measures:
        cells = (_cell(measure, values[mode][measure.name], base[measure.name]) for mode in rounds)
        shown.add_row(f"{measure.name}, {measure.unit}", *cells)
    console.print(shown)
    return medians


def _cell(measure: Measure, values: Sequence[float], base: float) -> str:
    """The median, the range of several rounds, and the ratio to the base where there is one."""
    if not values:
        return "-"
    text = f"{median(values):.{measure.digits}f}"
    if len(values) > 1:
        text += f" ({min(values):.{measure.digits}f} to {max(values):.{measure.digits}f})"
    return f"{text}, ratio {median(values) / base:.2f}" if base > 0 else text
