"""Admission: from a review of a pod to its answer."""

import logging
from collections.abc import Callable
from time import monotonic

from rightarch.gather import gather
from rightarch.logs import fields
from rightarch.metrics import FAILED, IGNORED, Metrics
from rightarch.placement import Decision, Input, apply, decide, skip
from rightarch.pod import Pod
from rightarch.registry import Keychain, Registry
from rightarch.snapshot import Nodes
from rightarch.webhook import review as reviews
from rightarch.webhook.review import Review

log = logging.getLogger(__name__)

FAILURE = "rightarch: internal error; the pod was admitted as it is, without a look at what its images support"


class Admission:
    """Answers reviews of pods. Never makes a pod worse: what fails here admits it as it is."""

    def __init__(
        self, registry: Registry, nodes: Nodes, metrics: Metrics, keychain_of: Callable[[Review], Keychain]
    ) -> None:
        self._registry, self._nodes, self._metrics, self._keychain_of = registry, nodes, metrics, keychain_of

    async def __call__(self, body: bytes, begun: float, budget: float) -> bytes:
        """The answer to a review.

        Args:
            body: the AdmissionReview.
            begun: when the request arrived, by the monotonic clock.
            budget: seconds from then that may be spent waiting for images.

        Raises:
            Refused: the body is no readable review.
        """
        review = reviews.read(body)
        try:
            reason, answer = await self._answer(review, begun + budget)
        except Exception:  # whatever it is, the pod must not pay for it
            self._metrics.errors.inc()
            log.exception("failed on a pod", extra=_who(review))
            reason, answer = FAILED, reviews.allow(review.uid, warnings=[FAILURE])
        self._metrics.admitted(reason, monotonic() - begun)
        return answer

    async def _answer(self, review: Review, deadline: float) -> tuple[str, bytes]:
        if review.pod is None:
            return IGNORED, reviews.allow(review.uid)
        decision = await self._decide(review, review.pod, deadline)
        patch, warnings = apply(decision, review.pod), decision.warnings
        if warnings:
            log.info("admitted with a warning", extra=_told(review, decision))
        elif log.isEnabledFor(logging.DEBUG):
            log.debug("admitted", extra=_told(review, decision))
        return decision.reason, reviews.allow(review.uid, patch, warnings)

    async def _decide(self, review: Review, pod: Pod, deadline: float) -> Decision:
        if skip(pod):
            return decide(Input(pod, {}))
        seconds = max(0.0, deadline - monotonic())
        keychain, record = self._keychain_of(review), not review.dry_run
        return decide(await gather(pod, self._nodes.capacity, self._registry, keychain, seconds, record=record))


def _who(review: Review) -> dict[str, object]:
    return fields(namespace=review.namespace, pod=review.name, uid=review.uid, dry_run=review.dry_run)


def _told(review: Review, decision: Decision) -> dict[str, object]:
    return fields(
        namespace=review.namespace,
        pod=review.name,
        reason=str(decision.reason),
        detail=decision.message,
        architectures=",".join(decision.architectures) or None,
        dry_run=review.dry_run or None,
    )
