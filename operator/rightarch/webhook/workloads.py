"""Admission of workloads, whose template gets the constraint where a policy says so; that of DaemonSets by default."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any

from rightarch import template
from rightarch.events import Regarding
from rightarch.gather import all_known
from rightarch.placement import Decision, Input
from rightarch.pod import Pod
from rightarch.policy import Effective
from rightarch.registry import Keys
from rightarch.webhook import review as reviews
from rightarch.webhook.admission import Admission, Subject
from rightarch.webhook.review import Review


class WorkloadAdmission(Admission):
    """Answers reviews of workloads; those whose template is not to be written pass."""

    kind = "workload"

    def _read(self, body: bytes) -> Review:
        return reviews.read_workload(body)

    def _pod(self, subject: Subject) -> Pod:
        return template.pod_of(subject)

    def _input(self, subject: Subject, policy: Effective) -> Input:
        return Input(template.pod_of(subject), {}, written=template.written(subject, policy))

    def _aside(self, review: Review, policy: Effective) -> Sequence[Mapping[str, Any]] | None:
        """What takes back what was ours, where the template is not to be written, or not any more."""
        assert review.subject is not None, "or it would not be asked"
        if template.when(review.kind, review.subject, policy) != "Never":
            return None
        return template.retract(review.subject, policy)

    async def _keys(self, review: Review, pod: Pod, deadline: float) -> Keys:
        """Those of the pods to come; without their ServiceAccount's pull secrets where these can't be told in time."""
        try:
            async with asyncio.timeout(max(0.0, deadline - monotonic())):
                known = partial(all_known, pod, self._registry)
                return await self._keychains.of_template(review.namespace, pod, known)
        except TimeoutError:
            return self._keychains.of_pod(review.namespace, pod)

    def _about(self, review: Review, subject: Subject) -> Regarding | None:
        metadata = subject["metadata"]
        if not review.name or not metadata.get("name"):
            return None
        return Regarding(subject["apiVersion"], review.kind, review.namespace, review.name, metadata.get("uid") or "")

    def _patch(self, decision: Decision, subject: Subject) -> Sequence[Mapping[str, Any]]:
        return template.apply(decision, subject)
