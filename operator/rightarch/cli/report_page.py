"""The report as a page: one file that needs nothing else, and asks nobody for anything.

All names come from the cluster, where others chose them. The template escapes each, and the page allows itself no
script and no style but its own, by their hashes.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rightarch.cli import printing, report_text, report_words
from rightarch.report.report import Blocker, Report, Row, Total
from rightarch.report.verdict import Verdict
from rightarch.report.workload import Owner

_SPACES: Final = 12
_BARS: Final = 12
_FINDINGS: Final = 6
_OWNERS: Final = 6
_ROW_HEIGHT: Final = 34
"""Of the chart's rows, in CSS pixels; the style sheet has it too."""

_LAST: Final = "-Infinity"
"""Where a sum that is not known is sorted, in JavaScript's spelling."""

View = dict[str, Any]


def page(report: Report) -> str:
    """The report as HTML."""
    environment = Environment(
        autoescape=True,
        loader=PackageLoader("rightarch.cli", "page"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    parts = _headed(report) | _charts(report) | _table(report)
    return f"{environment.get_template('report.html.j2').render(parts).strip()}\n"


def _headed(report: Report) -> View:
    """What stands above the charts, and the file's own parts."""
    css, js = _own("report.css"), _own("report.js")
    title = f"{report.architecture} readiness of {report.origin.name}"
    told = f"of the {'requested vCPU' if report.by_cpu else 'workloads'} can run on {report.architecture} as it is"
    ready = f"{report.verdicts[Verdict.READY].workloads:,} of {len(report.rows):,} workloads"
    return {
        "title": printing.plain(title),
        "architecture": report.architecture,
        "source": printing.plain(report.origin.name),
        "time": report.origin.time,
        "time_shown": report.origin.time.replace("T", " ").removesuffix("Z") + " UTC",
        "headline": report_words.headline(report),
        "told": [printing.plain(f"{report_words.capital(each)}.") for each in _told(report)],
        "share": report_words.percent(report.ready).removesuffix(" %").replace("over ", ">").replace("under ", "<"),
        "share_of": f"{told}: {ready}" if report.by_cpu else told,
        "facts": list(_facts(report)),
        "notes": [printing.plain(line) for line in report_words.footer(report)],
        "css": Markup(css),  # noqa: S704 - files of our own
        "js": Markup(js),  # noqa: S704 - likewise
        "css_hash": _hash(css),
        "js_hash": _hash(js),
    }


def _told(report: Report) -> Iterable[str]:
    """Sentences that stand below the share."""
    return filter(None, (report_words.worth(report), report.shortage))


def _charts(report: Report) -> View:
    spaces = [_space(name, totals, report) for name, totals in report.namespaces.items()]
    findings = [_finding(each, number, report) for number, each in enumerate(report.blockers)]
    return {
        "whole": _segments(report.verdicts, report),
        "legend": [_legend(verdict, total, report) for verdict, total in report.verdicts.items() if total.workloads],
        "measure": "Requested vCPU" if report.by_cpu else "Workloads",
        "spaces": spaces[:_SPACES],
        "more_spaces": spaces[_SPACES:],
        "weighed": {"cost": "cost", "cpu": "requested vCPU", "count": "workloads"}[_weighed(report)],
        "weighed_short": {"cost": "per hour", "cpu": "vCPU", "count": "workloads"}[_weighed(report)],
        "pareto": _pareto(report),
        "findings": findings[:_FINDINGS],
        "more_findings": findings[_FINDINGS:],
        "advice": report_text.ADVICE,
        "lines": list(report.lines),
    }


def _table(report: Report) -> View:
    numbers, measured = ["Pods", "vCPU", "Memory"], any(row.workload.usage for row in report.rows)
    numbers += ["vCPU used", "Memory used"] if measured else []
    numbers += ["Cost/h", "Could save/h"] if report.prices is not None else []
    columns: list[View] = [
        {"name": name, "number": False} for name in ("Verdict", "At risk", "Namespace", "Kind", "Name")
    ]
    columns += [{"name": name, "number": True} for name in numbers] + [{"name": "Why", "number": False}]
    images = {each.image: number for number, each in enumerate(report.blockers)}
    placed = report.origin.placed
    rows = [_row(row, order, images, measured=measured, placed=placed) for order, row in enumerate(report.rows)]
    return {"columns": columns, "rows": rows}


def _facts(report: Report) -> Iterable[View]:
    total = report.total
    held = report.verdicts[Verdict.BLOCKED].requests + report.verdicts[Verdict.READY_WITH_UPDATE].requests
    yield _fact(
        "Workloads",
        f"{total.workloads:,}",
        f"{report_words.counted(total.pods, 'pod')}, {report_words.counted(len(report.namespaces), 'namespace')}",
    )
    yield _fact("Requested", f"{report_words.vcpu(total.requests)} vCPU", report_words.memory(total.requests))
    yield _fact(
        f"Held back by images without {report.architecture}",
        f"{report_words.vcpu(held)} vCPU",
        report_words.memory(held),
    )
    if report.prices is not None:
        yield _saved(report)
    yield _at_risk(report)


def _saved(report: Report) -> View:
    """What moving what is ready would save, as far as it is known."""
    ready, every = report.verdicts[Verdict.READY].cost, report.total.cost
    if not ready.saving_known or not every.known:
        return _fact("Saved by moving what is ready", "?", "prices are missing")
    saved, cost = report_words.money(ready)[1], report_words.money(every)[0]
    return _fact("Saved by moving what is ready", f"{saved} /h", f"of {cost} /h")


def _at_risk(report: Report) -> View:
    """What may go wrong today, as far as it is known."""
    known = {risk: count for risk, count in report.risks.items() if count is not None}
    told = ", ".join(f"{count:,} {risk}" for risk, count in known.items())
    sum_told = f"{sum(known.values()):,}" if known else "?"
    return _fact("At risk today", sum_told, told or "it is not known which nodes there are")


def _fact(name: str, value: str, more: str) -> View:
    return {"name": name, "value": value, "more": more}


def _legend(verdict: Verdict, total: Total, report: Report) -> View:
    told = [
        report_words.counted(total.workloads, "workload"),
        *([f"{report_words.vcpu(total.requests)} vCPU"] if report.by_cpu else []),
    ]
    return {"verdict": str(verdict), "meaning": verdict.meaning, "told": told}


def _space(name: str, totals: Mapping[Verdict, Total], report: Report) -> View:
    every = Total()
    for each in totals.values():
        every = Total(every.workloads + each.workloads, every.pods, every.requests + each.requests)
    size = f"{report_words.vcpu(every.requests)} vCPU" if report.by_cpu else f"{every.workloads:,}"
    told = ", ".join(f"{verdict} {_size(total, report)}" for verdict, total in totals.items())
    return {"name": printing.plain(name), "segments": _segments(totals, report), "told": told, "size": size}


def _segments(totals: Mapping[Verdict, Total], report: Report) -> list[View]:
    """The parts of a bar; in a namespace that asks for nothing, workloads are counted."""
    weights = {verdict: float(total.requests.cpu) for verdict, total in totals.items()}
    if not report.by_cpu or not sum(weights.values()):
        weights = {verdict: float(total.workloads) for verdict, total in totals.items()}
    everything, start, found = sum(weights.values()), 0.0, []
    for verdict, weight in weights.items():
        width = 100 * weight / everything if everything else 0.0
        told = _size(totals[verdict], report)
        found.append({"verdict": str(verdict), "start": round(start, 3), "width": round(width, 3), "told": told})
        start += width
    return [each for each in found if each["width"]]


def _size(total: Total, report: Report) -> str:
    cpu = f", {report_words.vcpu(total.requests)} vCPU" if report.by_cpu else ""
    return f"{report_words.counted(total.workloads, 'workload')}{cpu}"


def _weighed(report: Report) -> str:
    """By what images are ranked."""
    if any(each.held.cost.now for each in report.blockers):
        return "cost"
    return "cpu" if any(each.held.requests.cpu for each in report.blockers) else "count"


def _weight(total: Total, by: str) -> float:
    return {"cost": total.cost.now, "cpu": total.requests.cores, "count": float(total.workloads)}[by]


def _pareto(report: Report) -> list[View]:
    """The bars, and the line that adds them up: the share of what all of them hold back, each workload once."""
    by, rows = _weighed(report), {row.workload.owner: row for row in report.rows}
    everything = _weight(Total.of(rows[owner] for owner in _held(report.blockers)), by)
    found, seen = [], dict[Owner, None]()
    for number, blocker in enumerate(report.blockers[:_BARS]):
        seen |= dict.fromkeys(blocker.owners)
        weight, together = _weight(blocker.held, by), _weight(Total.of(rows[owner] for owner in seen), by)
        share = together / everything if everything else 0.0
        found.append(
            {
                "image": printing.plain(blocker.image),
                "href": f"image-{number}",
                "width": round(100 * weight / everything, 3) if everything else 0,
                "value": _weight_told(weight, by),
                "sum": round(100 * share, 3),
                "sum_told": report_words.percent(share),
                "y": number * _ROW_HEIGHT + _ROW_HEIGHT // 2,
            }
        )
    return found


def _held(blockers: Sequence[Blocker]) -> Iterable[Owner]:
    return dict.fromkeys(owner for each in blockers for owner in each.owners)


def _weight_told(weight: float, by: str) -> str:
    if by == "cost":
        return report_words.per_hour(weight)
    return f"{weight:,.1f}" if by == "cpu" else f"{weight:,.0f}"


def _finding(blocker: Blocker, number: int, report: Report) -> View:
    held = blocker.held
    size = f"{report_words.vcpu(held.requests)} vCPU, {report_words.memory(held.requests)}"
    told = f"{report_words.counted(held.workloads, 'workload')}, {size}"
    told += f", {report_words.money(held.cost)[0]} an hour" if report.prices is not None and held.cost.known else ""
    away, helped = frozenset(blocker.one_away), frozenset(blocker.sidecar_away)
    alone = [each for each in blocker.one_away if each not in helped]
    others = [each for each in blocker.owners if each not in away]
    lists = (
        ("One sidecar away", blocker.sidecar_away),
        ("One image away", alone),
        ("Held back by others too", others),
    )
    return {
        "id": f"image-{number}",
        "href": f"image-{number}",
        "image": printing.plain(blocker.image),
        "held": told,
        "newer": printing.plain(blocker.update) if blocker.update else "",
        "lists": [(title, *_some(owners)) for title, owners in lists if owners],
    }


def _some(owners: Sequence[Owner]) -> tuple[list[View], int]:
    shown = [{"href": quote(_id(each)), "name": printing.plain(str(each))} for each in owners[:_OWNERS]]
    return shown, len(owners) - len(shown)


def _row(row: Row, order: int, images: Mapping[str, int], *, measured: bool, placed: bool) -> View:
    """A row of the table, in which usage has columns where any was measured.

    Args:
        row: what is shown.
        order: its place.
        images: the number of each image that has a finding.
        measured: whether there are columns of what pods use.
        placed: whether it is known which nodes there are.
    """
    owner, judgement = row.workload.owner, row.judgement
    linked = [name for name in judgement.blocking if name in images]
    return {
        "id": _id(owner),
        "href": quote(_id(owner)),
        "order": order,
        "verdict": str(row.verdict),
        "risk": str(judgement.risk or ""),
        "risk_known": placed,
        "namespace": printing.plain(owner.namespace),
        "kind": printing.plain(owner.kind),
        "name": printing.plain(owner.name),
        "numbers": list(_numbers(row, measured=measured)),
        "held": row.nodes_held,
        "cause": "" if linked and row.verdict is Verdict.BLOCKED else printing.plain(judgement.cause),
        "images": [{"href": f"image-{images[name]}", "name": printing.plain(name)} for name in linked],
        "fields": [printing.plain(each) for each in judgement.fields if each not in judgement.cause],
    }


def _numbers(row: Row, *, measured: bool) -> Iterable[View]:
    workload, usage, cost = row.workload, row.workload.usage, row.cost
    yield {"value": workload.pods, "told": f"{workload.pods:,}"}
    yield {"value": workload.requests.cpu, "told": report_words.vcpu(workload.requests)}
    yield {"value": workload.requests.memory, "told": report_words.memory(workload.requests)}
    if measured:
        yield {"value": usage.cpu if usage else -1, "told": report_words.vcpu(usage) if usage else "-"}
        yield {"value": usage.memory if usage else -1, "told": report_words.memory(usage) if usage else "-"}
    if cost is not None:
        now, saved = report_words.money(cost)
        yield {"value": cost.now if cost.known else _LAST, "told": now}
        yield {"value": cost.saved if cost.saving_known else _LAST, "told": saved}


def _id(owner: Owner) -> str:
    """An anchor that stays: the same workload has it in each report."""
    return "".join(
        "-" if character.isspace() else character for character in f"{owner.namespace}/{owner.kind}/{owner.name}"
    )


def _own(name: str) -> str:
    return files("rightarch.cli").joinpath("page", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """A part of the page, as a content security policy names it."""
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
