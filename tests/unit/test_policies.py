"""Which policy applies to a pod, and which facts: by tables, and against a plain reading of the rules."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightarch.policy import Choices, Effective, InvalidPolicy, Kind, Policies, Policy
from rightarch.policy.globs import literal_length, matches
from rightarch.policy.selectors import Selectors
from rightarch.policy.selectors import matches as selects
from rightarch.policy.spec import Selector
from rightarch.reference import Reference

Spec = Mapping[str, Any]


def cap(name: str, **spec: Any) -> Policy:  # noqa: ANN401 - JSON
    """A policy of the cluster."""
    return Policy.of(Kind.CLUSTER, {"metadata": {"name": name, "uid": f"{name}-uid", "generation": 1}, "spec": spec})


def ap(namespace: str, name: str, **spec: Any) -> Policy:  # noqa: ANN401 - JSON
    """A policy of a namespace."""
    metadata = {"namespace": namespace, "name": name, "uid": f"{name}-uid", "generation": 1}
    return Policy.of(Kind.NAMESPACED, {"metadata": metadata, "spec": spec})


def pod(annotation: str | None = None, **labels: str) -> dict[str, Any]:
    """A pod with labels, and what it asks for."""
    annotations = {} if annotation is None else {"rightarch.dev/policy": annotation}
    return {"metadata": {"labels": labels, "annotations": annotations}}


def applied(policies: Policies, thing: Mapping[str, Any], **labels: str) -> Effective:
    """What applies to a pod in the namespace shop, which has labels."""
    return policies.effective("shop", labels, {}, thing)


@pytest.mark.parametrize(
    ("policies", "winner"),
    [
        ((), "built-in"),
        ((cap("a"),), "cap/a"),
        ((ap("shop", "a"),), "ap/shop/a"),
        ((ap("other", "a"),), "built-in"),
        ((cap("a"), ap("shop", "b")), "ap/shop/b"),
        ((cap("a", binding="Mandatory"), ap("shop", "b", priority=9)), "cap/a"),
        ((cap("a", priority=9), cap("b", binding="Mandatory", priority=-9)), "cap/b"),
        ((cap("a"), cap("b", priority=1)), "cap/b"),
        ((cap("b"), cap("a")), "cap/a"),
        ((ap("shop", "b"), ap("shop", "a", priority=-1)), "ap/shop/b"),
        ((cap("a", namespaceSelector={"matchLabels": {"team": "x"}}), cap("b")), "cap/b"),
        ((cap("a", namespaceSelector={"matchLabels": {"team": "shop"}}), cap("b")), "cap/a"),
        ((cap("a", podSelector={"matchLabels": {"app": "api"}}), cap("b")), "cap/b"),
        ((cap("a", podSelector={"matchLabels": {"app": "web"}}), cap("b")), "cap/a"),
        ((cap("a", mode="Nonsense"), cap("b")), "cap/b"),
    ],
)
def test_one_policy_wins(policies: tuple[Policy, ...], winner: str) -> None:
    """Mandatory ones of the cluster, those of the namespace, Default ones; by priority, then by name."""
    assert applied(Policies.of(policies), pod(app="web"), team="shop").name == winner


def test_choices_of_several_policies_are_never_mixed() -> None:
    """What the winner leaves out has its default, whatever the others say."""
    found = applied(Policies.of([cap("a", priority=1, onConflict="Deny"), cap("b", onNotAllowed="Deny")]), pod())
    assert (found.choices.on_conflict, found.choices.on_not_allowed) == ("Deny", "Warn")


def test_without_a_policy_the_default_is_what_the_chart_says() -> None:
    """It has a mode of its own, and no label."""
    found = applied(Policies.of([], Choices(mode="Audit")), pod())
    assert (found.name, found.label, found.choices.mode) == ("built-in", "", "Audit")


def test_the_label_tells_the_kind_and_ten_digits_of_the_uid() -> None:
    """So that pods can be counted per policy."""
    uid = {"name": "a", "uid": "0f8fad5b-d9cb-469f-a165-70867728950e"}
    assert Policy.of(Kind.CLUSTER, {"metadata": uid, "spec": {}}).label == "cap.0f8fad5bd9"
    assert Policy.of(Kind.NAMESPACED, {"metadata": uid | {"namespace": "n"}, "spec": {}}).label == "ap.0f8fad5bd9"


def test_what_is_in_a_file_alone_has_no_label() -> None:
    """No pod can be counted for a policy that no cluster has; it decides all the same."""
    found = applied(Policies.of([Policy.of(Kind.CLUSTER, {"metadata": {"name": "a"}, "spec": {}})]), pod())
    assert (found.name, found.label, found.decides) == ("cap/a", "", True)


class TestOptOut:
    """The annotation rightarch.dev/policy."""

    def test_a_pod_opts_out(self) -> None:
        """Where the policy that would apply lets it."""
        found = applied(Policies.of([cap("a")]), pod("ignore"))
        assert (found.ignored, found.warnings, found.label) == (True, (), "")
        assert found.why == "the annotation rightarch.dev/policy: ignore of the pod"

    def test_a_pod_opts_out_of_the_built_in_default(self) -> None:
        """Nobody forbids it."""
        assert applied(Policies.of([]), pod("ignore")).ignored

    def test_a_namespace_opts_out_for_its_pods(self) -> None:
        """But a pod's own annotation comes first."""
        policies = Policies.of([cap("a"), cap("b")])
        assert policies.effective("shop", {}, {"rightarch.dev/policy": "ignore"}, pod()).ignored
        assert policies.effective("shop", {}, {"rightarch.dev/policy": "ignore"}, pod("b")).name == "cap/b"

    @pytest.mark.parametrize("asked", ["ignore", "b", "nonsense"])
    def test_nobody_opts_out_of_a_policy_that_forbids_it(self, asked: str) -> None:
        """The winner is found without the annotation, stays, and the pod's creator is told."""
        policies = Policies.of([cap("a", binding="Mandatory", allowOptOut=False), cap("b"), ap("shop", "ignore")])
        found = applied(policies, pod(asked))
        assert (found.name, found.ignored) == ("cap/a", False)
        assert found.warnings == (
            f"the annotation rightarch.dev/policy: {asked} of the pod is ignored: cap/a does not allow opting out",
        )

    def test_a_policy_that_is_named_need_not_allow_opting_out(self) -> None:
        """It is asked for, not left."""
        found = applied(Policies.of([cap("a"), cap("b", allowOptOut=False)]), pod("b"))
        assert (found.name, found.warnings) == ("cap/b", ())

    def test_a_name_is_first_that_of_the_namespace_s_own(self) -> None:
        """Then a cluster's, wherever it would rank; whether it selects the pod does not matter."""
        strange = {"matchLabels": {"app": "strange"}}
        policies = [cap("a"), cap("named", podSelector=strange)]
        assert applied(Policies.of(policies), pod("named")).name == "cap/named"
        policies.append(ap("shop", "named", podSelector=strange))
        assert applied(Policies.of(policies), pod("named")).name == "ap/shop/named"

    def test_a_name_of_a_policy_that_is_not_for_the_namespace_is_unknown(self) -> None:
        """The winner stays, with a warning: as for other namespaces' policies, and for ones that can't be obeyed."""
        elsewhere = {"matchLabels": {"team": "x"}}
        for named in (cap("named", namespaceSelector=elsewhere), ap("other", "named"), cap("named", mode="Nonsense")):
            found = applied(Policies.of([cap("a"), named]), pod("named"))
            assert found.name == "cap/a"
            assert found.warnings == (
                "the annotation rightarch.dev/policy: named of the pod names no valid policy here: cap/a applies",
            )

    def test_a_forged_name_is_shown_short_and_printable(self) -> None:
        """Pod authors choose it, and admins read it in a terminal."""
        (warning,) = applied(Policies.of([cap("a")]), pod("\x1b[31m" + "x" * 1000)).warnings
        assert warning.isprintable()
        assert len(warning) < 200


