"""Runs ``rightarch explain``: reads workloads, decides as admission does, and prints why."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import typer

from rightarch.cli import clusters, explain_printing
from rightarch.cli.clusters import Place
from rightarch.cli.engine import Engine, Judged
from rightarch.cli.exits import FAILURE, FINDINGS
from rightarch.cli.knowledge import Knowledge
from rightarch.cli.registries import Asking, keychain, opened, tell
from rightarch.cli.surroundings import Surroundings, created, policies_of, seen, tried
from rightarch.cli.targets import of_cluster, of_files, parse
from rightarch.cluster import Cluster
from rightarch.manifests import Manifests, Workload
from rightarch.placement import Decision, Failure
from rightarch.reasons import Reason

_FINDINGS: Final = frozenset({Reason.IMAGE_NOT_FOUND, Reason.INVALID_REFERENCE, Reason.NOT_AN_IMAGE})
"""Of an image that is not known: what is wrong with the manifest that names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command line asks for.

    Attributes:
        names: of workloads of the cluster.
        files: of manifests.
        namespace: of what names none; None for the context's.
        output: ``table``, ``json``, ``yaml`` or ``patch``.
        policies: files of policies to try.
        registry_only: whether no cluster is asked.
        kubeconfig: the file, or None for the usual ones.
        context: of the kubeconfig, or None for the current one.
        asking: how registries are asked.
        templates: whether every template is written, whatever policies say of when.
    """

    names: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    namespace: str | None = None
    output: str = "table"
    policies: tuple[Path, ...] = ()
    registry_only: bool = False
    kubeconfig: Path | None = None
    context: str | None = None
    asking: Asking = field(default_factory=Asking)
    templates: bool = False


def run(wanted: Wanted) -> int:
    """Explain, and return the exit status.

    Raises:
        RightarchError: nothing can be explained.
    """
    return asyncio.run(_explained(wanted))


def status_of(decisions: Sequence[Decision]) -> int:
    """The exit status: an error is worse than findings, since with one it is not known what else there is."""
    return max((_status(decision) for decision in decisions), key=_SEVERITY.index, default=0)


@asynccontextmanager
async def engine(
    wanted: Wanted, manifests: Sequence[Manifests], place: Place | None, cluster: Cluster | None
) -> AsyncIterator[tuple[Engine, Surroundings]]:
    """What decides, and what it knows of the cluster.

    Raises:
        RightarchError: the cluster can't be asked, or a file of policies can't be used.
    """
    namespace = wanted.namespace or (place.namespace if place else "default")
    policies = policies_of(wanted.policies, namespace)
    namespaces = {each.namespace or namespace for one in manifests for each in one.workloads}
    around = await seen(cluster, {namespace, *namespaces}) if cluster else Surroundings()
    for one in manifests:
        created(around.rulebook, one.objects)
    tried(around.rulebook, policies)
    async with opened(wanted.asking) as registry:
        yield (
            Engine(
                registry=registry,
                login=keychain(),
                rulebook=around.rulebook,
                capacity=around.capacity,
                knowledge=Knowledge(cluster) if cluster else None,
                namespace=namespace,
                seconds=wanted.asking.timeout,
                templates=wanted.templates,
            ),
            around,
        )


async def _explained(wanted: Wanted) -> int:
    for name in wanted.names:
        parse(name)
    manifests = [each for _, _, each in of_files(wanted.files)]
    place = None if wanted.registry_only else clusters.place(wanted.kubeconfig, wanted.context, wanted.namespace)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(clusters.connected(place)) if place else None
        workloads = [*await _named(wanted, place, cluster), *(each for one in manifests for each in one.workloads)]
        judge, around = await stack.enter_async_context(engine(wanted, manifests, place, cluster))
        judged = await judge.judge(workloads)
    _print(judged, around, wanted.output, [note for one in manifests for note in one.notes])
    return status_of([each.decision for each in judged])


async def _named(wanted: Wanted, place: Place | None, cluster: Cluster | None) -> list[Workload]:
    if not wanted.names:
        return []
    assert cluster is not None, "names are of a cluster"
    assert place is not None, "likewise"
    return [await of_cluster(cluster, name, place.namespace) for name in wanted.names]


def _print(judged: Sequence[Judged], around: Surroundings, output: str, notes: Sequence[str]) -> None:
    for note in notes:
        tell(note)
    if not judged:
        tell("there is no workload in what was given: nothing has a pod template of a known kind")
    typer.echo(explain_printing.text(judged, around, output), nl=False, color=explain_printing.coloured())


_SEVERITY: Final = (0, FINDINGS, FAILURE)


def _status(decision: Decision) -> int:
    reason = decision.reason
    if decision.denied or not decision.warnings or reason in _FINDINGS:
        return FINDINGS if decision.denied or decision.warnings else 0
    return FAILURE if _is_unknown(decision) else FINDINGS


def _is_unknown(decision: Decision) -> bool:
    """Whether the Reason is that of an image that could not be looked up."""
    failures = [image for image in decision.images.values() if isinstance(image, Failure)]
    return decision.reason is Reason.UNRESOLVED or any(each.reason is decision.reason for each in failures)
