"""The report in words: its figures as people read them, the sentences above them, and those below."""

from collections.abc import Iterable, Iterator
from typing import Final

from rightarch.cli import printing
from rightarch.report.money import Cost, Fleet
from rightarch.report.report import Report
from rightarch.report.resources import Resources
from rightarch.report.storage import Passed, Storage
from rightarch.report.verdict import Verdict

_HOURS: Final = 730
"""Of a month, as providers count."""
_NAMED: Final = 5


def headline(report: Report) -> str:
    """What the report says in a sentence."""
    if not report.rows:
        return "there is no workload to report on"
    ready = report.verdicts[Verdict.READY].workloads
    told = f"{ready:,} of {len(report.rows):,} workloads can run on {report.architecture} as they are"
    if not report.by_cpu:
        return told
    told = f"{told}: {percent(report.ready)} of the requested vCPU"
    if not report.origin.placed:
        return told
    there = report.total.there.cpu / report.total.requests.cpu
    return f"{told}; {percent(there)} is on {report.architecture} nodes now"


def worth(report: Report) -> str:
    """What moving saves, in a sentence; empty without prices, and without workloads."""
    if report.prices is None or not report.rows:
        return ""
    cost, saved = report.total.cost, report.verdicts[Verdict.READY].cost
    if not cost.known or not saved.saving_known:
        return "what moving saves is not known: the notes tell which prices are missing"
    fixed = sum(report.verdicts[verdict].cost.saved for verdict in (Verdict.READY_WITH_UPDATE, Verdict.BLOCKED))
    more = f"; fixing the images adds {per_hour(fixed)} an hour" if fixed > 0 else ""
    return f"moving what is Ready {_saving(saved, cost)}{more}"


def _saving(saved: Cost, cost: Cost) -> str:
    """What moving saves, of all costs where all are known, and in a month."""
    part, month = cost.part or saved.saving_part, saved.saved * _HOURS
    if saved.saved <= 0:
        dearer = f"costs {per_hour(-saved.saved)} an hour more" if saved.saved else "saves nothing"
        return f"{dearer}, as far as prices are known" if part else dearer
    of, share = ("", "") if part else (f" of {per_hour(cost.now)}", f" ({percent(saved.saved / cost.now)})")
    told = f"saves {'at least ' if part else ''}{per_hour(saved.saved)}{of} an hour{share}"
    return f"{told}, about {month:,.0f} a month" if month >= 1 else told


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
    """Memory in GiB, likewise; in MiB, rounded up, where it is less than one."""
    if resources.memory < 2**30:
        return f"{-(-resources.memory // 2**20)} MiB"
    return f"{resources.gib:,.0f} GiB" if resources.gib >= 100 else f"{resources.gib:,.1f} GiB"


def per_hour(amount: float) -> str:
    """An amount of money for an hour."""
    return f"{amount:,.2f}" if abs(amount) >= 0.1 or abs(amount) < 0.00005 else f"{amount:,.4f}"


def money(cost: Cost | None) -> tuple[str, str]:
    """What pods cost and what moving them would save; of what nothing is known, a dash, and never nothing."""
    if cost is None:
        return "-", "-"
    now = f"{'≥ ' if cost.part else ''}{per_hour(cost.now)}" if cost.known else "-"
    least = "≥ " if cost.saving_part and cost.saved >= 0 else ""
    return now, f"{least}{per_hour(cost.saved)}" if cost.saving_known else "-"


def footer(report: Report) -> list[str]:
    """What must be known to read the figures, sentence by sentence."""
    said = list(_priced(report)) if report.prices is not None else [_unpriced(report)]
    if report.idle:
        said.append(_idle(report))
    if report.storage is not None:
        said.append(_stored(report.storage))
    return [*said, _asked(report), *(f"{capital(note)}." for note in report.origin.notes)]


def _unpriced(report: Report) -> str:
    why = "manifests tell of no machine that could have one"
    if report.origin.cluster:
        why = "nobody stated a source (--prices, --price-label or --prometheus), and none is made up"
    return f"No prices: {why}; vCPU and memory are what pods request."


def capital(sentence: str) -> str:
    """A sentence as it begins."""
    return f"{sentence[:1].upper()}{sentence[1:]}"


def counted(count: int, what: str) -> str:
    """So many of something."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _priced(report: Report) -> Iterator[str]:
    cost, fleet = report.total.cost, report.fleet
    told = f", {per_hour(fleet.cost)} an hour" if fleet.priced else ""
    yield f"Prices are those of {report.prices}: {fleet.priced} of {counted(fleet.nodes, 'node')} have one{told}."
    yield (
        "A pod costs the share of its node that it requests; it would save what the cheapest "
        f"{report.architecture} machine of the same shape would cost less."
    )
    if cost.unpriced:
        yield f"No cost is known of {counted(cost.unpriced, 'pod')}: the node has no price, or there is none yet."
    yield from _missing(fleet)
    if cost.unmatched:
        yield (
            f"No saving is known of {counted(cost.unmatched, 'pod')}: the source has no {report.architecture} machine "
            "of the same shape."
        )


def _missing(fleet: Fleet) -> Iterator[str]:
    """Why nodes have no price."""
    if fleet.missing:
        yield f"The source has no price, or several, of the instance types {_listed(fleet.missing)}."
    if fleet.untyped:
        yield f"Nodes without a label of their instance type have no price: {_listed(fleet.untyped)}."
    if fleet.unread:
        said = [f"{name} ({text})" for name, text in sorted(fleet.unread.items())]
        yield f"What nodes say in the place of a price is no number above zero: {_listed(said)}."


def _listed(names: Iterable[str]) -> str:
    each = list(names)
    more = f" and {len(each) - _NAMED:,} more" if len(each) > _NAMED else ""
    return f"{', '.join(each[:_NAMED])}{more}"


def _idle(report: Report) -> str:
    told = f"{report.idle:,} of {counted(report.total.pods, 'pod')} request no CPU and count as 0 of it"
    return f"{told}." if report.by_cpu else f"{told}: workloads are ranked by their pods."


def _stored(storage: Storage) -> str:
    each = ", ".join(f"{platform} {printing.size_of(size)}" for platform, size in storage.sizes.items())
    left = "; ".join(_passed(key, count) for key, count in storage.passed.items())
    if not storage.images:
        return f"Image storage: not measured{f' ({left})' if left else ''}."
    total = f"{printing.size_of(storage.total)} in {counted(storage.images, 'image')}, compressed, shared layers once"
    return f"Image storage: {total}{': ' + each if each else ''}{f' (not measured: {left})' if left else ''}."


def _passed(key: str, count: int) -> str:
    """Why so many images were not measured."""
    images = counted(count, "image")
    if key == Passed.KNOWN:
        return f"{images} that the cluster knows; --sizes=all asks for them"
    if key == Passed.DOCKER_HUB:
        return f"{images} of Docker Hub, which counts each request; --sizes=all asks for them"
    return f"{images} because of {key}"


def _asked(report: Report) -> str:
    images, known = report.origin.images, report.origin.known
    told = f"{counted(images, 'image')} {'was' if images == 1 else 'were'} asked of registries"
    return f"{told}, {known:,} {'was' if known == 1 else 'were'} known to the cluster." if known else f"{told}."