class TestFacts:
    """What holds whichever policy won."""

    def test_facts_of_all_matching_policies_hold(self) -> None:
        """Of those too that lost, and of those whose mode is Off; not of those that are for other pods."""
        other = {"matchLabels": {"app": "other"}}
        policies = [
            cap("a", runtimeClasses=["a"], mode="Off"),
            cap("b", binding="Mandatory", runtimeClasses=["b"]),
            cap("c", runtimeClasses=["c"], podSelector=other),
            cap("d", runtimeClasses=["d"], namespaceSelector=other),
            cap("e", capacity={"assume": ["arm64"]}),
        ]
        found = applied(Policies.of(policies), pod(app="web"))
        assert found.name == "cap/b"
        assert found.facts.runtime_classes == {"a", "b"}
        assert found.facts.assumed == {"arm64"}

    def test_the_most_specific_override_holds(self) -> None:
        """The one with the longest literal part, then the first by the policy's name, then by its place in it."""
        policies = Policies.of(
            [
                cap(
                    "b",
                    imageOverrides=[override("example.com/app*", "linux/b1"), override("*ample.com/app", "linux/b2")],
                ),
                cap("a", imageOverrides=[override("*", "linux/a1"), override("example.com/ap?", "linux/a2")]),
                cap("c", imageOverrides=[override("example.com/app:1*", "linux/c")]),
            ]
        )
        facts = applied(policies, pod()).facts
        assert [each.platforms[0] for each in facts.overrides] == [
            "linux/c",
            "linux/b1",
            "linux/a2",
            "linux/b2",
            "linux/a1",
        ]
        told = {
            name: facts.override(Reference.parse(name))
            for name in ("example.com/app:1.2", "example.com/app:2", "nginx")
        }
        assert [each.platforms for each in told.values() if each] == [("linux/c",), ("linux/b1",), ("linux/a1",)]

    def test_tolerations_and_emulation_stand_in_the_order_of_names(self) -> None:
        """Not in that of priorities: facts do not compete."""
        arm = {"architecture": "arm64", "toleration": {"key": "arch", "operator": "Exists"}}
        qemu = {"architecture": "arm", "nodeSelector": {"qemu": "yes"}}
        policies = [
            cap("b", priority=9, tolerations=[arm]),
            cap("a", tolerations=[arm | {"architecture": "arm"}], emulation=[qemu]),
        ]
        facts = applied(Policies.of(policies), pod()).facts
        assert [each.architecture for each in facts.tolerations] == ["arm", "arm64"]
        assert facts.emulation[0].node_selector == {"qemu": "yes"}


