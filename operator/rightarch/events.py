"""Events: what is said about objects where ``kubectl describe`` and ``kubectl events`` show it.

One for an owner and a Reason in an hour, not one for a pod: a Deployment of a thousand pods says what is wrong once.
The name is made of these three, so that replicas agree, and the API server tells whoever is second.
"""

import asyncio
import hashlib
import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from rightarch import pod as pods
from rightarch.cluster import Cluster, ClusterError
from rightarch.logs import Seldom, fields
from rightarch.metrics import ProcessMetrics
from rightarch.pod import Pod

REPORTER: Final = "rightarch.dev/controller"
"""Who says it: both processes are one to their readers."""
MAX_NOTE: Final = 1024
"""Bytes that the API server takes of a note."""
PER_SECOND: Final = 5
"""Events that a process writes in a second, at most."""
MAX_WAITING: Final = 200
"""Events that wait to be written; what is said beyond that is dropped, and counted."""
MAX_OF_ONE: Final = MAX_WAITING // 4
"""Those of them that may be of one namespace: who makes pods there must not silence what is said elsewhere."""
HOUR: Final = 3600
_MAX_SAID: Final = 20_000
_MAX_NAME: Final = 200
_HASH: Final = "pod-template-hash"
"""The label by which a Deployment tells its ReplicaSets, and the pods of one, apart; it ends the ReplicaSet's name."""
_OUTCOMES: Final = ("Written", "Told", "Dropped", "Failed")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Regarding:
    """What an Event is about.

    Attributes:
        uid: empty where it is not known: the API server takes an Event all the same.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Event:
    """What is to be said.

    Attributes:
        action: what was done about it, one word.
        reason: why, one word.
        note: the reason in the object's own terms, for people.
        warns: whether somebody should act.
    """

    action: str
    reason: str
    note: str
    warns: bool = False


def owner_of(pod: Pod, namespace: str) -> Regarding | None:
    """Who answers for a pod, as far as the pod tells; None for one that nobody owns and that has no name yet.

    A Deployment owns pods by way of a ReplicaSet, whose name is its own and the hash of the template: where that is
    what the pod's label says, the Deployment is meant. Of which UID it is, no pod tells.
    """
    metadata = pod.get("metadata") or {}
    owner = next((each for each in metadata.get("ownerReferences") or () if each.get("controller")), None)
    if owner is None:
        name = metadata.get("name")
        return Regarding("v1", "Pod", namespace, name, metadata.get("uid") or "") if name else None
    version, kind, name, uid = (str(owner.get(key) or "") for key in ("apiVersion", "kind", "name", "uid"))
    if kind == "ReplicaSet" and (deployment := _deployment(name, pods.labels(pod).get(_HASH))):
        return Regarding(version, "Deployment", namespace, deployment)
    return Regarding(version, kind, namespace, name, uid)


def name_of(about: Regarding, reason: str, hour: int) -> str:
    """The name of the Event about an object, for a Reason, in an hour since 1970: the same in every process."""
    words = "\n".join((about.kind, about.namespace, about.name, reason, str(hour)))
    name = about.name[:_MAX_NAME].rstrip("-.")  # what was within a name may not end a part of one
    return f"{name}.{hashlib.sha256(words.encode()).hexdigest()[:16]}"


class Events:
    """Writes Events, a few in a second, after whatever they tell of: nobody waits for one.

    That one can't be written is logged, and is no failure of what it tells about.

    Args:
        cluster: where.
        instance: of the process, which is named in each.

    Attributes:
        outcomes: how many were Written, were Told already (by another replica, or earlier in the hour), were Dropped
            because too many waited, or Failed.
    """

    def __init__(self, cluster: Cluster, instance: str) -> None:
        self.outcomes: Counter[str] = Counter(dict.fromkeys(_OUTCOMES, 0))
        self._cluster, self._instance = cluster, instance
        self._waiting: asyncio.Queue[tuple[str, Regarding, Event]] = asyncio.Queue(MAX_WAITING)
        self._namespaces: Counter[str] = Counter()  # of those that wait
        self._said: set[str] = set()
        self._hour = 0
        self._complaints = Seldom(10.0)

    @property
    def written(self) -> int:
        """How many were written."""
        return self.outcomes["Written"]

    def say(self, about: Regarding, event: Event) -> None:
        """Have something said about an object, unless that was said in this hour; returns at once."""
        hour = int(time.time()) // HOUR
        if hour != self._hour or len(self._said) >= _MAX_SAID:
            self._said.clear()
            self._hour = hour
        name = name_of(about, event.reason, hour)
        if name in self._said:
            return
        if self._waiting.full() or self._namespaces[about.namespace] >= MAX_OF_ONE:
            self.outcomes["Dropped"] += 1
            return
        self._waiting.put_nowait((name, about, event))
        self._namespaces[about.namespace] += 1
        self._said.add(name)

    async def run(self) -> NoReturn:
        """Write what is said, for ever."""
        while True:
            name, about, event = await self._waiting.get()
            self._namespaces -= Counter((about.namespace,))  # which keeps no namespace of none
            await self.write(name, about, event)
            await asyncio.sleep(1 / PER_SECOND)

    async def write(self, name: str, about: Regarding, event: Event) -> None:
        """Write one Event of a name."""
        try:
            path = f"/apis/events.k8s.io/v1/namespaces/{about.namespace}/events"
            await self._cluster.create(path, self._raw(name, about, event))
        except ClusterError as error:
            told = error.status == 409
            self.outcomes["Told" if told else "Failed"] += 1
            if not told:
                self._complain(about, str(error))
        except Exception as error:  # noqa: BLE001 - whatever ends a connection, and whatever the client makes of it
            self.outcomes["Failed"] += 1
            self._complain(about, type(error).__name__)
        else:
            self.outcomes["Written"] += 1

    def expose(self, metrics: ProcessMetrics) -> None:
        """Show how many were written."""
        metrics.counter(
            "rightarch_events",
            "Events, by what became of them: Written, Told already, Dropped because too many waited, or Failed.",
            ("outcome",),
            lambda: {(outcome,): count for outcome, count in self.outcomes.items()},
        )

    def _complain(self, about: Regarding, error: str) -> None:
        if (untold := self._complaints.turn()) is not None:
            told = fields(namespace=about.namespace, error=error, untold=untold or None)
            log.warning("could not write an Event", extra=told)

    def _raw(self, name: str, about: Regarding, event: Event) -> Mapping[str, Any]:
        regarding = {
            "apiVersion": about.api_version,
            "kind": about.kind,
            "namespace": about.namespace,
            "name": about.name,
        }
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": about.namespace},
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": REPORTER,
            "reportingInstance": self._instance[:128],
            "action": event.action,
            "reason": event.reason,
            "regarding": regarding | ({"uid": about.uid} if about.uid else {}),
            "note": event.note.encode()[:MAX_NOTE].decode(errors="ignore"),
            "type": "Warning" if event.warns else "Normal",
        }


def _deployment(replica_set: str, digest: str | None) -> str:
    """The name of the Deployment whose ReplicaSet has a name; empty where that is not sure."""
    return replica_set.removesuffix(f"-{digest}") if digest and replica_set.endswith(f"-{digest}") else ""
