"""Architectures: which ones there are anywhere, so that one that nothing has is told of: it may be a slip. Pure."""

from collections.abc import Iterable

from rightarch.placement import Failure
from rightarch.platforms import ImagePlatforms
from rightarch.report.nodes import Nodes
from rightarch.report.prices import PriceList

Image = ImagePlatforms | Failure


def known(nodes: Nodes, images: Iterable[Image]) -> frozenset[str]:
    """Those of Nodes, those that NodePools may have, and those of images, as far as each is known."""
    pools = nodes.capacity.pools
    there = {node.architecture for node in nodes}.union(*(pool.architectures for pool in pools))
    platforms = (each for image in images if isinstance(image, ImagePlatforms) for each in image.platforms)
    return frozenset(filter(None, (*there, *(each.node_architecture for each in platforms))))


def strange(wanted: str, there: frozenset[str], prices: PriceList | None) -> tuple[str, ...]:
    """What to tell of architectures that nothing has, a sentence each.

    Args:
        wanted: the one that the report is about. That a price list has it is no proof that it can be had, and no slip.
        there: those that are known; nothing is told where there are none.
        prices: those that are stated.
    """
    if not there:
        return ()
    found = f"those that are there are {', '.join(sorted(there))}"
    told = (
        [] if wanted in there else [f"no Node, NodePool or image is known to have the architecture {wanted}; {found}"]
    )
    odd = {each.architecture for each in prices.offerings} - there - {wanted} if prices else set()
    if prices and odd:
        names = ", ".join(sorted(odd))
        told.append(f"{prices.source} has prices of {names}, which no Node, NodePool or image has; {found}")
    return tuple(told)
