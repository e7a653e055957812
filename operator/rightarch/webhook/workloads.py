"""Admission of workloads: of DaemonSets, whose template gets the constraint."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rightarch import template
from rightarch.placement import Decision, Input
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

    def _patch(self, decision: Decision, subject: Subject) -> Sequence[Mapping[str, Any]]:
        return template.apply(decision, subject)
