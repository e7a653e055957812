"""Templates: what is written into a workload, what replaces it, and how it stands."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightarch import template
from rightarch.capacity import Capacity
from rightarch.placement import Failure, Input, decide
from rightarch.platforms import ImagePlatforms, Platform
from rightarch.policy import Choices, Effective, Emulation, Facts, Toleration
from rightarch.reasons import Reason
from rightarch.template import KEY, Standing, standing
from tests.support.json_patch import patched

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
BOTH = ImagePlatforms("sha256:0", (Platform("linux", "amd64"), Platform("linux", "arm64")), indexed=True)
AMD64 = ImagePlatforms("sha256:1", (Platform("linux", "amd64"),), indexed=False)
UNKNOWN = Failure(Reason.TIMED_OUT, "no answer")
NODES = Capacity(frozenset({("linux", "amd64"), ("linux", "arm64")}))


def daemon_set(spec: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:  # noqa: ANN401 - any metadata
    """A DaemonSet of one container, app."""
    pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "app"}], **(spec or {})}}
    return {"metadata": {"name": "d", "namespace": "n", **metadata}, "spec": {"template": pod}}


def after(workload: dict[str, Any], image: ImagePlatforms | Failure, name: str = "app") -> dict[str, Any]:
    """The workload as it is once its template was decided on."""
    given = Input(template.pod_of(workload), {name: image}, NODES, template.written(workload))
    return patched(workload, template.apply(decide(given), workload))


def terms(workload: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """The required terms of the template, or None."""
    return (
        workload["spec"]["template"]["spec"]
        .get("affinity", {})
        .get("nodeAffinity", {})
        .get(REQUIRED, {})
        .get("nodeSelectorTerms")
    )


def arch(*values: str) -> dict[str, Any]:
    """The expression that is written."""
    return {"key": "kubernetes.io/arch", "operator": "In", "values": list(values)}


def with_image(workload: dict[str, Any], image: str) -> dict[str, Any]:
    """The workload after somebody set another image."""
    return patched(workload, [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}])


def test_a_template_gets_affinity_and_the_workload_an_annotation() -> None:
    """Nothing else is named: no label or annotation is put into the template, where it would be the pods'."""
    workload = daemon_set()
    given = Input(template.pod_of(workload), {"app": AMD64}, NODES, template.written(workload))
    patch = template.apply(decide(given), workload)
    assert [(each["op"], each["path"]) for each in patch] == [
        ("add", "/spec/template/spec/affinity"),
        ("add", "/metadata/annotations"),
    ]
    assert orjson.loads(patch[1]["value"][KEY]) == {
        "reason": "Constrained",
        "message": "its images run on amd64 (linux)",
        "os": "linux",
        "architectures": ["amd64"],
        "images": {"app": ["linux/amd64"]},
        "wrote": {"created": True, "terms": {"0": [["kubernetes.io/arch", "amd64"]]}},
    }


def test_the_template_of_a_cron_job_stands_deeper() -> None:
    """It gets the same, where it is."""
    spec = {"schedule": "@daily", "jobTemplate": {"spec": daemon_set()["spec"]}}
    job = after({"metadata": {"name": "c", "namespace": "n"}, "spec": spec}, AMD64)
    assert terms({"spec": job["spec"]["jobTemplate"]["spec"]}) == [{"matchExpressions": [arch("amd64")]}]
    assert standing(job) is Standing.DECIDED


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [arch("amd64", "x")]}]}}}},
    ],
)
def test_what_is_retracted_is_as_it_was(spec: dict[str, Any]) -> None:
    """A workload that a policy does not want any more has its own template again, and no annotation of ours."""
    workload = daemon_set(spec, annotations={"team": "a"})
    changed = after(workload, AMD64)
    assert changed != workload
    assert patched(changed, template.retract(changed)) == workload
    assert template.retract(workload) == []


def test_the_next_image_replaces_what_was_written_for_the_last() -> None:
    """Not only narrower: a multi-arch image gets back what an amd64-only one lost."""
    once = after(daemon_set(), AMD64)
    assert terms(once) == [{"matchExpressions": [arch("amd64")]}]
    twice = after(with_image(once, "next"), BOTH, "next")
    assert terms(twice) == [{"matchExpressions": [arch("amd64", "arm64")]}]
    assert terms(after(with_image(twice, "app"), AMD64)) == [{"matchExpressions": [arch("amd64")]}]


