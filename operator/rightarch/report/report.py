"""The report: all findings as one value, ranked by what they hold back. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from rightarch.report.case import Question
from rightarch.report.judging import judge
from rightarch.report.money import Cost, Fleet, Purse
from rightarch.report.prices import PriceList
from rightarch.report.resources import Resources
from rightarch.report.shortage import shortage
from rightarch.report.storage import Storage
from rightarch.report.verdict import Judgement, Risk, Verdict, holds_back_nodes
from rightarch.report.workload import Owner, Role, Workload

_ORDER: Final = (
    Verdict.BLOCKED,
    Verdict.UNKNOWN,
    Verdict.PINNED,
    Verdict.READY_WITH_UPDATE,
    Verdict.EMULATED,
    Verdict.READY,
)
"""Of rows: what is to be done comes first."""
_HELPERS: Final = frozenset({Role.SIDECAR, Role.INIT})


@dataclass(frozen=True, slots=True)
class Row:
    """A workload and what was found of it.

    Attributes:
        cost: by the stated prices; None without any.
        there: what of its requests is on nodes of the wanted architecture already.
        nodes_held: whether it is a DaemonSet that holds back whole nodes.
    """

    workload: Workload
    judgement: Judgement
    cost: Cost | None
    there: Resources
    nodes_held: bool

    @property
    def verdict(self) -> Verdict:
        """The verdict."""
        return self.judgement.verdict


@dataclass(frozen=True, slots=True)
class Total:
    """Some workloads together."""

    workloads: int = 0
    pods: int = 0
    requests: Resources = field(default_factory=Resources)
    there: Resources = field(default_factory=Resources)
    cost: Cost = field(default_factory=Cost)

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Total":
        """The sum of rows."""
        total = cls()
        for row in rows:
            total = cls(
                total.workloads + 1,
                total.pods + row.workload.pods,
                total.requests + row.workload.requests,
                total.there + row.there,
                total.cost + (row.cost or Cost()),
            )
        return total


@dataclass(frozen=True, slots=True)
class Blocker:
    """An image that lacks the architecture, and what it holds back.

    Attributes:
        update: the newer image that has it, where one was found.
        held: the workloads that have it, all together.
        owners: those, the largest first.
        one_away: those of them that only this image blocks.
        sidecar_away: those of them in which it is but a sidecar or an init container.
    """

    image: str
    update: str | None
    held: Total
    owners: tuple[Owner, ...]
    one_away: tuple[Owner, ...]
    sidecar_away: tuple[Owner, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a report is from.

    Attributes:
        name: of the cluster's context, or of the files.
        cluster: whether it is a cluster.
        time: of the report, in UTC, as RFC 3339 has it; empty where it is not told.
        notes: what the reader must know: what could not be read, and what that means.
        images: how many different images were asked of registries.
        known: how many the cluster knew already.
        sighted: whether its nodes could be read.
    """

    name: str
    cluster: bool = True
    time: str = ""
    notes: tuple[str, ...] = ()
    images: int = 0
    known: int = 0
    sighted: bool = True

    @property
    def placed(self) -> bool:
        """Whether it is known on which nodes pods are: of files it is not."""
        return self.cluster and self.sighted


@dataclass(frozen=True)
class Report:
    """The report. Sums are made when they are asked for, once each: those who show it ask for them line by line.

    Attributes:
        architecture: the wanted one.
        rows: the workloads: DaemonSets that hold back nodes first, then by verdict and size.
        blockers: the images to fix, the one that holds back most first.
        prices: where prices are from; None where nobody stated any.
        fleet: what is known by them of the nodes.
        storage: what was measured of images; None where that was not asked for.
        shortage: why no node of the architecture can be had now; empty where one can be.
    """

    architecture: str
    origin: Origin
    rows: tuple[Row, ...]
    blockers: tuple[Blocker, ...]
    prices: str | None = None
    fleet: Fleet = field(default_factory=Fleet)
    storage: Storage | None = None
    shortage: str = ""

    @cached_property
    def total(self) -> Total:
        """Everything."""
        return Total.of(self.rows)

    @cached_property
    def verdicts(self) -> Mapping[Verdict, Total]:
        """The workloads of each verdict; of all verdicts, in the order of the best."""
        return {verdict: Total.of(row for row in self.rows if row.verdict is verdict) for verdict in Verdict}

    @cached_property
    def namespaces(self) -> Mapping[str, Mapping[Verdict, Total]]:
        """The same by namespace, the one that asks for most first."""
        rows: dict[str, list[Row]] = {}
        for row in self.rows:
            rows.setdefault(row.workload.owner.namespace, []).append(row)
        ordered = sorted(rows.items(), key=lambda each: (-Total.of(each[1]).requests.cpu, each[0]))
        return {
            name: {v: found for v in Verdict if (found := Total.of(r for r in of if r.verdict is v)).workloads}
            for name, of in ordered
        }

    @cached_property
    def ready(self) -> float:
        """The share of the requested CPU that can run on the architecture as it is; of workloads where none is."""
        everything, ready = self.total, self.verdicts[Verdict.READY]
        if everything.requests.cpu:
            return ready.requests.cpu / everything.requests.cpu
        return ready.workloads / everything.workloads if everything.workloads else 0.0

    @cached_property
    def by_cpu(self) -> bool:
        """Whether shares are those of requested CPU; else nothing requests any, and workloads are counted."""
        return self.total.requests.cpu > 0

    @cached_property
    def idle(self) -> int:
        """How many pods request no CPU, and count as nothing in sums of it."""
        placed = (each for row in self.rows for each in row.workload.placed)
        return sum(each.pods for each in placed if not each.requests.cpu)

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """What to add to a policy so that pods are let on to nodes with a taint; each once."""
        return tuple(dict.fromkeys(row.judgement.lines for row in self.rows if row.judgement.lines))

    @cached_property
    def risks(self) -> Mapping[Risk, int | None]:
        """How many workloads are at risk; None where it is not known which nodes there are, and so not of any."""
        found = Counter(row.judgement.risk for row in self.rows)
        return {risk: found[risk] if self.origin.placed else found[risk] or None for risk in Risk}


