"""Divisions: how the share of a policy divides a workload's pods, of which an explanation shows one."""

from collections.abc import Sequence
from dataclasses import dataclass

from rightarch import pod as pods
from rightarch.cli.engine import Judged
from rightarch.placement import SHARE, Decision, Input, decide
from rightarch.placement.shares import possible, preferred
from rightarch.pod import Pod
from rightarch.policy import Architectures


@dataclass(frozen=True, slots=True)
class Part:
    """Those of a workload's pods that prefer the same.

    Attributes:
        share: their label ``rightarch.dev/share``.
        percent: of the workload's pods: what the policy says, in proportion where pods can't make all its choices.
        architectures: that they prefer, sorted.
    """

    share: str
    percent: float
    architectures: tuple[str, ...]


def division(judged: Judged) -> tuple[Part, ...]:
    """The parts of a workload's pods, in the policy's order; none where what is shown of one pod holds for all."""
    subject, decision = judged.subject, _of_pod(judged)
    if not subject.workload.path:
        return ()
    stated = subject.policy.choices.architectures
    room = pods.constraints(judged.placed).admitted(frozenset(decision.architectures), decision.os)
    choices = {choice: percent for choice, percent in possible(stated, room).items() if percent > 0}
    if decision.share is None or len(choices) < 2 or not _may_differ(subject.pod, decision.share, stated):
        return ()
    whole = sum(choices.values())
    return tuple(
        Part(choice, round(100 * percent / whole, 1), tuple(sorted(preferred(choice, stated, room))))
        for choice, percent in choices.items()
    )


def told(parts: Sequence[Part]) -> str:
    """The parts, two or more, for people."""
    first, *rest = [(f"{part.percent:g} %", " or ".join(part.architectures)) for part in parts]
    each = [f"{percent} {architectures}" for percent, architectures in rest[:-1]]
    return ", ".join([f"{first[0]} of its pods prefer {first[1]}", *each, f"the others {rest[-1][1]}"])


def _of_pod(judged: Judged) -> Decision:
    """What is decided about a pod of the workload: a template that is written has no share, and its pods have one."""
    subject = judged.subject
    if not subject.in_template:
        return judged.decision
    return decide(Input(judged.placed, judged.decision.images, policy=subject.policy, namespace=subject.namespace))


def _may_differ(pod: Pod, share: str, stated: Architectures) -> bool:
    """Whether the workload's other pods may choose otherwise: labels that all of them have settle it."""
    labels = pods.labels(pod)
    return labels.get(SHARE) != share and not (stated.same_for and labels.get(stated.same_for))
