"""The report as text: for people, in tables and in Markdown; for programs, as JSON, YAML and CSV.

Names come from the cluster, where others chose them: none may steer a terminal, a spreadsheet or a page.
"""

import csv
import io
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

from rightarch.cli import printing
from rightarch.cli.report_data import data
from rightarch.report.money import Cost
from rightarch.report.report import Blocker, Report, Row, Total
from rightarch.report.resources import Resources
from rightarch.report.verdict import Verdict

_MOST: Final = 15
"""Images to fix that a table shows; all of them are in the other forms."""
_NAMED: Final = 3
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]<>#|~&@]|:(?=//)|(?<=www)\.)")

ADVICE: Final = "Nodes with a taint keep workloads out; a ClusterArchitecturePolicy lets them in, with this in its spec"

Table = tuple[Sequence[str], list[Sequence[str]], frozenset[int]]
"""Titles, rows, and which columns are numbers."""


def text(report: Report, output: str, *, to_file: bool) -> str:
    """The report in one of the forms but HTML."""
    if output in {"json", "yaml"}:
        return printing.as_json(data(report)) if output == "json" else printing.as_yaml(data(report))
    if output == "csv":
        return _csv(report)
    return _markdown(report) if output == "markdown" else _tables(report, wide=output == "wide", to_file=to_file)


def headline(report: Report) -> str:
    """What the report says in a sentence."""
    if not report.rows:
        return "there is no workload to report on"
    ready = report.verdicts[Verdict.READY].workloads
    told = f"{ready:,} of {len(report.rows):,} workloads can run on {report.architecture} as they are"
    if not report.by_cpu:
        return told
    there = report.total.there.cpu / report.total.requests.cpu
    return (
        f"{told}: {percent(report.ready)} of the requested vCPU; {percent(there)} is on {report.architecture} nodes now"
    )


def percent(share: float) -> str:
    """A share; what is not all, or not nothing, is never shown as that."""
    whole = round(share * 100)
    if whole == 100 and share < 1:
        return "over 99 %"
    if whole == 0 and share > 0:
        return "under 1 %"
    return f"{whole} %"


def vcpu(resources: Resources) -> str:
    """CPU in cores, with as many digits as are worth reading."""
    if resources.cpu >= 100_000:
        return f"{resources.cores:,.0f}"
    return f"{resources.cores:,.1f}" if resources.cpu % 100 == 0 else f"{resources.cores:,.2f}"


def memory(resources: Resources) -> str:
    """Memory in GiB, likewise."""
    return f"{resources.gib:,.0f} GiB" if resources.gib >= 100 else f"{resources.gib:,.1f} GiB"


def per_hour(amount: float) -> str:
    """An amount of money for an hour."""
    return f"{amount:,.2f}" if abs(amount) >= 0.1 or abs(amount) < 0.00005 else f"{amount:,.4f}"


def footer(report: Report) -> list[str]:
    """What must be known to read the figures, sentence by sentence."""
    origin, said = report.origin, []
    if report.prices is None:
        said.append(
            "No prices: nobody stated a source (--prices, --price-label or --prometheus), and none is made up; "
            "vCPU and memory are what pods request."
        )
    else:
        said += _priced(report)
    if report.storage is not None:
        said.append(_stored(report))
    asked = f"{origin.images} images were asked of registries" + (
        f", {origin.known} were known to the cluster" if origin.known else ""
    )
    return [*said, f"{asked}.", *(f"{note[:1].upper()}{note[1:]}." for note in origin.notes)]


def _priced(report: Report) -> list[str]:
    priced, nodes = report.priced
    cost = report.total.cost
    said = [
        f"Prices are those of {report.prices}: {priced} of {nodes} nodes are in it, {per_hour(report.fleet)} an hour.",
        (
            "A pod costs the share of its node that it requests; it saves what the cheapest "
            f"{report.architecture} machine of the same shape would cost less."
        ),
    ]
    if cost.unpriced:
        said.append(f"{cost.unpriced} pods have no cost: their node is not in the source, or they have none yet.")
    if cost.unmatched:
        said.append(
            f"{cost.unmatched} pods have no saving: the source has no {report.architecture} machine of the same shape."
        )
    return said


def _stored(report: Report) -> str:
    storage = report.storage
    assert storage is not None, "the caller looked"
    each = ", ".join(f"{platform} {printing.size_of(size)}" for platform, size in storage.sizes.items())
    left = "; ".join(f"not measured: {count} {why}" for why, count in storage.passed.items())
    total = f"{printing.size_of(storage.total)} in {storage.images} images, compressed, shared layers counted once"
    return f"Image storage: {total}{': ' + each if each else ''}{' (' + left + ')' if left else ''}."


