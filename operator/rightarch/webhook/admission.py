"""Admission: from a review to its answer, whatever is admitted."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any, ClassVar, Final

from rightarch.events import Event, Events, Regarding
from rightarch.gather import gather
from rightarch.keychains import Keychains
from rightarch.logs import Seldom, fields
from rightarch.metrics import FAILED, IGNORED, Metrics
from rightarch.placement import Decision, Input, decide, skip
from rightarch.pod import Pod
from rightarch.policy import Effective
from rightarch.reasons import Note
from rightarch.registry import Keys, Registry
from rightarch.snapshot import Nodes
from rightarch.webhook import review as reviews
from rightarch.webhook.review import Review
from rightarch.webhook.rules import Rules

TRACEBACK_SECONDS: Final = 10.0
"""How often a failure of ours is logged, at most: whoever finds one may cause it with each request."""

log = logging.getLogger(__name__)

Subject = Mapping[str, Any]


class Answering(ABC):
    """Answers reviews of one kind. Never makes anything worse: what fails here admits it as it is."""

    kind: ClassVar[str]
    """What is reviewed, as people call it."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._tracebacks = Seldom(TRACEBACK_SECONDS)

    async def __call__(self, body: bytes, begun: float, budget: float) -> bytes:
        """The answer to a review.

        Args:
            body: the AdmissionReview.
            begun: when the request arrived, by the monotonic clock.
            budget: seconds from then that may be spent waiting, whatever the policy allows.

        Raises:
            Refused: the body is no readable review.
        """
        review = self._read(body)
        try:
            reason, answer = await self._answer(review, begun, budget)
        except Exception as error:  # noqa: BLE001 - whatever it is, its creator must not pay for it
            reason, answer = FAILED, self._failed(review, error)
        self._metrics.admitted(reason, monotonic() - begun)
        return answer

    @abstractmethod
    def _read(self, body: bytes) -> Review:
        """The review."""

    @abstractmethod
    async def _answer(self, review: Review, begun: float, budget: float) -> tuple[str, bytes]:
        """The Reason by which a review is counted, and the answer to it; as called."""

    def _failed(self, review: Review, error: Exception) -> bytes:
        """The answer after a failure of ours."""
        self._metrics.errors.inc()
        if (untold := self._tracebacks.turn()) is not None:
            log.error("failed on a %s", self.kind, exc_info=error, extra=_who(review, untold=untold or None))
        said = f"rightarch: internal error; the {self.kind} was admitted as it is"
        return reviews.allow(review.uid, warnings=[f"{said}, without a look at what its images support"])


class Admission(Answering):
    """Answers by a patch: gathers, decides, and applies."""

    def __init__(  # noqa: PLR0913 - what a process has
        self,
        registry: Registry,
        nodes: Nodes,
        metrics: Metrics,
        keychains: Keychains,
        rules: Rules,
        *,
        events: Events | None = None,
    ) -> None:
        super().__init__(metrics)
        self._registry, self._nodes, self._keychains = registry, nodes, keychains
        self._rules, self._events = rules, events

    @abstractmethod
    def _pod(self, subject: Subject) -> Pod:
        """The pod, or the template, that is decided on."""

    @abstractmethod
    def _input(self, subject: Subject, policy: Effective) -> Input:
        """What is decided on, as far as the subject tells."""

    @abstractmethod
    def _about(self, review: Review, subject: Subject) -> Regarding | None:
        """What an Event is about; None where there is nothing yet that it could be about."""

    @abstractmethod
    def _patch(self, decision: Decision, subject: Subject) -> Sequence[Mapping[str, Any]]:
        """What carries a decision out."""

    def _aside(self, review: Review, policy: Effective) -> Sequence[Mapping[str, Any]] | None:  # noqa: ARG002 - likewise
        """The patch of a subject that its policy leaves aside, before any image is looked at; None for all others."""
        return None

    async def _keys(self, review: Review, pod: Pod, deadline: float) -> Keys:  # noqa: ARG002 - others need it
        """In whose name the images are looked up."""
        return self._keychains.of_pod(review.namespace, pod)

    async def _answer(self, review: Review, begun: float, budget: float) -> tuple[str, bytes]:
        if review.subject is None:
            return IGNORED, reviews.allow(review.uid)
        policy = await self._rules.effective(review.namespace, self._pod(review.subject), begun + budget)
        if (aside := self._aside(review, policy)) is not None:
            return IGNORED, reviews.allow(review.uid, aside, _prefixed(policy.warnings))
        budget = min(budget, policy.choices.on_unresolved.lookup_budget_milliseconds / 1000)
        given = replace(self._input(review.subject, policy), policy=policy, namespace=review.namespace)
        decision = await self._decide(review, given, begun + budget)
        patch, warnings = self._patch(decision, review.subject), decision.warnings
        self._metrics.decided(decision.reason, policy.name)
        self._metrics.noted(decision.notes)
        self._say(review, review.subject, decision)
        level = logging.INFO if warnings else logging.DEBUG
        if log.isEnabledFor(level):
            log.log(
                level, "%s a %s", "refused" if decision.denied else "admitted", self.kind, extra=_told(review, decision)
            )
        if decision.denied:
            return decision.reason, reviews.deny(review.uid, decision.message, decision.policy.warnings)
        return decision.reason, reviews.allow(review.uid, patch, warnings)

    def _say(self, review: Review, subject: Subject, decision: Decision) -> None:
        """Have an Event tell what somebody should know. It is written later: no admission waits for it."""
        if self._events is None or review.dry_run or not (decision.warnings or decision.denied):
            return
        if (about := self._about(review, subject)) is not None:
            action = "Refuse" if decision.denied else "Admit"
            lacking = (Note.NO_CAPACITY, decision.lacking)
            reason, told = lacking if decision.lacking else (decision.reason, decision.message)
            self._events.say(about, Event(action, reason, told, warns=True))

    async def _decide(self, review: Review, given: Input, deadline: float) -> Decision:
        if skip(given.pod, given.policy):
            return decide(given)
        keys = await self._keys(review, given.pod, deadline)
        seconds, record = max(0.0, deadline - monotonic()), not review.dry_run
        capacity = self._nodes.capacity
        found = await gather(given.pod, capacity, self._registry, keys, seconds, policy=given.policy, record=record)
        given = replace(given, images=found.images, capacity=found.capacity, stale=found.stale)
        return self._weighed(given, record=record)

    def _weighed(self, given: Input, *, record: bool) -> Decision:  # noqa: ARG002 - others do
        """The decision, once all is known that is waited for.

        Args:
            given: all but what other pods chose.
            record: whether the choice is to be remembered.
        """
        return decide(given)


def _prefixed(warnings: Iterable[str]) -> tuple[str, ...]:
    """Warnings with whose they are: many webhooks may warn of one object."""
    return tuple(f"rightarch: {warning}" for warning in warnings)


def _who(review: Review, **more: object) -> dict[str, object]:
    return fields(namespace=review.namespace, name=review.name, uid=review.uid, dry_run=review.dry_run or None, **more)


def _told(review: Review, decision: Decision) -> dict[str, object]:
    architectures = ",".join(decision.architectures) or None
    lacking = decision.lacking or None
    return _who(
        review, reason=str(decision.reason), detail=decision.message, architectures=architectures, lacking=lacking
    )
