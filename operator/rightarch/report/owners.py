"""Owners: the chains above pods, up through kinds that nobody knows beforehand."""

import asyncio
import re
from collections.abc import Sequence
from typing import Final

from rightarch.cluster import ClusterError
from rightarch.errors import RightarchError
from rightarch.report.inventory import Inventory
from rightarch.report.reading import ABSENT, Reading, listed, said

_MAX_ROUNDS: Final = 8
"""Kinds of owners above each other that are looked for."""
_VERSION: Final = re.compile(r"(?!.*\.\.)([a-z0-9][a-z0-9.-]*/)?[a-z][a-z0-9-]*", re.ASCII)
"""An ``apiVersion`` that leads to resources of an API: authors of pods choose that of an owner."""


class Owners:
    """Has an inventory take the owners of what it holds.

    Args:
        reading: of the cluster.
        scopes: where.
    """

    def __init__(self, reading: Reading, scopes: Sequence[str]) -> None:
        self._reading, self._scopes = reading, scopes
        self._tops: list[str] = []

    async def follow(self, inventory: Inventory) -> None:
        """Read kind after kind, until no owner is unknown; those that can't be read are told."""
        tried: set[tuple[str, str]] = set()
        for _ in range(_MAX_ROUNDS):
            unknown = inventory.unknown_owners() - tried
            if not unknown:
                break
            tried |= unknown
            await asyncio.gather(*(self._kind(inventory, *each) for each in sorted(unknown)))
        if self._tops:
            told = f"owners of these kinds could not be read, and stand for what they own: {listed(self._tops)}"
            self._reading.note(told)

    async def _kind(self, inventory: Inventory, version: str, kind: str) -> None:
        """Have the inventory take the metadata of all objects of a kind; it is the top where that can't be had.

        Authors of pods choose both, and the server of an API may be anybody's: no failure ends the report.
        """
        try:
            async with self._reading.slots:
                await self._add(inventory, _root(version), kind)
        except Exception as error:  # noqa: BLE001 - whatever ends a connection, and whatever is made of the answer
            if not isinstance(error, ClusterError) or error.status != ABSENT:
                self._tops.append(f"{kind} of {version} ({said(error)})")

    async def _add(self, inventory: Inventory, root: str, kind: str) -> None:
        resources = (await self._reading.cluster.read(root)).get("resources") or ()
        found = next((r for r in resources if r["kind"] == kind and "/" not in r["name"]), None)
        if found is None:
            return
        for scope in self._scopes if found["namespaced"] else [""]:
            async for thing in self._reading.objects(f"{root}/{scope}{found['name']}", metadata=True):
                inventory.add_owner({**thing, "kind": kind})


def _root(version: str) -> str:
    """Where the API of a version is.

    Raises:
        RightarchError: it leads elsewhere.
    """
    if not _VERSION.fullmatch(version):
        raise RightarchError("this is no version of an API")
    return f"/{'apis' if '/' in version else 'api'}/{version}"