def test_the_user_s_own_terms_stay_as_they_are() -> None:
    """Ours is the last expression of each, and goes again without a trace of it."""
    zone = {"key": "zone", "operator": "In", "values": ["a"]}
    own = {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [zone]}]}}}}
    once = after(daemon_set(own), AMD64)
    assert terms(once) == [{"matchExpressions": [zone, arch("amd64")]}]
    twice = after(with_image(once, "next"), ImagePlatforms("sha256:2", (Platform("windows", "amd64"),), False), "next")
    assert terms(twice) == [{"matchExpressions": [zone]}]
    assert orjson.loads(twice["metadata"]["annotations"][KEY])["reason"] == "NoCommonArchitecture"


def test_an_image_that_is_not_known_in_time_waits() -> None:
    """The annotation says so; the template is as it was, with what was written for the last image."""
    once = after(daemon_set(), UNKNOWN)
    assert terms(once) is None
    assert orjson.loads(once["metadata"]["annotations"][KEY])["reason"] == "Unresolved"
    assert standing(once) is Standing.WAITING
    late = after(once, AMD64)
    assert (terms(late), standing(late)) == ([{"matchExpressions": [arch("amd64")]}], Standing.DECIDED)
    next_unknown = after(with_image(late, "next"), UNKNOWN, "next")
    assert (terms(next_unknown), standing(next_unknown)) == (terms(late), Standing.WAITING)
    assert terms(after(next_unknown, BOTH, "next")) == [{"matchExpressions": [arch("amd64", "arm64")]}]


def test_a_registry_that_is_away_takes_nothing_back() -> None:
    """What was decided for the same images stands."""
    once = after(daemon_set(), AMD64)
    assert after(once, UNKNOWN) == once


def test_a_pinned_template_is_left_alone() -> None:
    """It names single nodes; the annotation says Skipped, and that it is settled whatever its images."""
    field = {"key": "metadata.name", "operator": "In", "values": ["n1"]}
    own = {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchFields": [field]}]}}}}
    once = after(daemon_set(own), AMD64)
    assert once["spec"] == daemon_set(own)["spec"]
    assert standing(once) is Standing.DECIDED


def test_without_room_for_the_annotation_nothing_is_written() -> None:
    """What nobody would know again must not be written."""
    full = daemon_set(annotations={"big": "x" * (256 * 1024 - 100)})
    assert after(full, AMD64) == full


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        (daemon_set(), Standing.UNSEEN),
        (daemon_set(annotations={KEY: "{"}), Standing.UNSEEN),
        (daemon_set(annotations={KEY: "[]"}), Standing.UNSEEN),
        (daemon_set(annotations={KEY: '{"reason":["Constrained"],"images":{"app":[]}}'}), Standing.UNSEEN),
        (daemon_set(annotations={KEY: '{"reason":"Constrained","images":{"old":["linux/amd64"]}}'}), Standing.OUTDATED),
        (daemon_set(annotations={KEY: '{"reason":"Constrained","images":7}'}), Standing.OUTDATED),
        (daemon_set(annotations={KEY: '{"reason":"TimedOut","images":{"app":"TimedOut"}}'}), Standing.WAITING),
        (daemon_set(annotations={KEY: '{"reason":"Constrained","images":{"app":["x"]}}'}), Standing.DECIDED),
        (daemon_set(ownerReferences=[{"controller": True, "kind": "Agent"}]), Standing.OWNED),
        (daemon_set(ownerReferences=[{"kind": "Agent"}]), Standing.UNSEEN),
    ],
)
def test_standing(workload: dict[str, Any], expected: Standing) -> None:
    """By owner, annotation and images, whoever wrote them."""
    assert standing(workload) is expected


IMAGES = st.lists(st.sampled_from([BOTH, AMD64, UNKNOWN]), min_size=1, max_size=6)


