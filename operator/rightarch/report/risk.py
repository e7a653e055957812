"""Risks: what may go wrong with a workload's pods today, by what is known of their images. Pure."""

from collections.abc import Sequence

from rightarch import pod as pods
from rightarch.affinity import Constraints
from rightarch.capacity import Demand, Offer
from rightarch.platforms import common_architectures
from rightarch.report.case import Case, implied, lacks, stays
from rightarch.report.verdict import Judgement, Risk, Verdict
from rightarch.report.workload import Placed, Workload


def risk(workload: Workload, cases: Sequence[Case], each: Sequence[Judgement]) -> Risk | None:
    """What may go wrong with the pods that there are, by what is known of their images."""
    emulated = [judgement.verdict is Verdict.EMULATED for judgement in each]
    if any(not emulated[placed.shape] and _is_misplaced(cases[placed.shape], placed) for placed in workload.placed):
        return Risk.MISPLACED
    return Risk.EXPOSED if any(map(_is_exposed, cases)) else None


def _is_misplaced(case: Case, placed: Placed) -> bool:
    """Whether an image does not run on the node of its pods; one that does not say what it is tells nothing."""
    node = case.asked.nodes.get(placed.node)
    if node is None or not node.architecture or not node.os or case.foreign:
        return False
    return any(lacks(image, node.architecture, node.os) for image in case.known())


def _is_exposed(case: Case) -> bool:
    """Whether the cluster has, or may get, a node that admits the pods as they are now, and an image does not."""
    shape = case.shape
    if not case.known() or (not shape.stored and case.asked.guarded) or stays(shape.pod) or case.foreign:
        return False
    constraints = pods.constraints(implied(shape.pod, case.asked.nodes))
    return any(_is_exposed_to(case, constraints, os) for os in case.asked.nodes.capacity.oses | {case.os})


def _is_exposed_to(case: Case, constraints: Constraints, os: str) -> bool:
    """Whether nodes of an operating system are a danger: the scheduler knows none of the image, nor ``spec.os``.

    Of another system than the pod's they count where they are sure: most NodePools name none, and never buy Windows.
    """
    capacity, own = case.asked.nodes.capacity, os == case.os
    assumed = case.policy.facts.assumed if own else frozenset()
    elsewhere = (capacity.architectures(os) | assumed) - common_architectures(case.known(), os)
    wrong = constraints.admitted(elsewhere, os)
    offers = capacity.answer(Demand(constraints, wrong, os, pods.tolerations(case.shape.pod), assumed)).offers
    return any(offer is Offer.YES or (own and offer is Offer.UNKNOWN) for offer in offers.values())
