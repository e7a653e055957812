"""Admission of pods."""

from collections.abc import Mapping, Sequence
from typing import Any

from rightarch.placement import Decision, Input, apply
from rightarch.webhook import review as reviews
from rightarch.webhook.admission import Admission, Subject
from rightarch.webhook.review import Review


class PodAdmission(Admission):
    """Answers reviews of pods."""

    kind = "pod"

    def _read(self, body: bytes) -> Review:
        return reviews.read(body)

    def _input(self, subject: Subject) -> Input:
        return Input(subject, {})

    def _patch(self, decision: Decision, subject: Subject) -> Sequence[Mapping[str, Any]]:
        return apply(decision, subject)
