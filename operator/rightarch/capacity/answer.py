"""Answers: what the cluster offers one pod, and what to do where that is nothing."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rightarch.capacity.demand import Demand
from rightarch.capacity.offer import Offer, Verdict, best
from rightarch.taints import Taint


@dataclass(frozen=True)
class Answer:
    """What the cluster offers a pod.

    Attributes:
        demand: what was asked.
        verdicts: per architecture, the most promising source of nodes, or the nearest miss.
    """

    demand: Demand
    verdicts: Mapping[str, Verdict]

    @property
    def offers(self) -> Mapping[str, Offer]:
        """Yes, no or unknown, per architecture."""
        return {architecture: verdict.offer for architecture, verdict in self.verdicts.items()}

    @property
    def nothing(self) -> bool:
        """Whether no node can be had: the pod will stay Pending until something changes."""
        return bool(self.verdicts) and all(offer is Offer.NO for offer in self.offers.values())

    @property
    def message(self) -> str:
        """What is asked for, and the nearest miss; empty where a node can or may be had."""
        nearest = best(self.verdicts.values())
        if nearest is None or not self.nothing:
            return ""
        return f"no node can be had with {self.demand}: {nearest}".strip()

    def missing(self, architecture: str) -> tuple[Taint, ...]:
        """The taints that alone keep a pod from an architecture, where each stands for the architecture.

        GKE puts one on its Arm nodes, and others recommend the same: whoever is constrained to an architecture may as
        well tolerate it. Other taints reserve nodes, and are no business of a policy about architectures.
        """
        verdict = self.verdicts.get(architecture)
        return verdict.missing if verdict and verdict.marked else ()

    def toleration_lines(self) -> str:
        """What to add to the spec of a ClusterArchitecturePolicy so that pods tolerate those taints; empty if none."""
        return toleration_lines((a, taint.toleration()) for a in self.verdicts for taint in self.missing(a))


def toleration_lines(tolerations: Iterable[tuple[str, Mapping[str, str]]]) -> str:
    """What the spec of a policy says, as YAML, to give pods tolerations, each with its architecture; empty if none.

    Each toleration is JSON, and so in quotes: a taint may well be called true or 1, which YAML takes for no text.
    """
    lines = [f"- architecture: {a}\n  toleration: {json.dumps(dict(toleration))}\n" for a, toleration in tolerations]
    return "tolerations:\n" + "".join(lines) if lines else ""
