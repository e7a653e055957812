"""Gates: pods that wait for their images are released by the leader.

Nothing in Kubernetes ends a scheduling gate, so all ways here lead to a release: known images, images that can't be
had, a time-out, and a pod that can't be changed as it should be. Pods are decided on from memory alone, so that none
waits behind a registry; images are looked up apart.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from rightarch import patches, placement
from rightarch import pod as pods
from rightarch.cluster import Cluster, ClusterError
from rightarch.controller.awaited import Awaited
from rightarch.controller.held import LABELS, Held, HeldPods
from rightarch.controller.queue import PROBE_PAUSE, Queue, Within
from rightarch.controller.workloads import POD, Key
from rightarch.events import Event, Events, owner_of
from rightarch.following import View, follow
from rightarch.gather import MAX_IMAGES, recall
from rightarch.keychains import Keychains
from rightarch.logs import Seldom, fields
from rightarch.metrics import ProcessMetrics
from rightarch.patches import GATE, Patch
from rightarch.placement import GATED, Decision, Failure, decide
from rightarch.pod import Pod
from rightarch.reasons import Note, Reason
from rightarch.registry import Registry
from rightarch.rulebook import Rulebook
from rightarch.snapshot import Nodes

PATIENCE: Final = 10.0
"""Seconds for which a new leader waits for its picture of the cluster before it releases what is overdue."""
RECHECK: Final = 15.0
"""Seconds after which a pod that is held is decided on anew, whatever happens: its namespace's labels may be others."""
HEED: Final = 0.5
"""Seconds between two looks whether policies have changed."""
RELEASERS: Final = 16
"""How many pods are released at a time."""
ATTEMPTS: Final = 5
"""How often a pod that others change at the same moment is tried at once."""
_SECONDS: Final = (0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
_OUTCOMES: Final = ("Resolved", "Unreadable", "TimedOut", "ByPolicy", "Refused", "Gone")
_OTHERS_FIRST: Final = frozenset({404, 409})
"""Statuses by which the API server says that a pod is another by now."""
_UNFIT: Final = 422
"""The status of operations that can't be applied: their test fails, or they name what is not there; and of an object
that breaks a rule."""
_PASSING: Final = frozenset({401, 403, 429})
"""Statuses by which it refuses what it may allow a moment later: just started, it has not read the roles yet."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of a pod that is held.

    Attributes:
        decision: None where ours failed on it: then it is released as it is.
        left: seconds for which it may still be held; none are left once it is overdue.
    """

    decision: Decision | None
    left: float

    @property
    def holds(self) -> bool:
        """Whether it is held on."""
        return self.left > 0 and self.decision is not None and self.decision.gate

    @property
    def outcome(self) -> str:
        """The word by which its release is counted."""
        if self.decision is None:
            return "Refused"
        if self.decision.reason in {Reason.UNRESOLVED, Reason.SKIPPED}:
            return "TimedOut" if self.left <= 0 and self.decision.images else "ByPolicy"
        failures = (image for image in self.decision.images.values() if isinstance(image, Failure))
        return "Unreadable" if self.decision.reason in {failure.reason for failure in failures} else "Resolved"


class Gates:
    """Releases pods.

    Args:
        cluster: whose pods.
        registry: where images are looked up.
        keychains: in whose name.
        nodes: what the cluster has.
        events: where it is said that a pod waited in vain.
        metrics: where what is done is shown.
        informed: whether all is known that the cluster tells of images and policies.
        rulebook: tells what applies to a pod.

    Attributes:
        caught_up: set once this leader has released what was overdue when it began: until then it is to look nothing
            up.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a leader has
        self,
        cluster: Cluster,
        registry: Registry,
        keychains: Keychains,
        nodes: Nodes,
        events: Events,
        metrics: ProcessMetrics,
        informed: Callable[[], bool],
        rulebook: Rulebook,
    ) -> None:
        self.caught_up = asyncio.Event()
        self._cluster, self._registry, self._keychains, self._nodes = cluster, registry, keychains, nodes
        self._events, self._failed, self._informed, self._rulebook = events, metrics.watch_failed, informed, rulebook
        self._queue: Queue[Key] = Queue(self._settle, workers=RELEASERS)
        self._awaited = Awaited(registry, keychains, self._queue.add_afresh)
        self._held = HeldPods(lambda held: self._queue.add_afresh(held.key), self._gone)
        self._outcomes: Counter[str] = Counter(dict.fromkeys(_OUTCOMES, 0))
        self._complaints = Seldom(10.0)
        self._observe = _expose(metrics, self._held, self._awaited, self._outcomes)

    async def run(self) -> None:
        """Follow, and release, for ever."""
        async with asyncio.TaskGroup() as group:
            view = View(Held.of, labels=LABELS)
            group.create_task(follow(self._cluster, POD.path, self._held, self._failed, view=view))
            await self._catch_up()
            group.create_task(self._queue.run())
            group.create_task(self._awaited.run())
            group.create_task(self._heed())

    async def _heed(self) -> NoReturn:
        """Decide on all that are held anew when policies have changed."""
        heeded = self._rulebook.version
        while True:
            await asyncio.sleep(HEED)
            if heeded != (heeded := self._rulebook.version):
                for held in self._held:
                    self._queue.add_afresh(held.key)

    async def find(self) -> None:
        """Label the pods that our gate holds and that lack the label: then the watch tells of them.

        Metadata tell nothing of gates, so the pods are read whole; only those that are Pending, a page at a time.

        Raises:
            ClusterError: what the API server answered.
        """
        selectors = {"labelSelector": f"{GATED}!=true", "fieldSelector": "status.phase=Pending"}
        async with aclosing(self._cluster.pages(POD.path, selectors)) as pages:
            async for page, _ in pages:
                for pod in page:
                    if GATE in pods.gates(pod):
                        await self._label(pod)

    async def _label(self, pod: Pod) -> None:
        try:
            await self._patch(pod, patches.entry(pod, "labels", GATED, "true"))
        except ClusterError as error:
            if error.status >= 500:
                raise
            if error.status not in _OTHERS_FIRST:  # somebody's own rules, which keep nobody else held
                self._complain("could not label a pod that is held", Key.of(POD, pod), error)

    async def _catch_up(self) -> None:
        """Release what is overdue before anything is looked up: while there was no leader, nobody did."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._find_first()
                await self._see()
        except TimeoutError:
            log.warning("pods that are held are decided on without a full picture of the cluster")
        slots = asyncio.Semaphore(RELEASERS)

        async def settle(key: Key) -> None:
            async with slots:
                await self._settle(key)  # what fails here is in the queue as well

        overdue = [held.key for held in self._held if self._judge(held, held.pod()).left <= 0]
        await asyncio.gather(*map(settle, overdue))
        self.caught_up.set()

    async def _find_first(self) -> None:
        try:
            await self.find()
        except Exception as error:  # noqa: BLE001 - whatever ends a connection: the next list finds them
            self._failed()
            log.warning("could not list the pods that are Pending", extra=fields(error=_text(error)))

    async def _see(self) -> None:
        """Wait until the pods that are held, and all that they are decided by, are known."""
        while not (self._held.listed and self._nodes.listed and self._informed()):  # noqa: ASYNC110 - stores tell nobody
            await asyncio.sleep(0.1)

    def _gone(self, held: Held) -> None:
        """Somebody else released a pod, or deleted it."""
        self._outcomes["Gone"] += held.gated
        self._queue.forget(held.key)
        self._awaited.leave(held.key)

    async def _settle(self, key: Key) -> Within | None:
        """Release a pod, or say when to look at it again."""
        try:
            return await self._attempts(key)
        except Exception as error:  # noqa: BLE001 - whatever it is, no pod may stay held for it
            self._complain("could not release a pod; it is tried again", key, error)
            return Within(0.0, PROBE_PAUSE)

    def _complain(self, what: str, key: Key, error: Exception) -> None:
        if (untold := self._complaints.turn()) is not None:
            log.warning(what, extra=fields(key=str(key), error=_text(error), untold=untold or None))

    async def _attempts(self, key: Key) -> Within | None:
        """Decide and release, anew each time that somebody else has changed the pod meanwhile.

        Where the API server, or somebody whom it asks, refuses what was decided, the pod is released as it is.
        """
        refused = False
        for _ in range(ATTEMPTS):
            held = self._held.get(key)
            if held is None or "deletionTimestamp" in (pod := held.pod())["metadata"]:
                return None
            verdict = self._judge(held, pod)
            if held.gated and verdict.holds:
                return self._hold(held, verdict)
            try:
                await self._patch(pod, self._change(pod, None if refused else verdict.decision))
            except ClusterError as error:
                if (error.status in _PASSING and verdict.left > 0) or error.status >= 500:
                    raise
                await self._read_anew(held)
                refused = error.status not in _OTHERS_FIRST and not self._is_outdated(key, pod, error)
            else:
                self._released(held, pod, Verdict(None, verdict.left) if refused else verdict)
                return None
        return Within(0.0, PROBE_PAUSE)

    def _is_outdated(self, key: Key, pod: Pod, error: ClusterError) -> bool:
        """Whether a change did not fit because the pod is another by now: that is found before its version is."""
        now = self._held.get(key)
        version = pod["metadata"]["resourceVersion"]
        return error.status == _UNFIT and now is not None and now.pod()["metadata"]["resourceVersion"] != version

    def _change(self, pod: Pod, decision: Decision | None) -> Patch:
        """What releases a pod; where ours fails on it, as it is."""
        try:
            return _ending(pod, decision)
        except Exception as error:  # noqa: BLE001 - whatever it is, no pod may stay held for it
            self._complain("could not write a decision; the pod is released as it is", Key.of(POD, pod), error)
            return _ending(pod, None)

    def _judge(self, held: Held, pod: Pod) -> Verdict:
        """What memory says of a pod. No pod is to stay held for a fault of ours."""
        try:
            return self._decided(held, pod)
        except Exception:
            if (untold := self._complaints.turn()) is not None:
                log.exception("failed on a pod that is held", extra=fields(key=str(held.key), untold=untold or None))
            return Verdict(None, 0.0)

    def _decided(self, held: Held, pod: Pod) -> Verdict:
        namespace = held.key.namespace
        policy, keys = self._rulebook.effective(namespace, pod), self._keychains.of_pod(namespace, pod)
        left = policy.choices.on_unresolved.gate_timeout_seconds - held.seconds()
        given = recall(pod, self._nodes.capacity, self._registry, keys, policy)
        given = replace(given, gating=True, gated=True, overdue=left <= 0, namespace=namespace)
        return Verdict(decide(given), left)

    def _hold(self, held: Held, verdict: Verdict) -> Within:
        """Have the images looked up that are not known: as soon as one is, the pod is decided on again."""
        assert verdict.decision, "there is one where a pod is held on"
        unknown = {name for name, image in verdict.decision.images.items() if isinstance(image, Failure)}
        self._awaited.wait(held.key, (each for each in held.wanted[:MAX_IMAGES] if each.image in unknown))
        pause = min(verdict.left, RECHECK * random.uniform(0.8, 1.2))  # noqa: S311 - jitter, no secret
        return Within(pause, pause)

    async def _patch(self, pod: Pod, change: Patch) -> None:
        """Change a pod, if nobody has since it was read."""
        metadata = pod["metadata"]
        condition = {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]}
        path = f"{POD.path_in(metadata['namespace'])}/{metadata['name']}"
        await self._cluster.patch(path, "json-patch", [condition, *change])

    async def _read_anew(self, held: Held) -> None:
        """See a pod as it is now. By a list of one: the right to list is there anyway."""
        selector = {"fieldSelector": f"metadata.name={held.key.name}"}
        async with aclosing(self._cluster.pages(POD.path_in(held.key.namespace), selector)) as pages:
            async for page, _ in pages:
                for pod in page:
                    if pod["metadata"]["uid"] == held.uid and _is_ours(pod):
                        self._held.renew(Held.of(pod))
                        return
        self._held.remove(held)

    def _released(self, held: Held, pod: Pod, verdict: Verdict) -> None:
        self._held.release(held)
        self._queue.forget(held.key)
        self._awaited.leave(held.key)
        if not held.gated:
            return
        outcome = verdict.outcome
        self._outcomes[outcome] += 1
        self._observe(held.seconds())
        log.info("released a pod", extra=fields(key=str(held.key), outcome=outcome, seconds=round(held.seconds(), 1)))
        about = owner_of(pod, held.key.namespace)
        if outcome == "TimedOut" and verdict.decision and about:
            self._events.say(about, Event("Release", Note.GATE_TIMED_OUT, verdict.decision.message, warns=True))


