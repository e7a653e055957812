"""Following: a list and watch that never gives up, so that a store in memory equals a collection of the cluster."""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol

from rightarch.cluster import Cluster, ClusterError, Object, named
from rightarch.logs import fields

FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 10.0
REFUSED_PAUSE: Final = 15.0
"""Seconds between questions for what is not there, or not allowed."""
SHORTEST_WATCH: Final = 1.0
"""Seconds to wait after a watch that ended without an event, so that an API server that ends all is not hammered."""
REFUSALS: Final = frozenset({403, 404})
"""Statuses that stay until somebody changes the cluster: no such collection, or no right to it."""

_ABSENT: Final = "there is no such collection"

log = logging.getLogger(__name__)


class Store(Protocol):
    """What takes the objects that ``follow`` sees."""

    def replace(self, objects: list[Any], /) -> None:
        """Take a complete list in place of all that was known."""

    def put(self, thing: Any, /) -> None:  # noqa: ANN401 - what the view makes of an object
        """Take an object that is new or has changed."""

    def remove(self, thing: Any, /) -> None:  # noqa: ANN401 - likewise
        """Forget an object that is gone."""


@dataclass(frozen=True, slots=True)
class View:
    """What is asked for of the objects of a collection, and what ``follow`` makes of each as soon as it arrives.

    Attributes:
        read: gives what the store takes, which is all that is kept while a long list is read; must not raise.
        metadata: whether the objects' metadata alone is asked for.
        labels: the label selector of those that are asked for; all if it is empty. One that is selected no more is
            as good as gone.
        fields: likewise, the field selector.
        news: whether the store takes objects that are new alone, and not what changes of those that it has.
    """

    read: Callable[[Object], Any]
    metadata: bool = False
    labels: str = ""
    fields: str = ""
    news: bool = False

    @property
    def selectors(self) -> dict[str, str]:
        """The selectors, as the API server is asked by them."""
        stated = {"labelSelector": self.labels, "fieldSelector": self.fields}
        return {name: selector for name, selector in stated.items() if selector}


def _without_managers(thing: Object) -> Object:
    """The object's metadata without managedFields, which is the most of it."""
    metadata = {key: value for key, value in thing["metadata"].items() if key != "managedFields"}
    return {"metadata": metadata}


METADATA: Final = View(_without_managers, metadata=True)


async def follow(  # noqa: PLR0913 - the last three are rarely given
    cluster: Cluster,
    path: str,
    store: Store,
    failed: Callable[[], None],
    name: str | None = None,
    *,
    view: View = METADATA,
    refused: Callable[[], None] = lambda: None,
    optional: bool = False,
) -> NoReturn:
    """Keep a store equal to a collection, for ever: list once, watch, list again only where the watch can't go on.

    While the API server is away the store keeps what it has, and it is asked again with growing pauses.

    Args:
        cluster: whose collection.
        path: the collection, such as ``NODES``.
        store: what is kept.
        failed: called at each failure, to count them.
        name: of the only object that is followed.
        view: what the store takes of each object; without one, its metadata.
        refused: called when there is no such collection, or no right to read it: it is asked for seldom from then on.
        optional: whether the kind may come and go: where there is no such collection the store is empty, and that is
            no failure.
    """
    following = _Following(cluster, path, store, name, view)
    pause, told = FIRST_PAUSE, ""
    while True:
        seen = following.events
        try:
            await following.step()
            await asyncio.sleep(0 if following.events > seen else SHORTEST_WATCH)
        except Exception as error:  # noqa: BLE001 - whatever ends a connection, and whatever the client makes of it
            following.forgive(error)
            if optional and isinstance(error, ClusterError) and error.status == 404:
                told = following.miss(told)
                await asyncio.sleep(REFUSED_PAUSE * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret
                continue
            failed()
            pause = FIRST_PAUSE if following.events > seen else min(pause * 2, LONGEST_PAUSE)
            level, text = logging.WARNING, _text(error)
            if isinstance(error, ClusterError) and error.status in REFUSALS:
                refused()
                pause, level = REFUSED_PAUSE, logging.DEBUG if told == text else logging.WARNING
            told = text
            log.log(level, "lost sight of a collection", extra=fields(path=path, error=text, pause=pause))
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, no secret


class _Following:
    """The state of one ``follow``: where the watch would go on, and how much was seen."""

    def __init__(self, cluster: Cluster, path: str, store: Store, name: str | None, view: View) -> None:
        self._cluster, self._path, self._store, self._view = cluster, path, store, view
        self._selectors = named(name) | view.selectors
        self._resource_version: str | None = None
        self.events = 0

    async def step(self) -> None:
        """List if there is nothing to go on from, then watch until the watch ends."""
        if self._resource_version is None:
            self._resource_version = await self._list()
        selectors, metadata = self._selectors, self._view.metadata
        watch = self._cluster.watch(self._path, self._resource_version, selectors, metadata=metadata)
        async with aclosing(watch) as events:
            async for kind, changed in events:
                self._take(kind, changed)

    def forgive(self, error: Exception) -> None:
        """A lost connection is resumed; after a refusal, or what could not be read, everything is listed again."""
        if isinstance(error, ClusterError | KeyError | TypeError | ValueError):
            self._resource_version = None

    def miss(self, told: str) -> str:
        """Empty the store, since there is no such collection; gives what was said of it, once."""
        self._store.replace([])
        if told != _ABSENT:
            log.info(_ABSENT, extra=fields(path=self._path))
        return _ABSENT

    async def _list(self) -> str:
        """Hand the store all objects; gives the resourceVersion of the list."""
        objects: list[Any] = []
        resource_version = ""
        listing = self._cluster.pages(self._path, self._selectors, metadata=self._view.metadata)
        async with aclosing(listing) as pages:
            async for page, resource_version in pages:  # noqa: B007 - the last one is returned
                objects += map(self._view.read, page)
        self._store.replace(objects)
        self.events += 1
        log.info("listed a collection", extra=fields(path=self._path, objects=len(objects)))
        return resource_version

    def _take(self, kind: str, changed: Object) -> None:
        self.events += 1
        if kind == "DELETED":
            self._store.remove(self._view.read(changed))
        elif kind == "ADDED" or (kind == "MODIFIED" and not self._view.news):
            self._store.put(self._view.read(changed))
        self._resource_version = changed["metadata"]["resourceVersion"]


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
