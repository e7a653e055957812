"""Admission of workloads, whose template gets the constraint where a policy says so; that of DaemonSets by default."""

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
from rightarch.policy import BUILT_IN, TemplateRule
from rightarch.registry import Keys
from rightarch.webhook import review as reviews
from rightarch.webhook.admission import Admission, Subject
from rightarch.webhook.review import Review


class WorkloadAdmission(Admission):
    """Answers reviews of workloads; those whose template is not to be written pass."""

    kind = "workload"

    def _read(self, body: bytes) -> Review:
        review = reviews.read_workload(body)
        if review.subject is None or _is_wanted(BUILT_IN.choices.template(review.kind), review.subject):
            return review
        return replace(review, subject=None)

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


def _is_wanted(rule: TemplateRule, workload: Subject) -> bool:
    """Whether the template of a workload is to be written at admission."""
    return rule.when != "Never" and (rule.owned or not template.is_owned(workload))
