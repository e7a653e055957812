"""Runs ``rightarch report``: gathers a cluster or files, looks images up, and writes the report."""

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rightarch.cli import clusters, registries, report_text, targets
from rightarch.cli.clusters import Place
from rightarch.cli.exits import FINDINGS
from rightarch.cli.output import show
from rightarch.cli.progress import Progress
from rightarch.cli.registries import Asking
from rightarch.cluster import Cluster, ClusterError
from rightarch.errors import RightarchError, SettingsError
from rightarch.manifests import Unreadable
from rightarch.platforms import ImagePlatforms
from rightarch.reference import Reference
from rightarch.registry import Registry
from rightarch.report import architectures, collecting, looking, manifests, prices, prometheus, updates
from rightarch.report.case import Question
from rightarch.report.collecting import Collected, Selection
from rightarch.report.inventory import Inventory
from rightarch.report.looking import Image, Looking
from rightarch.report.nodes import Nodes
from rightarch.report.prices import PriceList
from rightarch.report.pulling import Pulling
from rightarch.report.report import Origin, Report, make
from rightarch.report.storage import Passed, Shelf, Storage
from rightarch.report.verdict import Verdict
from rightarch.report.workload import Puller, Workload

_MODE: Final = 0o666
"""Of a file that is written, before the user's own mask."""
_FINDINGS: Final = {"blocked": "blocked", "unknown": "unknown", "at-risk": "at risk"}
"""What ``--fail-on`` may name, and how it is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command line asks for.

    Attributes:
        files: manifests; empty for a cluster.
        fail_on: findings that end in status 3.
        sizes: ``auto``, ``all`` or ``none``.
        token_realms: for a registry's host, hosts of token services that may see the user's credentials.
        timeout: seconds to wait for one document.
    """

    files: tuple[str, ...]
    namespaces: tuple[str, ...]
    labels: str
    architecture: str
    output: str
    output_file: Path | None
    fail_on: frozenset[str]
    suggest_updates: bool
    sizes: str
    prices: Path | None
    price_label: str | None
    prometheus: str | None
    kubeconfig: Path | None
    context: str | None
    ca_file: Path | None
    token_realms: Mapping[str, frozenset[str]]
    timeout: float


def run(wanted: Wanted) -> int:
    """Report, and return the exit status.

    Raises:
        RightarchError: nothing can be told.
    """
    listed = _listed(wanted)
    if wanted.prometheus is not None:
        prometheus.check(wanted.prometheus)
    found = asyncio.run(_reported(wanted, listed))
    _write(_text(found, wanted), wanted.output_file)
    counts = {name: count for name, count in _counts(found).items() if name in wanted.fail_on}
    for line in (*found.origin.notes, *_told(found, counts)):
        registries.tell(line)
    return FINDINGS if counts else 0


def _listed(wanted: Wanted) -> PriceList | None:
    """The prices of a file: what is wrong with it is told before anything is asked."""
    if wanted.prices is None:
        return None
    try:
        return prices.of_csv(wanted.prices.read_bytes().decode(), str(wanted.prices))
    except UnicodeDecodeError:
        raise SettingsError(f"--prices {wanted.prices} is no text in UTF-8: save it as CSV in UTF-8") from None
    except OSError as error:
        raise SettingsError(f"--prices {wanted.prices} can't be read: {error.strerror}") from None


