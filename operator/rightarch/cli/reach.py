"""Reach: the architectures that a pod may run on and taints alone keep it from, and what lets it in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rightarch import pod as pods
from rightarch.capacity import Capacity, Demand, toleration_lines
from rightarch.cli.engine import Judged


@dataclass(frozen=True, slots=True)
class KeptOut:
    """An architecture whose nodes all have taints that the pod does not tolerate.

    Attributes:
        architecture: which.
        cause: the nearest miss, for people.
        tolerations: what a policy about architectures may add, as the API has it; none where the taints are for
            something else.
    """

    architecture: str
    cause: str
    tolerations: tuple[Mapping[str, str], ...]


def kept_out(judged: Judged, capacity: Capacity) -> tuple[KeptOut, ...]:
    """The architectures that were decided for a workload and that it can't get to, sorted.

    Args:
        judged: what was decided.
        capacity: of the cluster.
    """
    decision = judged.decision
    would = decision.would.tolerations if decision.would else ()
    demand = Demand(
        pods.constraints(judged.placed),
        frozenset(decision.architectures),
        decision.os,
        (*pods.tolerations(judged.placed), *would),
        judged.subject.policy.facts.assumed,
    )
    answer = capacity.answer(demand)
    return tuple(
        KeptOut(architecture, str(verdict), tuple(taint.toleration() for taint in answer.missing(architecture)))
        for architecture, verdict in answer.verdicts.items()
        if verdict.missing
    )


def lines(each: Iterable[KeptOut]) -> str:
    """What to add to the spec of a ClusterArchitecturePolicy, YAML; empty where nothing would help."""
    return toleration_lines((one.architecture, toleration) for one in each for toleration in one.tolerations)
