"""Prices: what machines cost, by a source that somebody stated. Nothing is guessed. Pure."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from rightarch.errors import SettingsError
from rightarch.platforms import Platform
from rightarch.report.nodes import Node

COLUMNS: Final = ("instance_type", "architecture", "vcpu", "memory_gib", "price_per_hour")
MEMORY_TOLERANCE: Final = 0.1
"""By how much of it the memory of machines of one shape may differ: what a source tells is what is left to pods, and
that differs a little from one kind of machine to the other."""
MAX_ROWS: Final = 200_000


@dataclass(frozen=True, slots=True, order=True)
class Offering:
    """A machine that is for sale.

    Attributes:
        vcpu: how many virtual CPUs it has.
        gib: its memory.
        price: for an hour, in whatever currency the source has.
        zone: where; empty where the source does not tell them apart.
        capacity_type: such as ``on-demand`` or ``spot``; likewise.
    """

    price: float
    instance_type: str
    architecture: str
    vcpu: float
    gib: float
    zone: str = ""
    capacity_type: str = ""


@dataclass(frozen=True, slots=True)
class PriceList:
    """All offerings of one source.

    Attributes:
        source: what it is, for people.
        offerings: the cheapest first.
        own: what single nodes were bought as, by their names, where they say so themselves.
        unread: what nodes say in the place of a price, by their names.
    """

    source: str
    offerings: tuple[Offering, ...] = ()
    own: Mapping[str, Offering] = field(default_factory=dict, repr=False)
    unread: Mapping[str, str] = field(default_factory=dict, repr=False)
    _by_type: Mapping[str, tuple[Offering, ...]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        source: str,
        offerings: Iterable[Offering],
        own: Mapping[str, Offering] | None = None,
        unread: Mapping[str, str] | None = None,
    ) -> "PriceList":
        """A list of offerings in any order."""
        ordered = tuple(sorted(offerings))
        by_type: dict[str, list[Offering]] = {}
        for each in ordered:
            by_type.setdefault(each.instance_type, []).append(each)
        return cls(source, ordered, own or {}, unread or {}, {name: tuple(each) for name, each in by_type.items()})

    def of_node(self, node: Node) -> Offering | None:
        """What a node was bought as; None where the source does not have it, or not in one way only.

        What a node says of itself goes before what others of its type say: spot machines have prices of their own.
        """
        if node.name in self.own or node.name in self.unread or not node.instance_type:
            return self.own.get(node.name)
        found = [each for each in self._by_type.get(node.instance_type, ()) if _fits(each, node)]
        return found[0] if found and len({each.price for each in found}) == 1 else None

    def equivalent(self, bought: Offering, architecture: str) -> Offering | None:
        """The cheapest machine of the same shape and another architecture, sold in the same way."""
        return next((each for each in self.offerings if _is_equivalent(each, bought, architecture)), None)


def of_csv(text: str, source: str) -> PriceList:
    """Prices of a file: a header, then a line for each instance type.

    Raises:
        SettingsError: with the line that is wrong, and how it should be.
    """
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    offerings: dict[str, Offering] = {}
    try:
        header = [cell.strip().lower().replace(" ", "_") for cell in next(rows, [])]
        if header != list(COLUMNS):
            raise SettingsError(f"{source}, line 1: the columns must be {','.join(COLUMNS)}")
        for row in rows:
            if any(cell.strip() for cell in row):
                offering = _offering(row, f"{source}, line {rows.line_num}")
                if offerings.setdefault(offering.instance_type, offering) != offering:
                    raise SettingsError(f"{source}, line {rows.line_num}: {row[0]} has another price above")
    except csv.Error as error:
        raise SettingsError(f"{source}, line {rows.line_num}: {error}") from None
    if not offerings:
        raise SettingsError(f"{source}: it has no price, only the line of columns")
    return PriceList.of(source, offerings.values())


def of_labels(nodes: Iterable[Node], label: str) -> PriceList:
    """Prices that a label of nodes tells: of each that has it, and of others of the same type."""
    own: dict[str, Offering] = {}
    unread: dict[str, str] = {}
    for node in nodes:
        price = positive(node.price)
        if price is not None:
            own[node.name] = _bought(node, price)
        elif node.price:
            unread[node.name] = node.price
    return PriceList.of(f"the label {label} of nodes", set(own.values()), own, unread)


def _bought(node: Node, price: float) -> Offering:
    """What a node was bought as, by its own word."""
    whole = node.whole
    return Offering(price, node.instance_type, node.architecture, whole.cores, whole.gib, node.zone, node.capacity_type)


def _offering(row: Sequence[str], where: str) -> Offering:
    if len(row) != len(COLUMNS):
        raise SettingsError(f"{where}: it has {len(row)} columns in place of {len(COLUMNS)}: {','.join(COLUMNS)}")
    name, architecture, *texts = (cell.strip() for cell in row)
    numbers = []
    for column, text in zip(COLUMNS[2:], texts, strict=True):
        number = positive(text)
        if number is None:
            raise SettingsError(f"{where}: {column} is {text[:40]!r}, which is no number above zero such as 0.0816")
        numbers.append(number)
    if not name or not architecture:
        raise SettingsError(f"{where}: it names no instance type, or no architecture")
    vcpu, gib, price = numbers
    return Offering(price, name, Platform.of("linux", architecture).architecture, vcpu, gib)


def positive(text: str) -> float | None:
    """A finite number above zero."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def _fits(offering: Offering, node: Node) -> bool:
    """Whether a node may have been bought as this; a source that does not tell ways of buying has one price."""
    sold = (offering.zone, node.zone), (offering.capacity_type, node.capacity_type)
    return offering.architecture in {"", node.architecture} and all(not stated or stated == has for stated, has in sold)


def _is_equivalent(offering: Offering, bought: Offering, architecture: str) -> bool:
    return (
        offering.architecture == architecture
        and offering.capacity_type == bought.capacity_type
        and offering.vcpu == bought.vcpu
        and abs(offering.gib - bought.gib) <= MEMORY_TOLERANCE * bought.gib
    )