def _tables(report: Report, *, wide: bool, to_file: bool) -> str:
    width = None if to_file or wide else printing.terminal_width()
    parts = [f"{_title(report)}\n{_capital(headline(report))}.{_danger(report)}", _shown(_verdicts(report), width)]
    if report.blockers:
        parts.append(f"FIX FIRST\n{_fixes(report, width)}")
    if report.rows:
        parts.append(_shown(_rows(report, wide=wide), width))
    parts += [f"{ADVICE}:\n\n{_indented(lines)}" for lines in report.lines]
    parts.append("\n".join(printing.plain(line) for line in footer(report)))
    return "\n\n".join(parts) + "\n"


def _indented(lines: str) -> str:
    """Lines of YAML, set off from what is around them."""
    return "\n".join(f"    {printing.plain(line)}" for line in lines.splitlines())


def _title(report: Report) -> str:
    return printing.plain(f"Readiness for {report.architecture} of {report.origin.name}, {report.origin.time}")


def _danger(report: Report) -> str:
    told = [f"{count} {risk}" for risk, count in report.risks.items() if count]
    return f" At risk today: {', '.join(told)}." if told else ""


def _capital(sentence: str) -> str:
    return f"{sentence[:1].upper()}{sentence[1:]}"


def _shown(table: Table, width: int | None) -> str:
    return "\n".join(line for lines in _lines(table, width) for line in lines)


def _lines(table: Table, width: int | None) -> list[list[str]]:
    """The lines of each row; where a terminal is too narrow, the last column is wrapped below the others, uncut."""
    titles, rows, right = table
    whole = printing.columns([titles, *rows], right, None).splitlines()
    if width is None or all(len(line) <= width for line in whole):
        return [[line] for line in whole]
    before = printing.columns([[*row[:-1], ""] for row in (titles, *rows)], right, None).splitlines()
    return [[line, *_wrapped(row[-1], 4, width)] for line, row in zip(before, (titles, *rows), strict=True)]


def _wrapped(cell: str, indent: int, width: int | None) -> list[str]:
    """A text set off from what is before it, in lines of some width; no name in it is torn apart."""
    margin, shown = " " * indent, "" if cell == "-" else printing.plain(cell)
    if width is None:
        return [f"{margin}{shown}"] if shown else []
    return textwrap.wrap(
        shown, width, initial_indent=margin, subsequent_indent=margin, break_long_words=False, break_on_hyphens=False
    )


def _verdicts(report: Report) -> Table:
    titles = ["VERDICT", "WORKLOADS", "PODS", "VCPU", "MEMORY", *_money_titles(report), "MEANING"]
    rows: list[Sequence[str]] = [
        [str(verdict), *_sums(total, report), verdict.meaning]
        for verdict, total in report.verdicts.items()
        if total.workloads
    ]
    return titles, rows, frozenset(range(1, len(titles) - 1))


def _sums(total: Total, report: Report) -> list[str]:
    sums = [f"{total.workloads:,}", f"{total.pods:,}", vcpu(total.requests), memory(total.requests)]
    return sums + _money(total.cost, report)


def _money_titles(report: Report) -> list[str]:
    return ["COST/H", "SAVES/H"] if report.prices is not None else []


def _money(cost: Cost | None, report: Report) -> list[str]:
    if report.prices is None:
        return []
    return ["-", "-"] if cost is None else [per_hour(cost.now), per_hour(cost.saved)]


def _fixes(report: Report, width: int | None) -> str:
    shown = report.blockers[:_MOST]
    titles = ["WORKLOADS", "VCPU", "MEMORY", *(["COST/H"] if report.prices is not None else []), "IMAGE"]
    rows: list[Sequence[str]] = [_fix(each, report) for each in shown]
    head, *lines = _lines((titles, rows, frozenset(range(len(titles) - 1))), width)
    told = list(head)
    for each, blocker in zip(lines, shown, strict=True):
        told += [*each, *_wrapped(_away(blocker), 8 if len(each) > 1 else 11, width)]
    if left := len(report.blockers) - len(shown):
        told.append(f"and {left} more: -o json has them all")
    return "\n".join(told)


def _fix(blocker: Blocker, report: Report) -> list[str]:
    held = blocker.held
    cost = [per_hour(held.cost.now)] if report.prices is not None else []
    update = f" (has it as {blocker.update})" if blocker.update else ""
    return [f"{held.workloads:,}", vcpu(held.requests), memory(held.requests), *cost, f"{blocker.image}{update}"]