@given(IMAGES)
def test_any_history_of_images_ends_as_the_last_one_alone_would(history: list[ImagePlatforms | Failure]) -> None:
    """What was written for earlier images never narrows a later one that is known."""
    workload = daemon_set()
    for number, image in enumerate(history):
        workload = after(with_image(workload, f"app{number}"), image, f"app{number}")
    last = history[-1]
    if isinstance(last, ImagePlatforms):
        assert terms(workload) == terms(after(daemon_set(), last))
        assert after(workload, last, f"app{len(history) - 1}") == workload


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_annotation_can_be_read(text: str) -> None:
    """Its author is whoever made the workload."""
    workload = daemon_set(annotations={KEY: text})
    assert standing(workload) in Standing
    assert terms(after(workload, AMD64)) == [{"matchExpressions": [arch("amd64")]}]


def effective(**choices: Any) -> Effective:  # noqa: ANN401 - any choices
    """A policy of these choices."""
    return Effective(Choices.model_validate(choices))


RECONCILE = [{"kinds": ["DaemonSet"], "when": "Reconcile"}]


@pytest.mark.parametrize(
    ("kind", "policy", "expected"),
    [
        ("DaemonSet", effective(), "OnAdmission"),
        ("Deployment", effective(), "Never"),
        ("DaemonSet", effective(templates=RECONCILE), "Reconcile"),
        ("Deployment", effective(templates=RECONCILE), "Never"),
        ("DaemonSet", effective(templates=RECONCILE, mode="Off"), "Never"),
        ("DaemonSet", effective(templates=RECONCILE, mode="Audit"), "OnAdmission"),
        ("DaemonSet", replace(effective(templates=RECONCILE), ignored=True), "Never"),
    ],
)
def test_when_a_template_is_written(kind: str, policy: Effective, expected: str) -> None:
    """As the first rule says that names the kind; an audit rolls nothing."""
    assert template.when(kind, daemon_set(), policy) == expected


def test_a_share_is_no_matter_of_the_template() -> None:
    """Which pods prefer what is decided one by one; what all may tolerate stands in the template."""
    toleration = {"key": "arch", "operator": "Equal", "value": "arm64", "effect": "NoSchedule"}
    facts = Facts(tolerations=(Toleration.model_validate({"architecture": "arm64", "toleration": toleration}),))
    share = [{"architecture": "arm64", "percent": 50}]
    policy = Effective(Choices.model_validate({"architectures": {"share": share}}), facts)
    workload = daemon_set()
    written = template.written(workload)
    decision = decide(Input(template.pod_of(workload), {"app": BOTH}, NODES, written, policy=policy))
    spec = patched(workload, template.apply(decision, workload))["spec"]["template"]["spec"]
    assert list(spec["affinity"]["nodeAffinity"]) == [REQUIRED]
    assert spec["tolerations"] == [toleration]


def test_what_was_required_for_emulation_goes_with_the_images_that_needed_it() -> None:
    """The labels of the emulating nodes are ours too, where the policy names them."""
    stated = {"architecture": "arm64", "nodeSelector": {"example.com/binfmt": "yes"}}
    policy = Effective(facts=Facts(emulation=(Emulation.model_validate(stated),)))
    arm64 = ImagePlatforms("sha256:2", (Platform("linux", "arm64"),), indexed=False)
    workload = daemon_set({"containers": [{"name": "c", "image": "app"}, {"name": "d", "image": "other"}]})

    def decided(workload: dict[str, Any], **images: ImagePlatforms) -> dict[str, Any]:
        written = template.written(workload, policy)
        decision = decide(Input(template.pod_of(workload), images, NODES, written, policy=policy))
        return patched(workload, template.apply(decision, workload))

    emulated = decided(workload, app=AMD64, other=arm64)
    label = {"key": "example.com/binfmt", "operator": "In", "values": ["yes"]}
    assert terms(emulated) == [{"matchExpressions": [arch("amd64"), label]}]
    assert patched(emulated, template.retract(emulated, policy))["spec"] == workload["spec"]
    changed = patched(emulated, [{"op": "remove", "path": "/spec/template/spec/containers/0"}])
    assert terms(decided(changed, other=BOTH)) == [{"matchExpressions": [arch("amd64", "arm64")]}]
