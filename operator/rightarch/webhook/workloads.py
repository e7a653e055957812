"""Admission of workloads: of DaemonSets, whose template gets the constraint."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any

from rightarch import template
from rightarch.gather import all_known
from rightarch.placement import Decision, Input
from rightarch.pod import Pod
from rightarch.registry import Keys
from rightarch.webhook import review as reviews
from rightarch.webhook.admission import Admission, Subject
from rightarch.webhook.review import Review


class WorkloadAdmission(Admission):
    """Answers reviews of DaemonSets; those that another controller writes pass."""

    kind = "DaemonSet"

    def _read(self, body: bytes) -> Review:
        review = reviews.read_workload(body)
        owned = review.subject is not None and template.is_owned(review.subject)
        return replace(review, subject=None) if owned else review

    def _input(self, subject: Subject) -> Input:
        return Input(template.pod_of(subject), {}, written=template.written(subject))

    async def _keys(self, review: Review, pod: Pod, deadline: float) -> Keys:
        """Those of the pods to come; without their ServiceAccount's pull secrets where these can't be told in time."""
        try:
            async with asyncio.timeout(max(0.0, deadline - monotonic())):
                known = partial(all_known, pod, self._registry)
                return await self._keychains.of_template(review.namespace, pod, known)
        except TimeoutError:
            return self._keychains.of_pod(review.namespace, pod)

    def _patch(self, decision: Decision, subject: Subject) -> Sequence[Mapping[str, Any]]:
        return template.apply(decision, subject)
