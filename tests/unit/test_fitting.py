"""Which nodes fit a pod: agreement with the scheduler's rules, and what is told of those that don't."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightarch.fitting import obstacles
from tests.support.scheduling import admits

KEYS = ("kubernetes.io/arch", "zone", "size")
VALUES = ("amd64", "arm64", "a", "1", "7", "x")
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"

expressions = st.one_of(
    st.builds(
        lambda key, operator, values: {"key": key, "operator": operator, "values": values},
        st.sampled_from(KEYS),
        st.sampled_from(["In", "NotIn"]),
        st.lists(st.sampled_from(VALUES), min_size=1, max_size=3),
    ),
    st.builds(
        lambda key, operator: {"key": key, "operator": operator},
        st.sampled_from(KEYS),
        st.sampled_from(["Exists", "DoesNotExist"]),
    ),
    st.builds(
        lambda key, operator, number: {"key": key, "operator": operator, "values": [str(number)]},
        st.sampled_from(KEYS),
        st.sampled_from(["Gt", "Lt"]),
        st.integers(0, 9),
    ),
)
fields = st.builds(
    lambda operator, name: {"key": "metadata.name", "operator": operator, "values": [name]},
    st.sampled_from(["In", "NotIn"]),
    st.sampled_from(["one", "other"]),
)
terms = st.fixed_dictionaries(
    {}, optional={"matchExpressions": st.lists(expressions, max_size=3), "matchFields": st.lists(fields, max_size=1)}
)
labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=3)


def pod(selector: dict[str, str], required: list[Any] | None, **spec: object) -> dict[str, Any]:
    """A pod with a node selector and required terms."""
    affinity = {} if required is None else {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": required}}}}
    return {"metadata": {}, "spec": {"nodeSelector": selector, **affinity, **spec}}


@given(selector=labels, required=st.none() | st.lists(terms, min_size=1, max_size=3), has=labels)
def test_a_node_fits_where_the_scheduler_s_rules_admit_it(
    selector: dict[str, str], required: list[Any] | None, has: dict[str, str]
) -> None:
    """By selector, terms, fields, and numbers."""
    subject, node = pod(selector, required), {"metadata": {"name": "one", "labels": has}}
    assert (not obstacles(subject, node)) == admits(subject, "one", has)


TAINTED = {"taints": [{"key": "for", "value": "gpu", "effect": "NoSchedule"}]}


@pytest.mark.parametrize(
    ("subject", "spec", "expected"),
    [
        (pod({}, None), {}, ()),
        (pod({}, None), TAINTED, ("has the taint for=gpu:NoSchedule",)),
        (pod({}, None), {"taints": [{"key": "for", "effect": "PreferNoSchedule"}]}, ()),
        (pod({}, None, tolerations=[{"key": "for", "operator": "Exists"}]), TAINTED, ()),
        (pod({}, None), {"unschedulable": True}, ("is cordoned",)),
        (pod({}, None, tolerations=[{"operator": "Exists"}]), {"unschedulable": True}, ()),
        (pod({"zone": "b"}, None), {}, ("has zone=a, not zone=b",)),
        (pod({"size": "7"}, None), {}, ("lacks size, not size=7",)),
        (pod({}, [{}]), {}, ("matches no term: the pod has none that any node could",)),
        (
            pod({}, [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["other"]}]}]),
            {},
            ("is not the one that the pod names (metadata.name In [other])",),
        ),
    ],
)
def test_what_is_in_the_way(subject: dict[str, Any], spec: dict[str, Any], expected: tuple[str, ...]) -> None:
    """In words that follow the node's name."""
    node = {"metadata": {"name": "one", "labels": {"zone": "a"}}, "spec": spec}
    assert obstacles(subject, node) == expected


def test_the_term_that_misses_least_is_told() -> None:
    """One is enough, so that is what to mend."""
    far = {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}, {"key": "x", "operator": "Exists"}]}
    near = {"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}
    node = {"metadata": {"name": "one", "labels": {"zone": "a"}}}
    assert obstacles(pod({}, [far, near]), node) == ("has zone=a, not zone NotIn [a]",)
