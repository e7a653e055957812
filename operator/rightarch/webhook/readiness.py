"""Readiness: whether this replica may be asked."""

import time
from collections.abc import Callable
from typing import Final

from rightarch.snapshot import Nodes

PATIENCE: Final = 20.0
"""Seconds after which a replica that could not list what it watches answers nevertheless: better that than nobody."""


class Readiness:
    """Ready once everything watched was listed, or patience ran out; never without a certificate, nor once draining.

    Args:
        nodes: what is watched.
        certified: tells whether there is a certificate to serve.

    Attributes:
        draining: set when the process was asked to end.
    """

    def __init__(self, nodes: Nodes, certified: Callable[[], bool]) -> None:
        self.draining = False
        self._nodes, self._certified = nodes, certified
        self._patient_until = time.monotonic() + PATIENCE

    def missing(self) -> str | None:
        """Why this replica should not be asked, or None."""
        if self.draining:
            return "draining: this process is about to end"
        if not self._certified():
            return "there is no certificate to serve yet"
        if not self._nodes.listed and time.monotonic() < self._patient_until:
            return "the Nodes of the cluster are not listed yet"
        return None