def make(
    workloads: Iterable[Workload],
    asked: Question,
    origin: Origin,
    prices: PriceList | None = None,
    storage: Storage | None = None,
) -> Report:
    """The report on some workloads.

    Args:
        workloads: what there is.
        asked: the architecture, and what is known of images and nodes.
        origin: where they are from.
        prices: the source of prices that somebody stated.
        storage: what was measured of images.
    """
    purse = None if prices is None else Purse(prices, asked.nodes, asked.architecture)
    rows = sorted((_row(workload, asked, purse) for workload in workloads), key=_rank)
    fleet = purse.fleet() if purse else Fleet(len(asked.nodes))
    return Report(
        asked.architecture,
        replace(origin, notes=(*origin.notes, *_warned(prices, fleet))),
        tuple(rows),
        tuple(_blockers(rows)),
        prices.source if prices else None,
        fleet,
        storage,
        shortage(asked.nodes, asked.architecture),
    )


def _warned(prices: PriceList | None, fleet: Fleet) -> list[str]:
    """That a source of prices is of no use for these nodes."""
    if prices is None or fleet.priced:
        return []
    if not fleet.nodes:
        return ["nothing is known of costs: it is not known which nodes there are"]
    return [f"{prices.source} has no price of any of the {fleet.nodes} nodes: nothing is known of costs"]


def _row(workload: Workload, asked: Question, purse: Purse | None) -> Row:
    judgement = judge(workload, asked)
    there = Resources()
    for placed in workload.placed:
        node = asked.nodes.get(placed.node)
        if node is not None and node.architecture == asked.architecture:
            there += placed.requests
    cost = purse.cost(workload) if purse else None
    return Row(workload, judgement, cost, there, holds_back_nodes(workload, judgement))


def _rank(row: Row) -> tuple[object, ...]:
    size = row.workload.requests
    return (
        not row.nodes_held,
        _ORDER.index(row.verdict),
        -size.cpu,
        -size.memory,
        -row.workload.pods,
        row.workload.owner,
    )


def _blockers(rows: Sequence[Row]) -> list[Blocker]:
    held: dict[str, list[Row]] = {}
    for row in rows:
        if row.verdict in {Verdict.BLOCKED, Verdict.READY_WITH_UPDATE}:
            for image in row.judgement.blocking:
                held.setdefault(image, []).append(row)
    return sorted((_blocker(image, of) for image, of in held.items()), key=_weight)


def _blocker(image: str, rows: Sequence[Row]) -> Blocker:
    ordered = sorted(rows, key=lambda row: (-row.workload.requests.cpu, row.workload.owner))
    alone = [row for row in ordered if row.judgement.blocking == (image,) and not row.judgement.unknown]
    helping = [row for row in alone if row.workload.images[image] <= _HELPERS]
    update = next((row.judgement.updates[image] for row in rows if image in row.judgement.updates), None)
    return Blocker(image, update, Total.of(rows), _owners(ordered), _owners(alone), _owners(helping))


def _owners(rows: Iterable[Row]) -> tuple[Owner, ...]:
    return tuple(row.workload.owner for row in rows)


def _weight(blocker: Blocker) -> tuple[object, ...]:
    """Money where there is some, then CPU, memory, pods and workloads."""
    held = blocker.held
    return -held.cost.now, -held.requests.cpu, -held.requests.memory, -held.pods, -held.workloads, blocker.image
