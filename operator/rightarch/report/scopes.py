"""Scopes: where lists are read, of the whole cluster or of the namespaces in which somebody may list pods."""

import asyncio
from collections.abc import Sequence

from rightarch.cluster import ClusterError
from rightarch.errors import RightarchError
from rightarch.report.reading import ABSENT, NAMESPACES, REFUSED, Reading, listed


class Scopes:
    """Finds the scopes.

    Args:
        reading: of the cluster.
        named: the namespaces that were asked for; none for all that may be read.
        home: the namespace to take where not even their names may be read.
    """

    def __init__(self, reading: Reading, named: tuple[str, ...], home: str) -> None:
        self._reading, self._named, self._home = reading, named, home
        self._unnamed = False

    async def find(self) -> list[str]:
        """What comes before the plural in the path of a list: nothing for all namespaces, or ``namespaces/NAME/``.

        Raises:
            RightarchError: a namespace that was asked for is not there, or pods may be listed in none.
        """
        await self._check()
        if not self._named and await self._may_list(""):
            return [""]
        names = tuple(dict.fromkeys(self._named)) or await self._names()
        allowed = await asyncio.gather(*(self._may_list(f"namespaces/{name}/") for name in names))
        refused = [name for name, may in zip(names, allowed, strict=True) if not may]
        if len(refused) == len(names):
            raise RightarchError(self._without_pods(refused))
        if refused:
            self._reading.note(
                f"{len(refused)} of {len(names)} namespaces may not be read and are left out: {listed(refused)}"
            )
        return [f"namespaces/{name}/" for name, may in zip(names, allowed, strict=True) if may]

    async def _check(self) -> None:
        """Look whether those that were named are there: an empty list of pods would be told of any name.

        Raises:
            RightarchError: one is not.
        """
        there = await asyncio.gather(*map(self._is_there, self._named))
        if missing := [name for name, found in zip(self._named, there, strict=True) if not found]:
            raise RightarchError(f"there is no namespace {listed(missing)} in this cluster: name another -n")

    async def _is_there(self, namespace: str) -> bool:
        """Whether a namespace is there, or may be: not everybody may read it."""
        return await self._status(f"{NAMESPACES}/{namespace}", ABSENT, REFUSED) != ABSENT

    async def _may_list(self, scope: str) -> bool:
        return await self._status(f"/api/v1/{scope}pods?limit=1", REFUSED) != REFUSED

    async def _status(self, path: str, *expected: int) -> int:
        """With what of the expected the API server refuses to have something read; 0 where it does not."""
        async with self._reading.slots:
            try:
                await self._reading.cluster.read(path)
            except ClusterError as error:
                if error.status not in expected:
                    raise
                return error.status
        return 0

    async def _names(self) -> Sequence[str]:
        """The namespaces, or the one that is at hand where they may not be listed."""
        try:
            return [thing["metadata"]["name"] async for thing in self._reading.objects(NAMESPACES, metadata=True)]
        except ClusterError as error:
            if error.status != REFUSED:
                raise
        self._unnamed = True
        self._reading.note(f"the namespaces may not be listed: only {self._home} is read; name others by -n")
        return [self._home]

    def _without_pods(self, refused: Sequence[str]) -> str:
        """What to tell whoever may list no pods; that a namespace was never named is told first."""
        if not self._named and self._unnamed:
            return "you may list neither the pods of all namespaces nor the namespaces: name yours by -n"
        return f"you may not list pods in {listed(refused)}: ask for the right to list pods, or name another -n"
