"""The picture of the cluster: what Nodes come and go leaves of it."""

from typing import Any

from rightarch.rulebook import Rulebook
from rightarch.snapshot import Nodes
from rightarch.webhook.readiness import Readiness


def node(name: str, architecture: str, os: str = "linux") -> dict[str, Any]:
    """A Node, as a list of metadata has it."""
    return {"metadata": {"name": name, "labels": {"kubernetes.io/arch": architecture, "kubernetes.io/os": os}}}


def test_the_capacity_is_what_the_nodes_have() -> None:
    """Each platform once, and gone with its last Node."""
    nodes = Nodes()
    nodes.replace([node("a", "amd64"), node("b", "amd64"), node("c", "arm64")])
    assert nodes.capacity.platforms == {("linux", "amd64"), ("linux", "arm64")}
    nodes.remove(node("a", "amd64"))
    nodes.remove(node("c", "arm64"))
    assert nodes.capacity.platforms == {("linux", "amd64")}
    nodes.put(node("w", "amd64", "windows"))
    assert nodes.capacity.oses == {"linux", "windows"}
    assert nodes.counts() == {("linux", "amd64"): 1.0, ("windows", "amd64"): 1.0}


def test_a_node_that_changes_counts_as_what_it_is_now() -> None:
    """Cloud controllers may label a Node after it joined."""
    nodes = Nodes()
    nodes.put({"metadata": {"name": "a"}})
    assert (nodes.capacity.platforms, len(nodes)) == (frozenset(), 1)
    nodes.put(node("a", "arm64"))
    nodes.put(node("a", "s390x"))
    assert nodes.capacity.platforms == {("linux", "s390x")}


def test_the_same_picture_is_the_same_value() -> None:
    """Heartbeats replace nothing, and what an admission holds does not change under it."""
    nodes = Nodes()
    nodes.replace([node("a", "amd64")])
    held = nodes.capacity
    nodes.put(node("a", "amd64"))
    assert nodes.capacity is held
    nodes.put(node("b", "arm64"))
    assert held.platforms == {("linux", "amd64")}


def test_removing_an_unknown_node_changes_nothing() -> None:
    """A watch may tell of what a list did not show any more."""
    nodes = Nodes()
    nodes.remove(node("a", "amd64"))
    assert (len(nodes), nodes.capacity.platforms) == (0, frozenset())


def test_a_replica_is_ready_once_all_is_listed_and_until_it_drains() -> None:
    """An empty list is a list: a cluster may have no Nodes yet."""
    nodes = Nodes()
    rulebook = Rulebook()
    readiness = Readiness(nodes, rulebook, lambda: True)
    assert readiness.missing() == "the Nodes of the cluster are not listed yet"
    nodes.replace([])
    assert readiness.missing() == "the namespaces of the cluster are not listed yet"
    rulebook.namespaces.replace([])
    for shelf in rulebook.shelves.values():
        shelf.replace([])
    assert readiness.missing() is None
    readiness.draining = True
    assert readiness.missing() == "draining: this process is about to end"


def test_a_replica_without_a_certificate_is_never_ready() -> None:
    """It does not even listen; patience does not help."""
    nodes = Nodes()
    nodes.replace([])
    assert Readiness(nodes, Rulebook(), lambda: False).missing() == "there is no certificate to serve yet"
