"""The picture of the cluster: what Nodes come and go leaves of it."""

import tracemalloc
from typing import Any

from rightarch.rulebook import Rulebook
from rightarch.snapshot import HOST, Nodes
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


TYPE = "node.kubernetes.io/instance-type"


def machine(name: str, architecture: str, **labels: str) -> dict[str, Any]:
    """A Node with labels that name its machine."""
    made = node(name, architecture)
    made["metadata"]["labels"] |= {TYPE: "m6i.large", HOST: name} | labels
    return made


def test_the_machines_of_a_label_are_those_that_have_it_now() -> None:
    """Whether Nodes come, change or go; labels that nobody asked about are not among them."""
    nodes = Nodes()
    nodes.replace([machine("a", "amd64"), machine("b", "amd64"), machine("c", "arm64", **{TYPE: "m7g.large"})])
    assert nodes.hardware({TYPE}) == {(TYPE, "m6i.large"): {"amd64"}, (TYPE, "m7g.large"): {"arm64"}}
    nodes.put(machine("c", "arm64"))
    assert nodes.hardware({TYPE}) == {(TYPE, "m6i.large"): {"amd64", "arm64"}}
    nodes.remove(machine("a", "amd64"))
    assert nodes.hardware({TYPE}) == {(TYPE, "m6i.large"): {"amd64", "arm64"}}
    nodes.remove(machine("b", "amd64"))
    assert nodes.hardware({TYPE}) == {(TYPE, "m6i.large"): {"arm64"}}


def test_a_host_is_named_by_its_label() -> None:
    """Which is the Node's name, or another one, or none; and which may change while all else stays."""
    nodes = Nodes()
    nodes.replace([machine("a", "amd64"), machine("b", "arm64", **{HOST: "ip-b"}), node("c", "amd64")])
    held = nodes.capacity
    assert nodes.hardware({HOST}) == {(HOST, "a"): {"amd64"}, (HOST, "ip-b"): {"arm64"}}
    nodes.put(machine("b", "arm64"))
    nodes.put(machine("a", "amd64", **{HOST: "ip-a"}))
    assert nodes.hardware({HOST}) == {(HOST, "ip-a"): {"amd64"}, (HOST, "b"): {"arm64"}}
    nodes.remove(machine("b", "arm64"))
    assert nodes.hardware({HOST}) == {(HOST, "ip-a"): {"amd64"}}
    nodes.replace([machine("a", "amd64")])
    assert nodes.hardware({HOST}) == {(HOST, "a"): {"amd64"}}
    assert held.platforms == {("linux", "amd64"), ("linux", "arm64")}


def test_a_machine_that_tells_no_architecture_shows_none() -> None:
    """Cloud controllers may label a Node after it joined: until then its type is as good as never seen."""
    nodes = Nodes()
    nodes.put({"metadata": {"name": "a", "labels": {TYPE: "m6i.large", HOST: "a"}}})
    assert nodes.hardware({TYPE, HOST}) == {}


def test_thousands_of_machines_take_next_to_nothing() -> None:
    """Each process of ours keeps them: what they have in common is kept once, and a host's name where it is another."""
    nodes = Nodes()
    tracemalloc.start()
    try:
        nodes.replace(machine(f"ip-10-0-{n // 250}-{n % 250}.compute.internal", "arm64") for n in range(5000))
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size / 5000 < 256
