"""The report for programs: keys that stay, documented in docs/report.md."""

from collections.abc import Mapping
from typing import Any

from rightarch.report.money import Cost
from rightarch.report.report import Blocker, Report, Row, Total
from rightarch.report.resources import Resources
from rightarch.report.verdict import Verdict
from rightarch.report.workload import Owner

Data = dict[str, Any]


def data(report: Report) -> Data:
    """The report as JSON and YAML have it."""
    origin = report.origin
    priced = report.prices is not None
    return {
        "architecture": report.architecture,
        "source": {"name": origin.name, "cluster": origin.cluster, "time": origin.time, "notes": list(origin.notes)},
        "images": {"asked": origin.images, "known": origin.known},
        "ready": {"share": round(report.ready, 4), "of": "vcpu" if report.by_cpu else "workloads"},
        "atRisk": {str(risk): count for risk, count in report.risks.items()},
        "total": _total(report.total, priced=priced),
        "verdicts": _verdicts(report.verdicts, priced=priced),
        "namespaces": [
            {"namespace": name, "verdicts": _verdicts(each, priced=priced)} for name, each in report.namespaces.items()
        ],
        "fixFirst": [_blocker(each, priced=priced) for each in report.blockers],
        "workloads": [_row(each) for each in report.rows],
        "policyLines": list(report.lines),
        "prices": _prices(report),
        "storage": _storage(report),
    }


def money(cost: Cost | None) -> Data:
    """A cost, unless nobody stated prices."""
    if cost is None:
        return {"costPerHour": None, "savedPerHour": None}
    return {"costPerHour": round(cost.now, 6), "savedPerHour": round(cost.saved, 6)}


def _verdicts(each: Mapping[Verdict, Total], *, priced: bool) -> list[Data]:
    return [{"verdict": str(verdict), **_total(total, priced=priced)} for verdict, total in each.items()]


def _total(total: Total, *, priced: bool) -> Data:
    return {
        "workloads": total.workloads,
        "pods": total.pods,
        **_amounts(total.requests),
        "there": _amounts(total.there),
        **money(total.cost if priced else None),
    }


def _amounts(resources: Resources) -> Data:
    return {"vcpu": round(resources.cores, 3), "memoryBytes": resources.memory}


def _blocker(blocker: Blocker, *, priced: bool) -> Data:
    return {
        "image": blocker.image,
        "update": blocker.update,
        **_total(blocker.held, priced=priced),
        "blocks": [_owner(each) for each in blocker.owners],
        "oneImageAway": [_owner(each) for each in blocker.one_away],
        "oneSidecarAway": [_owner(each) for each in blocker.sidecar_away],
    }


def _row(row: Row) -> Data:
    workload, judgement = row.workload, row.judgement
    usage = workload.usage
    return {
        **_owner(workload.owner),
        "verdict": str(judgement.verdict),
        "atRisk": str(judgement.risk) if judgement.risk else None,
        "holdsBackNodes": row.nodes_held,
        "cause": judgement.cause,
        "blocking": list(judgement.blocking),
        "unknown": [{"image": name, "reason": str(reason)} for name, reason in judgement.unknown],
        "fields": list(judgement.fields),
        "tolerations": [dict(each) for each in judgement.tolerations],
        "updates": dict(judgement.updates),
        "images": {name: sorted(map(str, roles)) for name, roles in workload.images.items()},
        "pods": workload.pods,
        "unseenPods": workload.unseen,
        **_amounts(workload.requests),
        "there": _amounts(row.there),
        "usage": _amounts(usage) if usage else None,
        **money(row.cost),
        "unpricedPods": row.cost.unpriced if row.cost else None,
        "unmatchedPods": row.cost.unmatched if row.cost else None,
    }


def _owner(owner: Owner) -> Data:
    return {"namespace": owner.namespace, "kind": owner.kind, "name": owner.name}


def _prices(report: Report) -> Data | None:
    if report.prices is None:
        return None
    priced, nodes = report.priced
    return {"source": report.prices, "pricedNodes": priced, "nodes": nodes, "nodesPerHour": round(report.fleet, 6)}


def _storage(report: Report) -> Data | None:
    storage = report.storage
    if storage is None:
        return None
    return {
        "bytes": storage.total,
        "platforms": dict(storage.sizes),
        "images": storage.images,
        "passedOver": dict(storage.passed),
    }