def override(pattern: str, platform: str) -> dict[str, Any]:
    """What a policy says of images."""
    return {"pattern": pattern, "platforms": [platform]}


@pytest.mark.parametrize(
    ("pattern", "name", "meant"),
    [
        ("docker.io/library/nginx", "nginx:1.27", True),
        ("docker.io/library/nginx:*", "nginx:1.27", True),
        ("docker.io/library/nginx:1.*", "nginx:2", False),
        ("nginx", "nginx", False),
        ("example.com/legacy/*", "example.com/legacy/a/b:1", True),
        ("example.com/legacy/*", "example.com/legacy", False),
        ("*/app", "example.com/team/app@sha256:" + "1" * 64, True),
        ("example?com/app", "example.com/app", True),
        ("example.com/app", "exampleXcom/app", False),
        ("*a*b*c", "example.com/xaxbxc", True),
        ("*a*b*c", "example.com/xcxbxa", False),
        ("*ab*ab", "example.com/ab", False),
        ("example.com/[a-z]", "example.com/a", False),
        ("*", "nginx", True),
    ],
)
def test_a_glob_is_matched_with_the_canonical_name(pattern: str, name: str, meant: bool) -> None:
    """With its tag or digest, or without for all of them."""
    assert matches(pattern, Reference.parse(name)) is meant


@pytest.mark.timeout(60)
def test_no_glob_takes_long() -> None:
    """A pattern of many stars is tried in one pass, not in every combination."""
    assert not matches("*a" * 200 + "b", Reference("a" * 250, "a" * 250, "a" * 120))


def test_the_literal_part_is_what_stands_for_itself() -> None:
    """Without stars and question marks."""
    assert [literal_length(each) for each in ("*", "a*b?", "abc")] == [0, 2, 3]


KEYS, VALUES = ["app", "team"], ["a", "b"]
labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))
expressions = st.one_of(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(KEYS),
            "operator": st.sampled_from(["In", "NotIn"]),
            "values": st.lists(st.sampled_from(VALUES), min_size=1, max_size=2, unique=True),
        }
    ),
    st.fixed_dictionaries({"key": st.sampled_from(KEYS), "operator": st.sampled_from(["Exists", "DoesNotExist"])}),
)
selectors = st.fixed_dictionaries({"matchLabels": labels, "matchExpressions": st.lists(expressions, max_size=2)})
specs = st.fixed_dictionaries(
    {
        "priority": st.integers(-1, 1),
        "podSelector": selectors,
        "allowOptOut": st.booleans(),
        "mode": st.sampled_from(["Enforce", "Nonsense"]),
    }
)
cluster_specs = st.builds(
    lambda spec, more: spec | more,
    specs,
    st.fixed_dictionaries({"binding": st.sampled_from(["Mandatory", "Default"]), "namespaceSelector": selectors}),
)
NAMES = st.sampled_from(["a", "b", "c", "d"])


@given(st.lists(selectors.map(Selector.model_validate) | st.none(), max_size=8), st.lists(labels, max_size=4))
def test_many_selectors_answer_as_each_would(many: list[Selector | None], asked: list[dict[str, str]]) -> None:
    """Whatever was asked and remembered before."""
    together = Selectors(many)
    for each in (*asked, *asked):
        alone = [index for index, selector in enumerate(many) if selects(selector, each)]
        assert [index for index in range(len(many)) if together.matching(each) >> index & 1] == alone


