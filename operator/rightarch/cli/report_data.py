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
    return {
        "architecture": report.architecture,
        "source": {"name": origin.name, "cluster": origin.cluster, "time": origin.time, "notes": list(origin.notes)},
        "images": {"asked": origin.images, "known": origin.known},
        "ready": {"share": round(report.ready, 4), "of": "vcpu" if report.by_cpu else "workloads"},
        "shortage": report.shortage or None,
        "atRisk": {str(risk): count for risk, count in report.risks.items()},
        "total": _total(report.total, report),
        "verdicts": _verdicts(report.verdicts, report),
        "namespaces": [
            {"namespace": name, "verdicts": _verdicts(each, report)} for name, each in report.namespaces.items()
        ],
        "fixFirst": [_blocker(each, report) for each in report.blockers],
        "workloads": [_row(each, report) for each in report.rows],
        "policyLines": list(report.lines),
        "prices": _prices(report),
        "storage": _storage(report),
    }


def money(cost: Cost | None) -> Data:
    """A cost, as far as it is known, and of how many pods it is not: of all where nobody stated prices."""
    return {
        "costPerHour": round(cost.now, 6) if cost and cost.known else None,
        "savedPerHour": round(cost.saved, 6) if cost and cost.saving_known else None,
        "unpricedPods": cost.unpriced if cost else None,
        "unmatchedPods": cost.unmatched if cost else None,
    }


def _verdicts(each: Mapping[Verdict, Total], report: Report) -> list[Data]:
    return [{"verdict": str(verdict), **_total(total, report)} for verdict, total in each.items()]


def _total(total: Total, report: Report) -> Data:
    return {
        "workloads": total.workloads,
        "pods": total.pods,
        **_amounts(total.requests),
        "there": _amounts(total.there) if report.origin.placed else None,
        **money(total.cost if report.prices is not None else None),
    }


def _amounts(resources: Resources) -> Data:
    return {"vcpu": round(resources.cores, 3), "memoryBytes": resources.memory}


def _blocker(blocker: Blocker, report: Report) -> Data:
    return {
        "image": blocker.image,
        "update": blocker.update,
        **_total(blocker.held, report),
        "blocks": [_owner(each) for each in blocker.owners],
        "oneImageAway": [_owner(each) for each in blocker.one_away],
        "oneSidecarAway": [_owner(each) for each in blocker.sidecar_away],
    }


def _row(row: Row, report: Report) -> Data:
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
        "there": _amounts(row.there) if report.origin.placed else None,
        "usage": _amounts(usage) if usage else None,
        **money(row.cost),
    }


def _owner(owner: Owner) -> Data:
    return {"namespace": owner.namespace, "kind": owner.kind, "name": owner.name}


def _prices(report: Report) -> Data | None:
    if report.prices is None:
        return None
    fleet = report.fleet
    return {
        "source": report.prices,
        "pricedNodes": fleet.priced,
        "nodes": fleet.nodes,
        "nodesPerHour": round(fleet.cost, 6) if fleet.priced else None,
        "missingTypes": list(fleet.missing),
        "untypedNodes": list(fleet.untyped),
        "unreadNodes": dict(fleet.unread),
    }


def _storage(report: Report) -> Data | None:
    storage = report.storage
    if storage is None:
        return None
    return {
        "bytes": storage.total if storage.images else None,
        "platforms": dict(storage.sizes),
        "images": storage.images,
        "passedOver": dict(storage.passed),
    }