def _away(blocker: Blocker) -> str:
    """Those that are one sidecar away, else those that are one image away."""
    owners = blocker.sidecar_away or blocker.one_away
    if not owners:
        return ""
    what = "one sidecar away" if blocker.sidecar_away else "one image away"
    named = ", ".join(map(str, owners[:_NAMED]))
    more = f" and {len(owners) - _NAMED} more" if len(owners) > _NAMED else ""
    return printing.plain(f"{what}: {named}{more}")


def _rows(report: Report, *, wide: bool) -> Table:
    used = ["VCPU USED", "MEM USED", "ON IT"] if wide else []
    titles = [
        "VERDICT",
        "AT RISK",
        "NAMESPACE",
        "KIND",
        "NAME",
        "PODS",
        "VCPU",
        "MEMORY",
        *used,
        *_money_titles(report),
    ]
    rows: list[Sequence[str]] = [[*_cells(row, report, wide=wide), _cause(row)] for row in report.rows]
    return [*titles, "WHY"], rows, frozenset(range(5, len(titles)))


def _cells(row: Row, report: Report, *, wide: bool) -> list[str]:
    workload, owner = row.workload, row.workload.owner
    cells = [str(row.verdict), str(row.judgement.risk or "-"), owner.namespace, owner.kind, owner.name]
    cells += [f"{workload.pods:,}", vcpu(workload.requests), memory(workload.requests)]
    if wide:
        usage = workload.usage
        cells += [vcpu(usage) if usage else "-", memory(usage) if usage else "-", vcpu(row.there)]
    return cells + _money(row.cost, report)


def _cause(row: Row) -> str:
    held = "holds back whole nodes; " if row.nodes_held else ""
    return f"{held}{row.judgement.cause}" or "-"


def _csv(report: Report) -> str:
    """A line for each workload."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = [
        "namespace",
        "kind",
        "name",
        "verdict",
        "at_risk",
        "pods",
        "vcpu",
        "memory_gib",
        "vcpu_used",
        "memory_gib_used",
    ]
    writer.writerow([*names, "vcpu_there", "cost_per_hour", "saved_per_hour", "blocking", "fields", "cause"])
    for row in report.rows:
        writer.writerow([_cell(value) for value in _values(row)])
    return buffer.getvalue()


def _values(row: Row) -> Iterable[str | float | int]:
    workload, judgement, owner = row.workload, row.judgement, row.workload.owner
    usage, cost = workload.usage, row.cost
    return (
        owner.namespace,
        owner.kind,
        owner.name,
        str(judgement.verdict),
        str(judgement.risk or ""),
        workload.pods,
        round(workload.requests.cores, 3),
        round(workload.requests.gib, 3),
        round(usage.cores, 3) if usage else "",
        round(usage.gib, 3) if usage else "",
        round(row.there.cores, 3),
        round(cost.now, 6) if cost else "",
        round(cost.saved, 6) if cost else "",
        " ".join(judgement.blocking),
        "; ".join(judgement.fields),
        judgement.cause,
    )


def _cell(value: str | float) -> str | float:
    """A cell; text that a spreadsheet would compute is marked as text."""
    if not isinstance(value, str):
        return value
    shown = printing.plain(value)
    return f"'{shown}" if shown.startswith(_FORMULA) or value.startswith(_FORMULA) else shown


def _markdown(report: Report) -> str:
    parts = [f"# {_escaped(_title(report))}", f"**{_escaped(_capital(headline(report)))}.**{_escaped(_danger(report))}"]
    parts.append(_as_markdown(_verdicts(report)))
    if report.blockers:
        titles = ["Workloads", "vCPU", "Memory", *(["Cost/h"] if report.prices is not None else []), "Image", "Away"]
        rows: list[Sequence[str]] = [[*_fix(each, report), _away(each)] for each in report.blockers]
        parts += ["## Fix first", _as_markdown((titles, rows, frozenset(range(len(titles) - 2))))]
    if report.rows:
        parts += ["## Workloads", _as_markdown(_rows(report, wide=True))]
    parts += [f"{ADVICE}:\n\n{_indented(lines)}" for lines in report.lines]
    parts += ["## Notes", "\n".join(f"- {_escaped(line)}" for line in footer(report))]
    return "\n\n".join(parts) + "\n"


def _as_markdown(table: Table) -> str:
    titles, rows, right = table
    rule = ["---:" if index in right else "---" for index in range(len(titles))]
    lines = [titles, rule, *([_escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(value: str) -> str:
    """Text that Markdown shows as it is: no markup, no link, no cell of its own."""
    return _MARKUP.sub(r"\\\1", printing.plain(value))
