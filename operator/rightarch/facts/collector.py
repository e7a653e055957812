"""The collector: deletes facts that nobody needs any more. One process of the cluster does it."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Final, NoReturn

from rightarch.cluster import Cluster, ClusterError
from rightarch.facts.calendar import Calendar
from rightarch.facts.fact import Fact, name_of
from rightarch.facts.memory import PATH, Memory
from rightarch.logs import fields
from rightarch.metrics import ProcessMetrics
from rightarch.registry import ANONYMOUS

PACE: Final = 0.1
"""Seconds between deletions, at least."""
ROUNDS: Final = 24
"""How often in a day is looked for what can be deleted."""
UNUSED: Final = "unused"
SUPERSEDED: Final = "superseded"

log = logging.getLogger(__name__)


def garbage(facts: Iterable[Fact], today: date, days: int) -> dict[str, str]:
    """What can be deleted: names of objects, and why.

    Args:
        facts: all of them.
        today: the date.
        days: for how long an image that is not used is remembered.

    Returns:
        What was last used more days ago; and what is superseded: somebody learnt later that all can read the image
        that was learnt in a narrower scope, and from then on all are answered by that.
    """
    facts = list(facts)
    oldest = today - timedelta(days=days)
    public = {fact.key[1]: fact.learned_at for fact in facts if fact.key[0] == ANONYMOUS and fact.answers}
    found = {name_of(fact.key): UNUSED for fact in facts if fact.last_used < oldest}
    return found | {name_of(fact.key): SUPERSEDED for fact in facts if _superseded(fact, public)}


def _superseded(fact: Fact, public: Mapping[str, int]) -> bool:
    scope, reference = fact.key
    return scope != ANONYMOUS and public.get(reference, fact.learned_at) > fact.learned_at


class Collector:
    """Looks for garbage a few times a day, and deletes it.

    Args:
        cluster: where the facts are kept.
        memory: what is there.
        calendar: its days.
        days: for how long an image that is not used is remembered.

    Attributes:
        deleted: facts deleted, by why.
    """

    def __init__(self, cluster: Cluster, memory: Memory, calendar: Calendar, days: int) -> None:
        self.deleted: Counter[str] = Counter({UNUSED: 0, SUPERSEDED: 0})
        self._cluster, self._memory, self._calendar, self._days = cluster, memory, calendar, days

    def expose(self, metrics: ProcessMetrics) -> None:
        """Show what was deleted."""
        metrics.counter(
            "rightarch_image_facts_deleted",
            "ImagePlatforms deleted: unused, or superseded by what all may read.",
            ("why",),
            lambda: {(why,): float(count) for why, count in self.deleted.items()},
        )

    async def run(self) -> NoReturn:
        """Collect for ever, once all facts were seen."""
        await self._memory.seen.wait()
        while True:
            for name, why in garbage(self._memory.facts(), self._calendar.today, self._days).items():
                await self._delete(name, why)
                await asyncio.sleep(PACE)
            await asyncio.sleep(self._calendar.day / ROUNDS * random.uniform(0.5, 1.0))  # noqa: S311 - jitter

    async def _delete(self, name: str, why: str) -> None:
        """Delete one; what fails is tried again in the next round."""
        try:
            await self._cluster.delete(f"{PATH}/{name}")
        except ClusterError as error:
            if error.status != 404:
                log.warning("could not delete an ImagePlatforms", extra=fields(name=name, error=str(error)))
        except Exception as error:  # noqa: BLE001 - whatever ends a connection, and whatever the client makes of it
            log.warning("could not delete an ImagePlatforms", extra=fields(name=name, error=str(error) or repr(error)))
        else:
            self.deleted[why] += 1
