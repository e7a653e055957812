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
from rightarch.cli.report_words import capital, footer, headline, memory, money, vcpu, worth
from rightarch.report.report import Blocker, Report, Row, Total

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


def _tables(report: Report, *, wide: bool, to_file: bool) -> str:
    width = None if to_file or wide else printing.terminal_width()
    parts = ["\n".join([_title(report), *_said(report)])]
    if report.rows:
        parts.append(_shown(_verdicts(report), width))
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
    """How many workloads are at risk, to be read after the headline; nothing where it is not known of any."""
    told = [f"{count} {risk}" for risk, count in report.risks.items() if count]
    return f" At risk today: {', '.join(told)}." if told else ""


def _said(report: Report) -> list[str]:
    """What stands above the tables: the headline, what moving is worth, and what can't be had."""
    told = (headline(report), worth(report), report.shortage)
    first, *others = [f"{capital(sentence)}." for sentence in told if sentence]
    return [f"{first}{_danger(report)}", *map(printing.plain, others)]


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
    found = {verdict: total for verdict, total in report.verdicts.items() if total.workloads}
    rows: list[Sequence[str]] = [
        [str(verdict), *_sums(total, report), verdict.meaning] for verdict, total in found.items()
    ]
    if len(found) > 1:
        rows.append(["Total", *_sums(report.total, report), ""])
    return titles, rows, frozenset(range(1, len(titles) - 1))


def _sums(total: Total, report: Report) -> list[str]:
    sums = [f"{total.workloads:,}", f"{total.pods:,}", vcpu(total.requests), memory(total.requests)]
    return [*sums, *(money(total.cost) if report.prices is not None else ())]


def _money_titles(report: Report) -> list[str]:
    return ["COST/H", "COULD SAVE/H"] if report.prices is not None else []


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
    cost = [money(held.cost)[0]] if report.prices is not None else []
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
    cells = [str(row.verdict), _risk(row, report), owner.namespace, owner.kind, owner.name]
    cells += [f"{workload.pods:,}", vcpu(workload.requests), memory(workload.requests)]
    if wide:
        usage = workload.usage
        cells += [vcpu(usage) if usage else "-", memory(usage) if usage else "-"]
        cells.append(vcpu(row.there) if report.origin.placed else "?")
    return [*cells, *(money(row.cost) if report.prices is not None else ())]


def _risk(row: Row, report: Report) -> str:
    """Whether it is at risk; which can't be told where it is not known which nodes there are."""
    return str(row.judgement.risk or ("-" if report.origin.placed else "?"))


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
        writer.writerow([_cell(value) for value in _values(row, placed=report.origin.placed)])
    return buffer.getvalue()


def _values(row: Row, *, placed: bool) -> Iterable[str | float | int]:
    workload, judgement, owner = row.workload, row.judgement, row.workload.owner
    usage, cost = workload.usage, row.cost
    return (
        owner.namespace,
        owner.kind,
        owner.name,
        str(judgement.verdict),
        str(judgement.risk or ("" if placed else "?")),
        workload.pods,
        round(workload.requests.cores, 3),
        round(workload.requests.gib, 3),
        round(usage.cores, 3) if usage else "",
        round(usage.gib, 3) if usage else "",
        round(row.there.cores, 3) if placed else "",
        round(cost.now, 6) if cost and cost.known else "",
        round(cost.saved, 6) if cost and cost.saving_known else "",
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
    first, *others = map(_escaped, _said(report))
    parts = [f"# {_escaped(_title(report))}", f"**{first}**", *others]
    if report.rows:
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
