"""Admission of workloads: from a review of a DaemonSet to its answer."""

import logging
from dataclasses import replace
from time import monotonic

from rightarch import template
from rightarch.gather import gather
from rightarch.logs import fields
from rightarch.metrics import FAILED, IGNORED, Metrics
from rightarch.placement import Decision, Input, decide, skip
from rightarch.registry import AnonymousKeychain, Registry
from rightarch.snapshot import Nodes
from rightarch.template import Workload
from rightarch.webhook import review as reviews
from rightarch.webhook.review import WorkloadReview

log = logging.getLogger(__name__)

FAILURE = "rightarch: internal error; the DaemonSet was admitted as it is, without a look at what its images support"


class WorkloadAdmission:
    """Answers reviews of DaemonSets. Never makes one worse: what fails here admits it as it is."""

    def __init__(self, registry: Registry, nodes: Nodes, metrics: Metrics) -> None:
        self._registry, self._nodes, self._metrics = registry, nodes, metrics

    async def __call__(self, body: bytes, begun: float, budget: float) -> bytes:
        """The answer to a review.

        Args:
            body: the AdmissionReview.
            begun: when the request arrived, by the monotonic clock.
            budget: seconds from then that may be spent waiting for images.

        Raises:
            Refused: the body is no readable review.
        """
        review = reviews.read_workload(body)
        try:
            reason, answer = await self._answer(review, begun + budget)
        except Exception:  # whatever it is, the workload must not pay for it
            self._metrics.errors.inc()
            log.exception("failed on a DaemonSet", extra=fields(namespace=review.namespace, name=review.name))
            reason, answer = FAILED, reviews.allow(review.uid, warnings=[FAILURE])
        self._metrics.admitted(reason, monotonic() - begun)
        return answer

    async def _answer(self, review: WorkloadReview, deadline: float) -> tuple[str, bytes]:
        if review.workload is None or template.is_owned(review.workload):
            return IGNORED, reviews.allow(review.uid)
        decision = await self._decide(review.workload, deadline, dry_run=review.dry_run)
        log.log(logging.INFO if decision.warnings else logging.DEBUG, "admitted", extra=_told(review, decision))
        return decision.reason, reviews.allow(review.uid, template.apply(decision, review.workload), decision.warnings)

    async def _decide(self, workload: Workload, deadline: float, *, dry_run: bool) -> Decision:
        pod = template.pod_of(workload)
        if skip(pod):
            return decide(Input(pod, {}))
        seconds, keychain = max(0.0, deadline - monotonic()), AnonymousKeychain()
        given = await gather(pod, self._nodes.capacity, self._registry, keychain, seconds, record=not dry_run)
        return decide(replace(given, written=template.written(workload)))


def _told(review: WorkloadReview, decision: Decision) -> dict[str, object]:
    return fields(
        namespace=review.namespace,
        daemon_set=review.name,
        reason=str(decision.reason),
        detail=decision.message,
        architectures=",".join(decision.architectures) or None,
        dry_run=review.dry_run or None,
    )
