"""The arena: all cases side by side in one control plane, each side in a namespace that Rightarch sees or does not.

Karpenter is paused until every pod is there and Unschedulable, so that it sees them at once, as it sees those of a
cluster that was just filled: what it buys does not depend on the order in which a busy machine created them. The
scheduler is paused from then on until the nodes of pods that share out their preferences are there: it would give the
first of the nodes to a pod that prefers the other, and Karpenter buys once more.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx
import orjson

from tests.controlplane import Resources, wait_for
from tests.support.karpenter import NODE_POOL, PRICE

from .cases import ARCH, LABEL, OS, SIDES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tests.controlplane import ControlPlane
    from tests.support.installation import Replica
    from tests.support.karpenter import Karpenter

    from .cases import Case
    from .probes import Probe

    Object = dict[str, Any]
    Outcomes = dict[tuple[str, str], "Outcome"]

CLAIMS: Final = "/apis/karpenter.sh/v1/nodeclaims"
POOLS: Final = "/apis/karpenter.sh/v1/nodepools"
POLICIES: Final = "/apis/rightarch.dev/v1alpha1/clusterarchitecturepolicies"
ZONE: Final = "topology.kubernetes.io/zone"
SETTLED_SECONDS: Final = 300
REQUEST_SECONDS: Final = 60
LOOK_SECONDS: Final = 3.0
BOUGHT_SECONDS: Final = 60
SCHEDULER: Final = "kube-scheduler"


@dataclass(frozen=True)
class Outcome:
    """What became of one side of a case.

    Attributes:
        nodes: NodeClaims that were launched, by architecture.
        price: what they cost in all, in dollars per hour.
        bound: pods that have a node; those of DaemonSets aside.
        pending: pods that have none; likewise.
        misplaced: names of pods on a node that one of their images does not run on.
        zones: where the nodes are.
        thrown_away: NodeClaims that were made and are gone.
    """

    nodes: Mapping[str, int]
    price: float
    bound: int
    pending: int
    misplaced: tuple[str, ...]
    zones: frozenset[str]
    thrown_away: tuple[str, ...]

    def matches(self, case: Case, side: str) -> bool:
        """Whether this is what a case says of a side."""
        expected = case.expected(side)
        return (
            (expected.nodes is None or dict(self.nodes) == dict(expected.nodes))
            and (self.bound, self.pending) == (case.count() - expected.pending, expected.pending)
            and len(self.misplaced) == expected.misplaced
        )


class Claims:
    """All NodeClaims that ever were, by a watch."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._gone: dict[str, str] = {}
        """The NodePool of each that is gone."""
        self._thread = threading.Thread(target=self._watch, name="nodeclaims", daemon=True)
        self._thread.start()

    def gone(self, key: str) -> tuple[str, ...]:
        """The names of those of a key that are gone."""
        assert self._thread.is_alive(), "the watch of NodeClaims has ended: what is gone would not be seen"
        with self._lock:
            return tuple(name for name, pool in self._gone.items() if pool.startswith(f"{key}-"))

    def _watch(self) -> None:
        """Go on where the API server ended a watch, as it does with one that can't keep up."""
        version = self._client.get(CLAIMS).raise_for_status().json()["metadata"]["resourceVersion"]
        try:
            while True:
                version = self._follow(version)
        except httpx.TransportError:
            if not self._client.is_closed:  # or all is over, and the control plane has ended
                raise

    def _follow(self, version: str) -> str:
        """Take what happens after a version, and give the last one."""
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version}
        with self._client.stream("GET", CLAIMS, params=query, timeout=None) as answer:
            for line in answer.raise_for_status().iter_lines():
                event = json.loads(line)
                assert event["type"] != "ERROR", event
                metadata = event["object"]["metadata"]
                version = metadata["resourceVersion"]
                if event["type"] == "DELETED":
                    with self._lock:
                        self._gone[metadata["name"]] = metadata["labels"][NODE_POOL]
        return version


