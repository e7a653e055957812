"""What is told of policies: conditions, their times, and which lose to another by their name alone."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightarch.controller.policies import status
from rightarch.policy import Kind, Policy, conflicts
from rightarch.policy.selectors import matches
from rightarch.policy.spec import ClusterArchitecturePolicySpec

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = datetime(2026, 1, 2, 4, 0, 0, tzinfo=UTC)


def policy(name: str = "a", generation: int = 1, kind: Kind = Kind.CLUSTER, **spec: Any) -> Policy:  # noqa: ANN401 - JSON
    """A policy, of the cluster or of the namespace shop."""
    metadata = {"name": name, "uid": name, "generation": generation, "namespace": "shop"}
    return Policy.of(kind, {"metadata": metadata, "spec": spec})


def test_a_policy_that_is_obeyed_is_ready() -> None:
    """And says of which generation that is true, and how many pods it decided."""
    assert status(policy(generation=3), None, 7, {}, NOW) == {
        "observedGeneration": 3,
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "observedGeneration": 3,
                "lastTransitionTime": "2026-01-02T03:04:05Z",
                "reason": "Valid",
                "message": "It is obeyed.",
            },
            {
                "type": "Conflicted",
                "status": "False",
                "observedGeneration": 3,
                "lastTransitionTime": "2026-01-02T03:04:05Z",
                "reason": "Distinct",
                "message": "It loses to no other by its name alone.",
            },
        ],
        "pods": 7,
    }


def test_a_policy_that_can_t_be_obeyed_says_why() -> None:
    """Whether it is in conflict does not matter then."""
    (ready,) = status(policy(mode="Nonsense"), None, 0, {}, NOW)["conditions"]
    assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "False", "Invalid")
    assert ready["message"] == "It counts as absent: spec.mode: Input should be 'Enforce', 'Audit' or 'Off'."


def test_a_condition_keeps_its_time_until_it_turns() -> None:
    """Whatever else changes: generation, reason, message."""
    first = status(policy(), None, 1, {}, NOW)
    second = status(policy(generation=2), "cap/0", 1, first, LATER)
    times = {each["type"]: (each["lastTransitionTime"], each["observedGeneration"]) for each in second["conditions"]}
    assert times == {"Ready": ("2026-01-02T03:04:05Z", 2), "Conflicted": ("2026-01-02T04:00:00Z", 2)}
    assert second["conditions"][1]["message"].startswith("cap/0 goes before it by its name alone")


def test_what_was_counted_stays_until_it_is_counted_anew() -> None:
    """A leader that has just begun does not know better."""
    assert status(policy(), None, None, {"pods": 5}, NOW)["pods"] == 5
    assert "pods" not in status(policy(), None, None, {}, NOW)


def test_nothing_new_makes_the_same_status() -> None:
    """So that nothing is written."""
    first = status(policy(), None, 1, {}, NOW)
    assert status(policy(), None, 1, first, LATER) == first


@pytest.mark.parametrize(
    ("first", "second", "lost"),
    [
        ({}, {}, {"cap/b": "cap/a"}),
        ({}, {"priority": 1}, {}),
        ({}, {"binding": "Mandatory"}, {}),
        ({}, {"mode": "Nonsense"}, {}),
        ({"mode": "Nonsense"}, {}, {}),
        ({"namespaceSelector": {"matchLabels": {"t": "x"}}}, {}, {"cap/b": "cap/a"}),
        ({"namespaceSelector": {"matchLabels": {"t": "x"}}}, {"namespaceSelector": {"matchLabels": {"t": "y"}}}, {}),
        (
            {"namespaceSelector": {"matchLabels": {"t": "x"}}},
            {"podSelector": {"matchLabels": {"t": "y"}}},
            {"cap/b": "cap/a"},
        ),
        (
            {"podSelector": {"matchExpressions": [{"key": "t", "operator": "Exists"}]}},
            {"podSelector": {"matchExpressions": [{"key": "t", "operator": "DoesNotExist"}]}},
            {},
        ),
    ],
)
def test_a_conflict_is_a_loss_by_name_alone(
    first: dict[str, Any], second: dict[str, Any], lost: dict[str, str]
) -> None:
    """Where some pod may be for both, and binding and priority are equal."""
    assert conflicts([policy("b", **second), policy("a", **first)]) == lost


def test_policies_of_different_kinds_or_namespaces_never_conflict() -> None:
    """Their order is that of the rules."""
    own = policy("a", kind=Kind.NAMESPACED)
    other = Policy.of(Kind.NAMESPACED, {"metadata": {"name": "b", "namespace": "other"}, "spec": {}})
    assert conflicts([own, other, policy("c")]) == {}
    assert conflicts([own, policy("b", kind=Kind.NAMESPACED)]) == {"ap/shop/b": "ap/shop/a"}


LABELS = [{}, *({"t": value} for value in "xyz"), {"u": "x"}, {"t": "x", "u": "x"}]
expressions = st.one_of(
    st.builds(
        lambda key, operator, values: {"key": key, "operator": operator, "values": values},
        st.sampled_from("tu"),
        st.sampled_from(["In", "NotIn"]),
        st.lists(st.sampled_from("xy"), min_size=1, max_size=2, unique=True),
    ),
    st.builds(
        lambda key, operator: {"key": key, "operator": operator},
        st.sampled_from("tu"),
        st.sampled_from(["Exists", "DoesNotExist"]),
    ),
)
SPECS = st.builds(
    lambda namespaces, pods: {
        "namespaceSelector": {"matchExpressions": namespaces},
        "podSelector": {"matchExpressions": pods},
    },
    st.lists(expressions, max_size=2),
    st.lists(expressions, max_size=2),
)


@given(st.lists(SPECS, max_size=6))
def test_whoever_loses_a_pod_is_in_conflict_with_the_first_that_may_take_it(specs: list[dict[str, Any]]) -> None:
    """No pod is decided by the order of names without somebody being told."""
    policies = [policy(f"p{index}", **spec) for index, spec in enumerate(specs)]
    found = conflicts(policies)
    for namespace in LABELS:
        for pod in LABELS:
            both = [each.title for each in policies if selects(each, namespace, pod)]
            assert all(title in found and found[title] <= both[0] for title in both[1:])


def selects(policy: Policy, namespace: dict[str, str], pod: dict[str, str]) -> bool:
    """Whether a policy is for a pod, by its labels and those of its namespace."""
    spec = policy.spec
    assert isinstance(spec, ClusterArchitecturePolicySpec)
    return matches(spec.namespace_selector, namespace) and matches(spec.pod_selector, pod)
