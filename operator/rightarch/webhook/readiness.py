"""Readiness: whether this replica may be asked."""

import time
from collections.abc import Callable
from typing import Final

from rightarch.rulebook import Rulebook
from rightarch.snapshot import Nodes

PATIENCE: Final = 20.0
"""Seconds after which a replica that could not list what it watches answers nevertheless: better that than nobody."""


class Readiness:
    """Ready once everything watched was listed, or patience ran out; never without a certificate, nor once draining.

    Args:
        nodes: what is watched.
        rulebook: policies and namespaces, likewise.
        serving: tells whether reviews are accepted, for which there must be a certificate.
        informed: tells whether the facts about images are listed, or can't be.

    Attributes:
        draining: set when the process was asked to end.
    """

    def __init__(
        self,
        nodes: Nodes,
        rulebook: Rulebook,
        serving: Callable[[], bool],
        informed: Callable[[], bool] = lambda: True,
    ) -> None:
        self.draining = False
        self._nodes, self._rulebook, self._serving, self._informed = nodes, rulebook, serving, informed
        self._patient_until = time.monotonic() + PATIENCE

    def missing(self) -> str | None:
        """Why this replica should not be asked, or None."""
        if self.draining:
            return "draining: this process is about to end"
        if not self._serving():
            return "there is no certificate to serve yet"
        return self._unseen() if time.monotonic() < self._patient_until else None

    def _unseen(self) -> str | None:
        if not self._nodes.listed:
            return "the Nodes of the cluster are not listed yet"
        if missing := self._rulebook.missing:
            return missing
        return None if self._informed() else "the ImagePlatforms of the cluster are not listed yet"
