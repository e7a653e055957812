"""Admission of pods."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rightarch import pod as pods
from rightarch.events import Events, Regarding, owner_of
from rightarch.keychains import Keychains
from rightarch.lease import Lease
from rightarch.metrics import Metrics
from rightarch.placement import SHARE, Decision, Input, apply, decide
from rightarch.pod import Pod
from rightarch.policy import Effective
from rightarch.registry import Registry
from rightarch.shares import Choice, Shares, owner
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
        shares: Shares | None = None,
        *,
        events: Events | None = None,
    ) -> None:
        super().__init__(registry, nodes, metrics, keychains, rules, events=events)
        self._lease = lease or Lease()  # which nobody ever renews
        self._shares = shares or Shares()

    def _read(self, body: bytes) -> Review:
        return reviews.read(body)

    def _pod(self, subject: Subject) -> Pod:
        return subject

    def _input(self, subject: Subject, policy: Effective) -> Input:  # noqa: ARG002 - others need it
        return Input(subject, {}, gating=self._lease.held)

    def _weighed(self, given: Input, *, record: bool) -> Decision:
        """Where a policy shares pods out, they are counted: nothing else may come between count and choice."""
        if not given.policy.choices.architectures.share:
            return decide(given)
        whose = owner(given.pod, given.place)
        decision = decide(replace(given, counts=self._shares.counts(whose)))
        if record and decision.share is not None and pods.labels(given.pod).get(SHARE) != decision.share:
            self._shares.chose(Choice(whose, decision.share))
        return decision

    def _about(self, review: Review, subject: Subject) -> Regarding | None:
        return owner_of(subject, review.namespace)

    def _patch(self, decision: Decision, subject: Subject) -> Sequence[Mapping[str, Any]]:
        return apply(decision, subject)
