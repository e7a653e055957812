"""What is around a workload that is explained, as far as the user may see it."""

from __future__ import annotations

from rightarch.affinity import Constraints
from rightarch.capacity import Demand
from rightarch.cli.surroundings import Surroundings
from tests.controlplane import fake_node

POOL = {
    "metadata": {"name": "general"},
    "spec": {
        "template": {"spec": {"requirements": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}]}}
    },
}


def test_nothing_is_missing_where_only_nodepools_may_be_read() -> None:
    """A Node that the user may not see may have what no NodePool buys."""
    demand = Demand(Constraints({}, None), frozenset({"arm64"}), "linux")
    assert Surroundings(pools=[POOL]).capacity.refusal(demand) is None
    known = Surroundings(nodes=[fake_node("a", "amd64")], pools=[POOL]).capacity
    assert (known.refusal(demand) or "").endswith("NodePool general allows only amd64")
