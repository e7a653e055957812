"""The rulebook: what the policies and namespaces that come and go mean for the next pod."""

from typing import Any

from rightarch.policy import Choices, Kind, Policy
from rightarch.rulebook import Rulebook

POD: dict[str, Any] = {"metadata": {}}


def policy(name: str, generation: int = 1, **spec: Any) -> Policy:  # noqa: ANN401 - JSON
    """A policy of the cluster."""
    return Policy.of(Kind.CLUSTER, {"metadata": {"name": name, "uid": name, "generation": generation}, "spec": spec})


def namespace(name: str, *, asks: str | None = None, **labels: str) -> dict[str, Any]:
    """A namespace, as a list of metadata has it."""
    annotations = {"other.example.com/x": "y"} | ({} if asks is None else {"rightarch.dev/policy": asks})
    return {"metadata": {"name": name, "labels": labels, "annotations": annotations}}


def test_a_change_of_a_policy_holds_for_the_next_pod() -> None:
    """Made, changed or deleted."""
    book = Rulebook(Choices(mode="Audit"))
    shelf = book.shelves[Kind.CLUSTER]
    assert book.effective("shop", POD).choices.mode == "Audit"
    shelf.replace([policy("a")])
    assert book.effective("shop", POD).name == "cap/a"
    shelf.put(policy("a", 2, mode="Off"))
    assert book.effective("shop", POD).choices.mode == "Off"
    shelf.put(policy("b", priority=1))
    assert book.effective("shop", POD).name == "cap/b"
    shelf.remove(policy("b", priority=1))
    shelf.remove(policy("a", 2, mode="Off"))
    assert book.effective("shop", POD).name == "built-in"


def test_a_status_that_is_written_changes_nothing() -> None:
    """Nothing is compiled anew for it: the controller writes those of a thousand policies every few minutes."""
    book = Rulebook()
    book.shelves[Kind.CLUSTER].put(policy("a"))
    before = book.policies
    book.shelves[Kind.CLUSTER].put(policy("a"))
    assert book.policies is before
    assert len(book.shelves[Kind.CLUSTER]) == 1


def test_a_list_that_tells_nothing_new_changes_nothing() -> None:
    """All is listed anew whenever an API server restarts; whoever waits for a change must not take that for one."""
    book = Rulebook()
    shelf = book.shelves[Kind.CLUSTER]
    shelf.replace([])
    before = book.policies
    shelf.replace([])
    shelf.remove(policy("never-seen"))
    assert book.policies is before
    shelf.replace([policy("a")])
    before = book.policies
    shelf.replace([policy("a")])
    assert book.policies is before
    shelf.replace([policy("b")])
    assert [each.name for each in book.policies.all] == ["b"]


def test_a_policy_that_is_made_anew_is_another() -> None:
    """Pods get the label of its own UID."""
    book = Rulebook()
    for uid in ("0" * 8, "1" * 8):
        book.shelves[Kind.CLUSTER].put(Policy.of(Kind.CLUSTER, {"metadata": {"name": "a", "uid": uid}, "spec": {}}))
        assert book.effective("shop", POD).label == f"cap.00{uid}"


def test_a_namespace_s_labels_and_annotation_count() -> None:
    """As they are now; one that was not seen has the label that all have."""
    book = Rulebook()
    book.shelves[Kind.CLUSTER].replace(
        [
            policy("named", namespaceSelector={"matchLabels": {"kubernetes.io/metadata.name": "shop"}}),
            policy("labelled", priority=1, namespaceSelector={"matchLabels": {"team": "x"}}),
        ]
    )
    assert book.effective("shop", POD).name == "cap/named"
    book.namespaces.replace([namespace("shop", team="x")])
    assert book.effective("shop", POD).name == "cap/labelled"
    book.namespaces.put(namespace("shop", team="y", asks="ignore"))
    assert book.effective("shop", POD).ignored
    book.namespaces.remove(namespace("shop"))
    assert book.effective("shop", POD).name == "cap/named"


def test_it_tells_what_was_not_seen_yet() -> None:
    """Where policies can't be seen at all, there are none."""
    book = Rulebook()
    assert book.missing == "the namespaces of the cluster are not listed yet"
    book.namespaces.replace([])
    assert book.missing == "the objects of kind ClusterArchitecturePolicy are not listed yet"
    book.shelves[Kind.CLUSTER].replace([])
    assert book.missing == "the objects of kind ArchitecturePolicy are not listed yet"
    book.shelves[Kind.NAMESPACED].refuse()
    assert book.missing is None