def meets(selector: Spec, labels: Mapping[str, str]) -> bool:
    """A selector, as the documentation of Kubernetes has it."""
    held = [labels.get(key) == value for key, value in selector["matchLabels"].items()]
    for each in selector["matchExpressions"]:
        value = labels.get(each["key"])
        held.append(
            {
                "In": value in each.get("values", ()),
                "NotIn": value not in each.get("values", ()),
                "Exists": value is not None,
                "DoesNotExist": value is None,
            }[each["operator"]]
        )
    return all(held)


@given(
    st.dictionaries(NAMES, cluster_specs, max_size=4),
    st.dictionaries(NAMES, specs, max_size=4),
    labels,
    labels,
    st.sampled_from([None, "ignore", "a", "d"]),
)
def test_the_winner_is_that_of_the_rules(
    cluster: dict[str, Spec],
    own: dict[str, Spec],
    of_namespace: dict[str, str],
    of_pod: dict[str, str],
    asked: str | None,
) -> None:
    """Read plainly: three lists, each sorted, filtered, and the first of all; the annotation afterwards."""
    cluster, own = ({n: s for n, s in each.items() if s["mode"] != "Nonsense"} for each in (cluster, own))
    there = {name: spec for name, spec in cluster.items() if meets(spec["namespaceSelector"], of_namespace)}
    lists = [
        [(f"cap/{n}", s) for n, s in there.items() if s["binding"] == "Mandatory"],
        [(f"ap/shop/{n}", s) for n, s in own.items()],
        [(f"cap/{n}", s) for n, s in there.items() if s["binding"] == "Default"],
    ]
    ranked = [pair for each in lists for pair in sorted(each, key=lambda pair: (-pair[1]["priority"], pair[0]))]
    winner, spec = next(
        ((t, s) for t, s in ranked if meets(s["podSelector"], of_pod)), ("built-in", {"allowOptOut": True})
    )
    named = f"ap/shop/{asked}" if asked in own else f"cap/{asked}" if asked in there else winner
    expected = named if spec["allowOptOut"] else winner
    policies = Policies.of([*(cap(n, **s) for n, s in cluster.items()), *(ap("shop", n, **s) for n, s in own.items())])
    found = policies.effective("shop", of_namespace, {}, pod(asked, **of_pod))
    assert found.name == expected
    assert found.ignored == (asked == "ignore" and spec["allowOptOut"])
    assert policies.effective("shop", of_namespace, {}, pod(asked, **of_pod)) == found


class TestReading:
    """Objects and manifests."""

    def test_what_a_newer_version_added_is_passed_over(self) -> None:
        """The API server knows it, this replica does not yet."""
        assert cap("a", newer=True).problem == ""

    def test_a_spec_that_slipped_through_says_why_it_is_not_obeyed(self) -> None:
        """With the path of each field."""
        policy = cap("a", mode="Nonsense", architectures={"share": [{"architecture": "arm64", "percent": "5"}]})
        assert policy.spec is None
        assert policy.problem == (
            "spec.mode: Input should be 'Enforce', 'Audit' or 'Off'; "
            "spec.architectures.share[0].percent: Input should be a valid integer"
        )

    def test_a_manifest_with_a_field_that_nobody_knows_is_refused(self) -> None:
        """A typing error would otherwise go unnoticed where no API server looks."""
        manifest = {
            "apiVersion": "rightarch.dev/v1alpha1",
            "kind": "ClusterArchitecturePolicy",
            "metadata": {"name": "a"},
            "spec": {"onConflicts": "Deny"},
        }
        with pytest.raises(InvalidPolicy, match=r"^cap/a: spec\.onConflicts: Extra inputs are not permitted$"):
            Policy.of_manifest(manifest)
        manifest["spec"] = {"onConflict": "Deny"}
        assert Policy.of_manifest(manifest).title == "cap/a"

    @pytest.mark.parametrize("spec", [{"priority": 2**70}, {"podSelector": {"matchLabels": {1: "x"}}}])
    def test_what_json_can_t_say_is_no_policy(self, spec: dict[str, Any]) -> None:
        """YAML can: a number of any size, and keys that are numbers."""
        policy = Policy.of(Kind.CLUSTER, {"metadata": {"name": "a", "uid": "u"}, "spec": spec})
        assert policy.problem.startswith("spec: this can't be said in JSON: ")

    def test_a_manifest_of_another_kind_is_refused(self) -> None:
        """With what it says."""
        with pytest.raises(InvalidPolicy, match="it says 'Pod'"):
            Policy.of_manifest({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}})

    def test_a_manifest_names_its_namespace_or_gets_one(self) -> None:
        """As kubectl apply does it."""
        manifest = {"apiVersion": "rightarch.dev/v1alpha1", "kind": "ArchitecturePolicy", "metadata": {"name": "a"}}
        assert Policy.of_manifest(manifest | {"spec": {}}, "shop").title == "ap/shop/a"
