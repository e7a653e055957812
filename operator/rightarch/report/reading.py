"""Reading: lists of a cluster, as far as somebody may read them, and what is to be told of the rest."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from rightarch.cluster import Cluster, ClusterError
from rightarch.report.omissions import Omission, Omissions

Object = Mapping[str, Any]

NAMESPACES: Final = "/api/v1/namespaces"
REFUSED: Final = 403
ABSENT: Final = 404
_AT_A_TIME: Final = 6
"""Lists that are read at the same time."""
_SHOWN: Final = 8


class Reading:
    """Reads lists, and remembers what it could not.

    Args:
        cluster: whose.

    Attributes:
        cluster: likewise.
        slots: one for each list that may be read at the same time.
        omissions: kinds that may not be read.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.slots = asyncio.Semaphore(_AT_A_TIME)
        self.omissions = Omissions()
        self._notes: list[str] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be read, and what that means, for people."""
        return (*self._notes, *self.omissions.notes)

    def note(self, text: str) -> None:
        """Have something told, once."""
        if text not in self._notes:
            self._notes.append(text)

    async def objects(
        self, path: str, query: Mapping[str, object] | None = None, *, metadata: bool = False
    ) -> AsyncIterator[Object]:
        """The objects of a collection, or their metadata alone.

        Raises:
            ClusterError: what the API server answered.
        """
        async with aclosing(self.cluster.pages(path, query, metadata=metadata)) as pages:
            async for page, _ in pages:
                for thing in page:
                    yield thing

    async def optional(self, path: str, omission: Omission) -> list[Object]:
        """The objects of a kind that need not be there; none where they may not be read, which is told."""
        try:
            return [thing async for thing in self.objects(path)]
        except ClusterError as error:
            await self.omit(error, path, omission)
            return []

    async def omit(self, error: ClusterError, path: str, omission: Omission) -> None:
        """Do without a kind that may not be read, or is not there.

        Raises:
            ClusterError: the one that is given, where it says something else.
        """
        if error.status not in {REFUSED, ABSENT}:
            raise error
        if error.status == REFUSED and await self.is_served(path):
            self.omissions.add(omission)

    async def is_served(self, path: str) -> bool:
        """Whether a collection that is refused is there at all: the API server looks at rights first."""
        if path.startswith("/api/"):
            return True
        try:
            await self.cluster.read("/".join(path.split("/")[:4]))
        except ClusterError as error:
            return error.status != ABSENT
        return True


def listed(names: Sequence[str]) -> str:
    """Names in order, as many as a note has room for."""
    shown = ", ".join(sorted(names)[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def said(error: Exception) -> str:
    """What went wrong with a server that may be anybody's, for people."""
    if isinstance(error, LookupError | TypeError | ValueError | AttributeError):
        return "its answer can't be read"
    if isinstance(error, asyncio.TimeoutError):
        return "it does not answer in time"
    return str(error) or type(error).__name__
