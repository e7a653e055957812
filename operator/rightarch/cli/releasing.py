"""Runs ``rightarch release``: finds the pods that our gate holds, and ends it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
import typer

from rightarch import patches
from rightarch import pod as pods
from rightarch.cli import clusters, printing
from rightarch.cli.exits import FAILURE
from rightarch.cluster import Cluster, ClusterError
from rightarch.errors import RightarchError
from rightarch.patches import Patch
from rightarch.placement import GATED
from rightarch.pod import Pod

CONFIGURATIONS: Final = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
SETTLING: Final = 10.0
"""Seconds after the end of the registration until no API server asks the webhook any more, and all that were asked have
their answer."""
PAUSE: Final = 0.5
AT_A_TIME: Final = 16
ATTEMPTS: Final = 10
"""How often a pod is tried that others change at the same moment."""

_OTHERS_FIRST: Final = frozenset({404, 409, 422})
"""Statuses by which the API server says that a pod is another by now, or gone."""

RELEASED: Final = "released"
NOT_HELD: Final = "not held"
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asks for.

    Attributes:
        names: of pods; none for all that are held.
        namespace: theirs; None for the context's, or for all where all are asked for.
        unregister: a MutatingWebhookConfiguration to delete first, or None.
        output: ``table`` or ``json``.
        kubeconfig: the file, or None for the usual ones.
        context: of the file; None for the current one.
    """

    names: tuple[str, ...]
    namespace: str | None
    unregister: str | None
    output: str
    kubeconfig: Path | None
    context: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one pod.

    Attributes:
        seconds: for how long it was there; None where it is not.
        result: ``released``, ``not held`` or ``failed``.
        error: why it failed.
    """

    namespace: str
    name: str
    seconds: int | None
    result: str
    error: str | None = None


def run(asked: Asked) -> int:
    """Release, print, and return the exit status.

    Raises:
        RightarchError: the API server is not in reach, or refuses to list pods.
    """
    outcomes = asyncio.run(_run(asked))
    typer.echo(_text(outcomes, asked.output), nl=False)
    for each in (outcome for outcome in outcomes if outcome.error):
        typer.echo(f"rightarch: {each.namespace}/{each.name}: {each.error}", err=True)
    return FAILURE if any(outcome.result == FAILED for outcome in outcomes) else 0


async def _run(asked: Asked) -> list[Outcome]:
    try:
        async with _connected(asked) as (cluster, namespace):
            if asked.names:
                return await _each(Releasing(cluster), [(namespace, name) for name in asked.names])
            if asked.unregister is None:
                return await Releasing(cluster).all(asked.namespace)
            return await _unregistered(cluster, asked.unregister)
    except RightarchError:
        raise
    except Exception as error:  # whatever ends a connection, and whatever the client makes of it
        said = str(error) or type(error).__name__
        raise clusters.Unreachable(f"the API server can't be reached: {said}; check the kubeconfig") from error


@asynccontextmanager
async def _connected(asked: Asked) -> AsyncIterator[tuple[Cluster, str]]:
    """The API server, and the namespace of pods that are named; in a pod, by its own account."""
    if asked.kubeconfig is None and asked.context is None and _in_a_pod(os.environ, Path.home()):
        cluster = await Cluster.connect(None)
        try:
            yield cluster, asked.namespace or "default"
        finally:
            await cluster.aclose()
        return
    place = clusters.place(asked.kubeconfig, asked.context, asked.namespace, otherwise="")
    async with clusters.connected(place) as cluster:
        yield cluster, place.namespace


def _in_a_pod(environment: Mapping[str, str], home: Path) -> bool:
    """Whether this is a pod of the cluster, and there is no kubeconfig, which goes first as with kubectl."""
    configured = environment.get("KUBECONFIG") or (home / ".kube/config").is_file()
    return "KUBERNETES_SERVICE_HOST" in environment and not configured


async def _unregistered(cluster: Cluster, name: str) -> list[Outcome]:
    """Delete the registration, then release until nothing can be held any more by what was admitted before."""
    try:
        await cluster.delete(f"{CONFIGURATIONS}/{name}")
    except ClusterError as error:
        if error.status != 404:
            raise
        told = f"rightarch: there is no MutatingWebhookConfiguration {name}: it was deleted before, or has another name"
        typer.echo(told, err=True)
    end, releasing, outcomes = time.monotonic() + SETTLING, Releasing(cluster), dict[tuple[str, str], Outcome]()
    while True:
        found = await releasing.all(None)
        outcomes |= {(each.namespace, each.name): each for each in found}
        if not found and time.monotonic() > end:
            return list(outcomes.values())
        if time.monotonic() > end + SETTLING:  # some can't be released, and it was tried for long
            return list(outcomes.values())
        await asyncio.sleep(PAUSE)


async def _each(releasing: "Releasing", names: Iterable[tuple[str, str]]) -> list[Outcome]:
    return [await releasing.named(namespace, name) for namespace, name in names]


class Releasing:
    """Ends our gate on pods.

    Args:
        cluster: whose pods.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._slots = asyncio.Semaphore(AT_A_TIME)

    async def all(self, namespace: str | None) -> list[Outcome]:
        """Release all pods that are held, of a namespace or of all: a pod that is held is Pending.

        Raises:
            ClusterError: the API server refuses to list pods.
        """
        path = "/api/v1/pods" if namespace is None else _collection(namespace)
        outcomes: list[Outcome] = []
        async with aclosing(self._cluster.pages(path, {"fieldSelector": "status.phase=Pending"})) as pages:
            async for page, _ in pages:
                outcomes += await asyncio.gather(*(self._release(pod) for pod in page if _is_held(pod)))
        return outcomes

    async def named(self, namespace: str, name: str) -> Outcome:
        """Release the pod of a name.

        Raises:
            ClusterError: the API server refuses to list pods.
        """
        pod = await self._read(namespace, name)
        if pod is None:
            return Outcome(namespace, name, None, FAILED, "there is no such pod")
        return await self._release(pod)

    async def _release(self, pod: Pod) -> Outcome:
        metadata = pod["metadata"]
        namespace, name, seconds = metadata["namespace"], metadata["name"], _age(pod)
        try:
            async with self._slots:
                released = await self._attempts(namespace, name, pod)
        except ClusterError as error:
            return Outcome(namespace, name, seconds, FAILED, str(error))
        return Outcome(namespace, name, seconds, RELEASED if released else NOT_HELD)

    async def _attempts(self, namespace: str, name: str, pod: Pod | None) -> bool:
        """Whether a pod was released here; tried anew where others change it at the same moment.

        Raises:
            ClusterError: the API server refuses.
        """
        for left in reversed(range(ATTEMPTS)):
            change = _ending(pod) if pod else []
            if not pod or not change:
                return False
            try:
                await self._cluster.patch(f"{_collection(namespace)}/{name}", "json-patch", change)
            except ClusterError as error:
                if error.status not in _OTHERS_FIRST or not left:
                    raise
                pod = await self._read(namespace, name)
            else:
                return _is_held(pod)
        return False

    async def _read(self, namespace: str, name: str) -> Pod | None:
        """The pod of a name, by a list of one: the right to list is there anyway."""
        selector = {"fieldSelector": f"metadata.name={name}"}
        async with aclosing(self._cluster.pages(_collection(namespace), selector)) as pages:
            async for page, _ in pages:
                for pod in page:
                    return pod
        return None