class Arena:
    """All that the cases share.

    Args:
        plane: the control plane.
        client: of its REST interface.
        karpenter: beside it.
        webhook: which is asked of the pods of one side.
        images: the full names of images, by what the cases call them.
        runs: where each image runs, as (operating system, architecture).
    """

    def __init__(
        self,
        plane: ControlPlane,
        client: httpx.Client,
        karpenter: Karpenter,
        webhook: Replica,
        *,
        images: Mapping[str, str],
        runs: Mapping[str, frozenset[tuple[str, str]]],
    ) -> None:
        self.plane, self.client, self.karpenter, self.images = plane, client, karpenter, images
        self._runs = {images[name]: platforms for name, platforms in runs.items()}
        self._webhook = webhook
        self._resources = Resources(client)
        self.claims = Claims(client)

    def play(
        self, cases: Sequence[Case], probes: Sequence[Probe] = (), *, spoken: Callable[[], None] = lambda: None
    ) -> Outcomes:
        """Make everything of some cases, and tell what becomes of it; what of probes, `launched` tells then.

        Args:
            cases: the cases.
            probes: played beside them.
            spoken: called when the scheduler has spoken of every pod, and Karpenter sees them.
        """
        sides = [(case, side) for case in cases for side in SIDES]
        keys = frozenset([case.key(side) for case, side in sides] + [probe.key for probe in probes])
        self.create(pool for case, side in sides for pool in case.pools(side))
        self.create(each for probe in probes for each in probe.pools)
        self.create(each for probe in probes for each in probe.nodes)
        self.create(policy for case in cases for policy in case.policies())
        wait_for(self._pools_are_judged, SETTLED_SECONDS, pause=LOOK_SECONDS)
        wait_for(self._webhook_knows, SETTLED_SECONDS)
        with self.paused():
            self.create(each for case, side in sides for each in case.workloads(side, self.images))
            self.create(probe.pod for probe in probes)
            expected = 2 * sum(case.count() for case in cases) + len(probes)
            wait_for(lambda: self._spoken_of(keys, expected), SETTLED_SECONDS, pause=LOOK_SECONDS)
            self.plane.pause(SCHEDULER)
        shared = {case.key("with"): sum((case.expected("with").nodes or {}).values()) for case in cases if case.shares}
        with contextlib.suppress(TimeoutError), self.scheduler_awake():  # each test tells of its own
            wait_for(
                lambda: all(self.ready(key) >= count for key, count in shared.items()), BOUGHT_SECONDS, LOOK_SECONDS
            )
        spoken()
        return self.settle(cases, keys)

    def paused(self) -> _Paused:
        """Karpenter, stopped for the length of a `with` block."""
        return _Paused(self.karpenter)

    @contextlib.contextmanager
    def scheduler_awake(self) -> Iterator[None]:
        """Have the scheduler, which is paused, go on after the block, whatever becomes of it."""
        try:
            yield
        finally:
            self.plane.resume(SCHEDULER)

    def claims_of(self, key: str) -> list[Object]:
        """The NodeClaims that were made for a key."""
        return [each for each in self.listed(CLAIMS) if each["metadata"]["labels"][NODE_POOL].startswith(f"{key}-")]

    def ready(self, key: str) -> int:
        """How many NodeClaims of a key have a node that pods may use."""
        return sum(_condition(each, "Ready").get("status") == "True" for each in self.claims_of(key))

    def create(self, objects: Iterable[Object]) -> None:
        """Create objects, several at a time."""
        objects = list(objects)
        for each in objects[:1]:
            self._resources.apply(each)  # learns the kind
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(self._resources.apply, objects[1:]))

    def settle(self, cases: Sequence[Case], keys: frozenset[str]) -> Outcomes:
        """What became of the cases, once it is what they say; or after a while, whatever it is."""
        outcomes: Outcomes = {}

        pending = sum(case.expected(side).pending for case in cases for side in SIDES)

        def settled() -> bool:
            if self._waiting(keys) > pending:
                return False  # a look at everything takes the API server a while, and it has better to do
            outcomes.update(self.outcomes(cases))
            return all(outcomes[case.name, side].matches(case, side) for case in cases for side in SIDES)

        with contextlib.suppress(TimeoutError):
            wait_for(settled, SETTLED_SECONDS, pause=LOOK_SECONDS)
        return outcomes or self.outcomes(cases)

    def outcomes(self, cases: Iterable[Case]) -> Outcomes:
        """What became of each case, by its name and its side; everything is listed once."""
        claims, pods = self.listed(CLAIMS), {side: self.pods(side) for side in SIDES}
        nodes = {each["metadata"]["name"]: each["metadata"]["labels"] for each in self.listed("/api/v1/nodes")}
        return {
            (case.name, side): self._outcome(
                case.key(side),
                [each for each in claims if each["metadata"]["labels"][NODE_POOL].startswith(f"{case.key(side)}-")],
                [each for each in pods[side] if each["metadata"]["labels"].get(LABEL) == case.key(side)],
                nodes,
            )
            for case in cases
            for side in SIDES
        }

    def _outcome(
        self, key: str, claims: Sequence[Object], pods: Sequence[Object], nodes: Mapping[str, Mapping[str, str]]
    ) -> Outcome:
        plain = [each for each in pods if not _is_daemon(each)]
        labels = [each["metadata"]["labels"] for each in claims]
        return Outcome(
            Counter(each.get(ARCH, "not launched") for each in labels),
            round(sum(float(each.get(PRICE, 0)) for each in labels), 4),
            sum(bool(_node(each)) for each in plain),
            sum(not _node(each) for each in plain),
            tuple(each["metadata"]["name"] for each in pods if self._is_misplaced(each, nodes)),
            frozenset(each[ZONE] for each in labels if ZONE in each),
            self.claims.gone(key),
        )

    def node_of(self, key: str) -> tuple[str, str] | None:
        """The operating system and architecture of the node that the pod of a probe is on; None for none."""
        pod = self.client.get(f"/api/v1/namespaces/without/pods/{key}").raise_for_status().json()
        if not (name := _node(pod)):
            return None
        labels = self.client.get(f"/api/v1/nodes/{name}").raise_for_status().json()["metadata"]["labels"]
        return labels[OS], labels[ARCH]

    def launched(self, key: str) -> list[str]:
        """The architectures of the NodeClaims that were launched for a key."""
        labels = (each["metadata"]["labels"] for each in self.claims_of(key))
        return [each[ARCH] for each in labels if ARCH in each]

    def listed(self, path: str, **query: str) -> list[Object]:
        """All objects of a collection, from the API server's memory: a busy one takes its time to be sure of more."""
        answer = self.client.get(path, params={"resourceVersion": "0", **query}, timeout=REQUEST_SECONDS)
        items: list[Object] = orjson.loads(answer.raise_for_status().content)["items"]
        return items

    def pods(self, namespace: str, **query: str) -> list[Object]:
        """The pods of a namespace."""
        return self.listed(f"/api/v1/namespaces/{namespace}/pods", **query)

    def _is_misplaced(self, pod: Object, nodes: Mapping[str, Mapping[str, str]]) -> bool:
        if not (name := _node(pod)) or name not in nodes:
            return False
        platform = nodes[name][OS], nodes[name][ARCH]
        spec = pod["spec"]
        images = [each["image"] for each in [*spec.get("initContainers", ()), *spec["containers"]]]
        return any(platform not in self._runs[image] for image in images)

    def _pools_are_judged(self) -> bool:
        """Whether Karpenter has said of every NodePool whether it is ready."""
        return all(_condition(pool, "Ready").get("status") in {"True", "False"} for pool in self.listed(POOLS))

    def _webhook_knows(self) -> bool:
        """Whether the webhook has seen as many NodePools and policies as there are."""
        told = self._webhook.metrics()
        policies = sum(count for name, count in told.items() if name.startswith("rightarch_policies{"))
        return told["rightarch_nodepools"] == len(self.listed(POOLS)) and policies == len(self.listed(POLICIES))

    def _waiting(self, keys: frozenset[str]) -> int:
        """How many pods of cases have no node."""
        pods = [each for side in SIDES for each in self.pods(side, fieldSelector="spec.nodeName=")]
        labels = [each["metadata"]["labels"] for each in pods]
        return sum("workload" in each and each[LABEL] in keys for each in labels)

    def _spoken_of(self, keys: frozenset[str], count: int) -> bool:
        """Whether there are so many pods, and the scheduler has refused each: none has a node yet."""
        pods = [each for side in SIDES for each in self.pods(side) if each["metadata"]["labels"].get(LABEL) in keys]
        pods = [each for each in pods if not _is_daemon(each)]
        return len(pods) >= count and all(_is_spoken_of(each) for each in pods)


class _Paused:
    """Karpenter, stopped for the length of a `with` block."""

    def __init__(self, karpenter: Karpenter) -> None:
        self._process = karpenter.process

    def __enter__(self) -> None:
        self._process.pause()

    def __exit__(self, *_: object) -> None:
        self._process.resume()


def _condition(thing: Object, kind: str) -> Object:
    conditions = thing.get("status", {}).get("conditions", ())
    return next((each for each in conditions if each["type"] == kind), {})


def _is_spoken_of(pod: Object) -> bool:
    reason = _condition(pod, "PodScheduled").get("reason")
    return bool(_node(pod)) or reason in {"Unschedulable", "SchedulingGated"}


def _is_daemon(pod: Object) -> bool:
    return any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences", ()))


def _node(pod: Object) -> str | None:
    name: str | None = pod["spec"].get("nodeName")
    return name