async def _reported(wanted: Wanted, listed: PriceList | None) -> Report:
    asking = Asking(ca_file=wanted.ca_file, token_realms=wanted.token_realms, timeout=wanted.timeout)
    async with _source(wanted) as (collected, cluster, name), registries.opened(asking) as registry:
        pulling = Pulling(registries.keychain(), cluster)
        asked = await _asked(wanted, collected, registry, pulling)
        stated = await _prices(wanted, listed, collected.nodes)
        there = architectures.known(collected.nodes, asked.question.images.values())
        notes = (*collected.notes, *pulling.notes, *architectures.strange(wanted.architecture, there, stated))
        return make(
            collected.workloads, asked.question, _origin(wanted, name, collected, asked, notes), stated, asked.storage
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What registries told.

    Attributes:
        asked: how many images were asked for.
        known: how many the cluster knew.
    """

    question: Question
    storage: Storage | None
    asked: int
    known: int


async def _asked(wanted: Wanted, collected: Collected, registry: Registry, pulling: Pulling) -> _Asked:
    """Look up what the cluster does not know."""
    pullers = _pullers(collected.workloads)
    references, wrong = looking.distinct(pullers)
    facts = {} if wanted.sizes == "all" else collected.facts  # the size of an image is its registry's to tell
    known = {each: facts[each.canonical] for each in references if each.canonical in facts}
    todo = [
        looking.Wanted(each, names, pulling.keys(p for name in names for p in pullers[name]))
        for each, names in references.items()
        if each not in known
    ]
    images: dict[str, Image] = {**wrong, **{name: known[each] for each in known for name in references[each]}}
    shelf = Shelf()
    shelf.leave(Passed.KNOWN, len(known))
    async with Progress(str(each.reference) for each in todo) as progress:
        seeing = Looking(registry, lambda reference: progress.done(str(reference)), sizes=wanted.sizes != "none")
        images |= await seeing.look(todo)
    storage = None if wanted.sizes == "none" else await seeing.measure(shelf, hub=wanted.sizes == "all")
    effective = collected.rulebook.effective
    question = Question(wanted.architecture, images, collected.nodes, collected.guarded, policy=effective)
    if wanted.suggest_updates:
        question = replace(question, updates=await _updates(question, references, pulling, pullers, registry))
    return _Asked(question, storage, len(todo), len(known))


async def _updates(
    question: Question,
    references: Mapping[Reference, tuple[str, ...]],
    pulling: Pulling,
    pullers: Mapping[str, frozenset[Puller]],
    registry: Registry,
) -> Mapping[str, str]:
    """Newer tags of the images that lack the architecture."""
    lacking = [
        looking.Wanted(each, names, pulling.keys(p for name in names for p in pullers[name]))
        for each, names in references.items()
        if _lacks(question.images[names[0]], question.architecture)
    ]
    return await updates.suggest(lacking, registry, question.architecture)


def _lacks(image: Image, architecture: str) -> bool:
    own = image.node_architectures("linux") if isinstance(image, ImagePlatforms) else frozenset()
    return bool(own) and architecture not in own


async def _prices(wanted: Wanted, listed: PriceList | None, nodes: Nodes) -> PriceList | None:
    if wanted.prometheus is not None:
        return await prometheus.prices(wanted.prometheus, nodes, wanted.timeout)
    if wanted.price_label is not None:
        return prices.of_labels(nodes, wanted.price_label)
    return listed


def _pullers(workloads: Iterable[Workload]) -> dict[str, frozenset[Puller]]:
    """All names of images, each with who pulls it."""
    found: dict[str, frozenset[Puller]] = {}
    for workload in workloads:
        for image in workload.images:
            found[image] = found.get(image, frozenset()) | workload.pullers
    return found


@asynccontextmanager
async def _source(wanted: Wanted) -> AsyncIterator[tuple[Collected, Cluster | None, str]]:
    """What there is to report on, the cluster that it is from, and its name."""
    if wanted.files:
        yield _of_files(wanted), None, _named(wanted.files)
        return
    place = clusters.place(wanted.kubeconfig, wanted.context, None, otherwise="; or -f FILE, which needs no cluster")
    async with clusters.connected(place) as cluster:
        yield await _of_cluster(cluster, wanted, place), cluster, f"context {clusters.context_of(place)}"


def _of_files(wanted: Wanted) -> Collected:
    inventory, notes, left = Inventory(planned=True), list[str](), set[str]()
    contents = _contents(wanted.files)
    for content in contents:
        left |= manifests.fill(inventory, content.objects, wanted.namespaces)
        notes += content.notes
    if not any(content.objects for content in contents):
        raise RightarchError(f"there is no object in {_named(wanted.files)}: has what should have written it failed?")
    if left:
        notes.append(f"workloads of namespaces that -n does not name are left out: {', '.join(sorted(left))}")
    return Collected(inventory.workloads(), Nodes(), notes=tuple(notes))


def _contents(files: Sequence[str]) -> list[manifests.Content]:
    try:
        return [manifests.read(text, targets.shown(file)) for file, text in targets.texts(files)]
    except Unreadable as error:
        raise SettingsError(f"-f {error}") from None


def _named(files: Sequence[str]) -> str:
    return ", ".join("standard input" if file == targets.STDIN else file for file in files)


async def _of_cluster(cluster: Cluster, wanted: Wanted, place: Place) -> Collected:
    selection = Selection(wanted.namespaces, wanted.labels, place.namespace, wanted.price_label)
    try:
        collected = await collecting.collect(cluster, selection)
    except ClusterError as error:
        if wanted.labels and error.status == 400:
            raise SettingsError(f"-l {wanted.labels}: {error.reason}") from None
        raise
    except RightarchError:
        raise
    except Exception as error:  # whatever ends a connection, and whatever the client makes of it
        raise clusters.Unreachable(clusters.unreachable(error, "check the kubeconfig and its context")) from error
    if "at-risk" in wanted.fail_on and not collected.sighted:
        raise RightarchError(
            "--fail-on at-risk can't be told: you may not list nodes; ask for that right, or leave it out"
        )
    return collected


def _origin(wanted: Wanted, name: str, collected: Collected, asked: _Asked, notes: tuple[str, ...]) -> Origin:
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Origin(name, not wanted.files, time, notes, asked.asked, asked.known, collected.sighted)


def _counts(found: Report) -> Counter[str]:
    """How many workloads are what ``--fail-on`` may name."""
    verdicts = Counter(row.verdict for row in found.rows)
    blocked = verdicts[Verdict.BLOCKED] + verdicts[Verdict.READY_WITH_UPDATE]
    at_risk = sum(row.judgement.risk is not None for row in found.rows)
    return +Counter({"blocked": blocked, "unknown": verdicts[Verdict.UNKNOWN], "at-risk": at_risk})


def _told(found: Report, counts: Mapping[str, int]) -> Iterator[str]:
    """What is told beside the report: what it does not show where it is written to a file, or has no row."""
    if not found.rows:
        yield "there is no workload to report on"
    for name, count in counts.items():
        yield f"{count} workload{'s are' if count > 1 else ' is'} {_FINDINGS[name]}"


def _text(found: Report, wanted: Wanted) -> str:
    if wanted.output == "html":
        from rightarch.cli.report_page import page  # noqa: PLC0415 - templates, which no other form needs

        return page(found)
    return report_text.text(found, wanted.output, to_file=wanted.output_file is not None)


def _write(text: str, file: Path | None) -> None:
    """To standard output, or to a file that is there as a whole or as it was before."""
    if file is None:
        show(text)
        return
    try:
        _replace(file.resolve(), text)
    except OSError as error:
        raise RightarchError(f"--output-file {file} can't be written: {error.strerror or error}") from None


def _replace(file: Path, text: str) -> None:
    if file.exists() and not file.is_file():  # /dev/stdout, a pipe: nothing to be replaced
        file.write_text(text, encoding="utf-8")
        return
    mask = os.umask(0)
    os.umask(mask)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(text)
        Path(name).chmod(file.stat().st_mode & 0o7777 if file.exists() else _MODE & ~mask)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
