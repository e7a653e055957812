"""Verdicts: whether a workload can run on an architecture, and if it can't, what keeps it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from rightarch.reasons import Reason
from rightarch.report.workload import DAEMON_SET, Workload
from rightarch.word import Word


class Verdict(Word):
    """What becomes of a workload on the wanted architecture; each member carries ``meaning``, one sentence."""

    READY = "Ready", "All images have the architecture, and nothing of the workload speaks against it."
    READY_WITH_UPDATE = (
        "ReadyWithUpdate",
        "The images that lack the architecture have it under a newer tag of the same repository and flavour.",
    )
    EMULATED = "Emulated", "The images lack the architecture, and a policy has it emulated."
    PINNED = "Pinned", "All images have the architecture, and a field of the workload keeps it from there."
    UNKNOWN = "Unknown", "What an image was built for could not be read."
    BLOCKED = "Blocked", "An image lacks the architecture."


class Risk(Word):
    """What may go wrong today; each member carries ``meaning``, one sentence."""

    MISPLACED = "misplaced", "A pod is on a node that one of its images can't run on."
    EXPOSED = "exposed", "The scheduler may put a pod on a node that one of its images can't run on."


SEVERITY: Final = tuple(Verdict)
"""The verdicts, the worst last: a workload whose pods differ has the worst of theirs."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a workload, and why.

    Attributes:
        cause: one sentence for people; empty where all is well.
        blocking: images that lack the architecture.
        unknown: images that could not be read, with the Reason.
        fields: where the workload speaks against the architecture, as paths into the pod.
        tolerations: those that the pods lack, as the API has them.
        lines: what to add to the spec of a ClusterArchitecturePolicy so that pods get them, YAML; empty where they are
            no business of a policy about architectures.
        updates: per blocking image, the newer one that has the architecture.
        risk: what may go wrong today.
    """

    verdict: Verdict
    cause: str = ""
    blocking: tuple[str, ...] = ()
    unknown: tuple[tuple[str, Reason], ...] = ()
    fields: tuple[str, ...] = ()
    tolerations: tuple[Mapping[str, str], ...] = ()
    lines: str = ""
    updates: Mapping[str, str] = field(default_factory=dict)
    risk: Risk | None = None


def holds_back_nodes(workload: Workload, judgement: Judgement) -> bool:
    """Whether a DaemonSet lacks the architecture: its work is then missing on every node of it."""
    return workload.owner.kind == DAEMON_SET and judgement.verdict in {
        Verdict.BLOCKED,
        Verdict.READY_WITH_UPDATE,
    }