def _ending(pod: Pod, decision: Decision | None) -> Patch:
    """What ends our gate, if there is one, and writes what was decided, if anything."""
    if decision is not None and GATE in pods.gates(pod):
        return placement.release(decision, pod)
    return patches.ungate(pod) + patches.entry(pod, "labels", GATED, None)


def _is_ours(pod: Pod) -> bool:
    """Whether there still is something to take off."""
    return GATE in pods.gates(pod) or GATED in pods.labels(pod)


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__


def _expose(
    metrics: ProcessMetrics, held: HeldPods, awaited: Awaited, outcomes: Counter[str]
) -> Callable[[float], None]:
    """Show what is held and done; gives what takes the seconds for which a pod was held."""
    metrics.gauge("rightarch_gated_pods", "Pods that our scheduling gate holds.", (), lambda: {(): float(len(held))})
    meaning = "Images that such pods wait for."
    metrics.gauge("rightarch_awaited_images", meaning, (), lambda: {(): float(len(awaited))})
    metrics.counter(
        "rightarch_gate_releases",
        "Pods released, by why: Resolved, all images are known, or enough of them; Unreadable, one can't be had; "
        "TimedOut, one was not known in time; ByPolicy, their policy does not hold them any more; Refused, what was "
        "decided could not be written. Gone: somebody else released or deleted them.",
        ("outcome",),
        lambda: {(outcome,): float(count) for outcome, count in outcomes.items()},
    )
    meaning = "For how long pods were held that were released."
    return metrics.histogram("rightarch_gate_duration_seconds", meaning, _SECONDS)