def _ending(pod: Pod) -> Patch:
    """What ends our gate and takes the label off; empty where there is neither."""
    return patches.ungate(pod) + patches.entry(pod, "labels", GATED, None)


def _collection(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods"


def _is_held(pod: Pod) -> bool:
    return patches.GATE in pods.gates(pod)


def _age(pod: Pod) -> int:
    created = datetime.fromisoformat(pod["metadata"]["creationTimestamp"]).timestamp()
    return max(0, round(time.time() - created))


def _text(outcomes: Sequence[Outcome], output: str) -> str:
    if output == "json":
        data: dict[str, Any] = {"pods": [asdict(outcome) for outcome in outcomes]}
        return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
    if not outcomes:
        return "No pod is held.\n"
    rows = [(each.namespace, each.name, _shown(each.seconds), each.result) for each in outcomes]
    return f"{printing.columns([('NAMESPACE', 'POD', 'AGE', 'RESULT'), *rows], {2}, None)}\n"


def _shown(seconds: int | None) -> str:
    """An age, as kubectl shows it."""
    if seconds is None:
        return "-"
    units = ((86400, "d"), (3600, "h"), (60, "m"))
    return next((f"{seconds // size}{unit}" for size, unit in units if seconds >= 2 * size), f"{seconds}s")
