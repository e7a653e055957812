"""What Karpenter's NodePools and NodeClaims add to the picture of the cluster, as they come and go."""

from __future__ import annotations

import sys
from typing import Any

from rightarch.affinity import Constraints
from rightarch.capacity import Demand, Offer
from rightarch.snapshot import Nodes

ARM = Demand(Constraints({}, None), frozenset({"arm64"}), "linux")


def named(name: str, **more: object) -> dict[str, Any]:
    """An object of this name."""
    return {"metadata": {"name": name, **more}}


def pool(name: str, *architectures: str) -> dict[str, Any]:
    """A NodePool that is Ready."""
    requirements = (
        [{"key": "kubernetes.io/arch", "operator": "In", "values": list(architectures)}] if architectures else []
    )
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    return named(name) | {"spec": {"template": {"spec": {"requirements": requirements}}}, "status": status}


def claim(name: str, of: str, architecture: str = "") -> dict[str, Any]:
    """A NodeClaim, launched if it has an architecture."""
    launched = {"kubernetes.io/arch": architecture} if architecture else {}
    return named(name, labels={"karpenter.sh/nodepool": of, **launched})


def offer(nodes: Nodes) -> Offer:
    """Whether arm64 can be had."""
    return nodes.capacity.answer(ARM).offers["arm64"]


def test_nothing_is_missed_before_everything_is_listed() -> None:
    """Nodes may be listed before NodePools are: a NodePool to come may have what no Node has."""
    nodes = Nodes()
    nodes.replace([named("n", labels={"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux"})])
    assert offer(nodes) is Offer.UNKNOWN
    nodes.pools.replace([])
    assert offer(nodes) is Offer.NO
    nodes.pools.put(pool("arm", "arm64"))
    assert offer(nodes) is Offer.YES
    nodes.pools.remove(named("arm"))
    assert offer(nodes) is Offer.NO


def test_a_nodeclaim_shows_what_a_nodepool_has_once_it_is_launched() -> None:
    """And no longer than it is there."""
    nodes = Nodes()
    nodes.replace([])
    nodes.pools.replace([pool("any")])
    nodes.claims.replace([claim("a", "any")])
    assert offer(nodes) is Offer.UNKNOWN
    nodes.claims.put(claim("a", "any", "arm64"))
    nodes.claims.put(claim("b", "any", "arm64"))
    assert offer(nodes) is Offer.YES
    nodes.claims.remove(named("a"))
    assert offer(nodes) is Offer.YES
    nodes.claims.remove(named("b"))
    nodes.claims.remove(named("c"))
    assert offer(nodes) is Offer.UNKNOWN


def test_a_change_that_tells_nothing_new_makes_nothing_new() -> None:
    """NodePools change with each node that they get: what they offer does not."""
    nodes = Nodes()
    nodes.replace([])
    nodes.pools.replace([pool("arm", "arm64")])
    nodes.claims.replace([claim("a", "arm", "arm64")])
    held = nodes.capacity
    used = pool("arm", "arm64")
    used["status"]["resources"] = {"cpu": "4"}
    nodes.pools.put(used)
    nodes.claims.put(claim("a", "arm", "arm64"))
    assert nodes.capacity is held


def test_a_nodeclaim_costs_its_name() -> None:
    """Ten thousand of them must not be felt: what they show is kept once."""
    nodes = Nodes()
    nodes.claims.replace([claim(f"claim-{number}", "arm", "arm64") for number in range(10_000)])
    kept = nodes.claims._seen
    assert len(nodes.claims) == 10_000
    assert len({id(seen) for seen in kept.values()}) == 1
    assert sys.getsizeof(kept) < 100 * len(kept)
