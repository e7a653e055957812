"""Pins: what of a pod, or of its policy, keeps it from an architecture that its images have. Pure.

It is asked of the engine as if each of the images ran on that architecture alone.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from rightarch import pod as pods
from rightarch.affinity import ARCH_KEYS, OS_KEYS, Constraints, Expression, Term
from rightarch.capacity import Demand, Offer, current
from rightarch.capacity import Verdict as Offered
from rightarch.placement import Decision, Input, decide
from rightarch.platforms import ImagePlatforms, Platform
from rightarch.pod import MIRROR, Pod
from rightarch.reasons import Reason
from rightarch.report.case import Case, implied, of_expression, stays
from rightarch.report.nodes import NAMING, Nodes
from rightarch.report.verdict import Judgement, Verdict

_TERMS: Final = f"spec.affinity.nodeAffinity.{pods.REQUIRED}.nodeSelectorTerms"
_TOLERATIONS: Final = "spec.tolerations"
_ALL: Final = ({"operator": "Exists"},)
"""Tolerates every taint."""


def pinned(case: Case) -> Judgement | None:
    """What of the pod itself, or of its policy, keeps it from the architecture, if anything does."""
    told = _as_if(case)
    if told.reason is Reason.SKIPPED and stays(case.shape.pod):
        return Judgement(Verdict.PINNED, told.message, fields=_node_fields(case.shape.pod))
    if told.reason is Reason.CONFLICTING_CONSTRAINT:
        fields = _fields(case)
        return Judgement(Verdict.PINNED, f"its own constraints name other machines: {', '.join(fields)}", fields=fields)
    if told.reason is Reason.NOT_ALLOWED:
        field = f"{case.policy.name}: spec.architectures.allowed"
        return Judgement(
            Verdict.PINNED, f"its policy does not allow {case.asked.architecture}: {field}", fields=(field,)
        )
    return _kept_out(case, told)


def _as_if(case: Case) -> Decision:
    """What the engine would make of the pod if each of its images ran on the wanted architecture alone."""
    image = ImagePlatforms("sha256:0", (Platform.of(case.os, case.asked.architecture),), indexed=True)
    images = dict.fromkeys(pods.image_names(case.shape.pod), image)
    policy = replace(case.policy, facts=replace(case.policy.facts, overrides=()))
    pod, capacity = implied(case.shape.pod, case.asked.nodes), case.asked.nodes.capacity
    return decide(Input(pod, images, capacity, case.shape.written, policy=policy))


def _kept_out(case: Case, told: Decision) -> Judgement | None:
    """What of the pod keeps it from all nodes of the architecture that could be had: taints, or labels it asks for."""
    architecture, added = case.asked.architecture, told.writing.tolerations if told.writing else ()
    tolerations = (*pods.tolerations(case.shape.pod), *added)
    demand = Demand(case.own, frozenset({architecture}), case.os, tolerations, case.policy.facts.assumed)
    answer = case.asked.nodes.capacity.answer(demand)
    found = answer.verdicts[architecture]
    if found.offer is not Offer.NO:
        return None
    if not found.missing:
        return _barred(case, demand)
    lacked, lines = _lacked(found), answer.toleration_lines()
    return Judgement(Verdict.PINNED, str(found), fields=(_TOLERATIONS,), tolerations=lacked, lines=lines)


def _barred(case: Case, demand: Demand) -> Judgement | None:
    """Which labels that it asks for keep it from all NodePools of the architecture, if that is what does."""
    capacity, architecture = case.asked.nodes.capacity, case.asked.architecture
    found = capacity.barred(demand, architecture)
    if found is None:
        return None
    relevant = {path: e for path, e in _entries(case.own).items() if current(e["key"]) in found.labels}
    alone = {path: replace(demand, constraints=_only(e), tolerations=_ALL) for path, e in relevant.items()}
    excluding = tuple(path for path, asked in alone.items() if capacity.barred(asked, architecture))
    fields, lacked = excluding or tuple(relevant), _lacked(found)
    return Judgement(
        Verdict.PINNED, str(found), fields=(*fields, *([_TOLERATIONS] if lacked else ())), tolerations=lacked
    )


def _lacked(found: Offered) -> tuple[Mapping[str, str], ...]:
    return tuple(taint.toleration() for taint in found.taints)


def _node_fields(pod: Pod) -> tuple[str, ...]:
    """Where a pod names its node."""
    if pods.is_mirror(pod):
        return (f'metadata.annotations["{MIRROR}"]',)
    if pods.is_bound(pod):
        return ("spec.nodeName",)
    return tuple(f"{_TERMS}[{index}].matchFields" for index in range(len(pods.required_terms(pod) or ())))


def _fields(case: Case) -> tuple[str, ...]:
    """The fields that exclude the architecture, each by itself; those that do so only together, all of them."""
    os, asked, wanted = case.os, case.asked, frozenset({case.asked.architecture})
    relevant = {path: e for path, e in _entries(case.own).items() if e["key"] in {*ARCH_KEYS, *OS_KEYS, *NAMING}}
    excluding = tuple(path for path, e in relevant.items() if not _admits(e, wanted, os, asked.nodes))
    return excluding or tuple(relevant) or (_TERMS,)


def _entries(own: Constraints) -> Mapping[str, Expression]:
    """All that constraints say, by its path into the pod."""
    entries = {f'spec.nodeSelector["{key}"]={value}': _selecting(key, value) for key, value in own.selector.items()}
    for index, term in enumerate(own.terms or ()):
        for expression in term.get("matchExpressions") or ():
            entries[f"{_TERMS}[{index}]: {_worded(expression)}"] = expression
    return entries


def _only(expression: Expression) -> Constraints:
    return Constraints({}, [{"matchExpressions": [expression]}])


def _admits(expression: Expression, wanted: frozenset[str], os: str, nodes: Nodes) -> bool:
    implied = of_expression(nodes, expression)
    terms: list[Term] = [{"matchExpressions": [expression, *([implied] if implied else [])]}]
    return bool(Constraints({}, terms).admitted(wanted, os))


def _selecting(key: str, value: str) -> Expression:
    return {"key": key, "operator": "In", "values": [value]}


def _worded(expression: Expression) -> str:
    return " ".join([expression["key"], expression["operator"], ", ".join(expression.get("values") or ())]).rstrip()
