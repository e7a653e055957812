"""Admission of pods."""

from collections.abc import Mapping, Sequence
from typing import Any

from rightarch.events import Events, Regarding, owner_of
from rightarch.keychains import Keychains
from rightarch.lease import Lease
from rightarch.metrics import Metrics
from rightarch.placement import Decision, Input, apply
from rightarch.registry import Registry
from rightarch.snapshot import Nodes
from rightarch.webhook import review as reviews
from rightarch.webhook.admission import Admission, Subject
from rightarch.webhook.review import Review
from rightarch.webhook.rules import Rules


class PodAdmission(Admission):
    """Answers reviews of pods; those of the Lease's time may be held by a gate."""

    kind = "pod"

    def __init__(  # noqa: PLR0913, PLR0917 - what every admission has, and one thing more
        self,
        registry: Registry,
        nodes: Nodes,
        metrics: Metrics,
        keychains: Keychains,
        rules: Rules,
        lease: Lease | None = None,
        *,
        events: Events | None = None,
    ) -> None:
        super().__init__(registry, nodes, metrics, keychains, rules, events=events)
        self._lease = lease or Lease()  # which nobody ever renews

    def _read(self, body: bytes) -> Review:
        return reviews.read(body)

    def _input(self, subject: Subject) -> Input:
        return Input(subject, {}, gating=self._lease.held)

    def _about(self, review: Review, subject: Subject) -> Regarding | None:
        return owner_of(subject, review.namespace)

    def _patch(self, decision: Decision, subject: Subject) -> Sequence[Mapping[str, Any]]:
        return apply(decision, subject)
