"""Rules: which policy applies to what is admitted."""

import asyncio
import logging
from time import monotonic
from typing import Final

from rightarch.cluster import Cluster
from rightarch.logs import Seldom, fields
from rightarch.pod import Pod
from rightarch.policy import Effective
from rightarch.rulebook import NAMESPACES, Rulebook

NAMESPACE_SECONDS: Final = 1.0
"""How long a namespace that was not seen yet is waited for: it was made a moment ago."""
COMPLAINT_SECONDS: Final = 10.0

log = logging.getLogger(__name__)


class Rules:
    """Asks the rulebook; before that, the API server about a namespace that no watch has told of yet.

    A policy may be for it by a label: nobody shall escape by creating a pod faster than a watch tells.

    Args:
        rulebook: the policies and namespaces that were seen.
        cluster: whose namespaces.
    """

    def __init__(self, rulebook: Rulebook, cluster: Cluster) -> None:
        self._rulebook, self._cluster = rulebook, cluster
        self._complaints = Seldom(COMPLAINT_SECONDS)

    async def effective(self, namespace: str, pod: Pod, deadline: float) -> Effective:
        """What applies to a pod of a namespace.

        Args:
            namespace: where.
            pod: the raw pod, or one made of a template.
            deadline: until when a namespace that was not seen may be waited for, by the monotonic clock.
        """
        namespaces = self._rulebook.namespaces
        if namespace and namespace not in namespaces and not namespaces.refused:
            await self._see(namespace, deadline - monotonic())
        return self._rulebook.effective(namespace, pod)

    async def _see(self, namespace: str, seconds: float) -> None:
        """Read a namespace. Where that fails, what all namespaces have is what is known of it."""
        try:
            async with asyncio.timeout(min(NAMESPACE_SECONDS, seconds)):
                self._rulebook.namespaces.add(await self._cluster.read(f"{NAMESPACES}/{namespace}"))
        except Exception as error:  # noqa: BLE001 - whatever ends a connection, and whatever the client makes of it
            if (untold := self._complaints.turn()) is not None:
                told = fields(namespace=namespace, error=str(error) or type(error).__name__, untold=untold or None)
                log.warning("could not read a namespace that was not seen yet", extra=told)
