"""Placement where tables and random pods do not reach: bounds, records, and operations letter for letter."""

import json
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rightarch.placement import KEY, Failure, Input, apply, decide
from rightarch.platforms import ImagePlatforms, Platform
from rightarch.policy import Choices, Effective, Emulation, Facts
from rightarch.reasons import Reason
from tests.support.json_patch import patched

BOTH = ImagePlatforms("sha256:0", (Platform("linux", "amd64"), Platform("linux", "arm64")), indexed=True)
AMD64 = ImagePlatforms("sha256:1", (Platform("linux", "amd64"),), indexed=False)


def pod(spec: dict[str, Any] | None = None, **metadata: dict[str, str]) -> dict[str, Any]:
    """A pod of one container."""
    return {"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "app"}], **(spec or {})}}


def operations(of: dict[str, Any], image: ImagePlatforms | Failure = AMD64) -> list[dict[str, Any]]:
    """The patch of a pod whose one image is given."""
    return apply(decide(Input(of, {"app": image})), of)


def test_a_bare_pod_gets_three_operations() -> None:
    """Affinity, label and annotation are added; nothing else is named."""
    assert [(each["op"], each["path"]) for each in operations(pod())] == [
        ("add", "/spec/affinity"),
        ("add", "/metadata/labels"),
        ("add", "/metadata/annotations"),
    ]


def test_neighbours_are_not_touched() -> None:
    """Beside other affinity, labels and annotations the paths are the deepest that do."""
    preferred: dict[str, Any] = {"preferredDuringSchedulingIgnoredDuringExecution": []}
    full = pod({"affinity": {"podAffinity": {}, "nodeAffinity": preferred}}, labels={"a": "b"}, annotations={"c": "d"})
    assert [each["path"] for each in operations(full)] == [
        "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution",
        "/metadata/labels/rightarch.dev~1decision",
        "/metadata/annotations/rightarch.dev~1decision",
    ]


def test_the_annotation_says_why() -> None:
    """Reason, message, operating system, architectures, platforms per image, and what was written, as compact JSON."""
    after = patched(pod(), operations(pod(), BOTH))
    assert after["metadata"]["annotations"][KEY] == (
        '{"reason":"Constrained","message":"its images run on amd64, arm64 (linux)","os":"linux",'
        '"architectures":["amd64","arm64"],"images":{"app":["linux/amd64","linux/arm64"]},'
        '"wrote":{"created":true,"terms":{"0":[["kubernetes.io/arch","amd64","arm64"]]}}}'
    )


def test_the_annotation_names_the_cause_of_a_failure() -> None:
    """Per image that is not known, the Reason."""
    failed = Failure(Reason.RATE_LIMITED, "ask again later")
    record = orjson.loads(patched(pod(), operations(pod(), failed))["metadata"]["annotations"][KEY])
    assert record["reason"] == "Unresolved"
    assert record["images"] == {"app": "RateLimited"}


LIMIT = 256 * 1024
"""Bytes that the API server lets all annotations of an object have."""


def test_annotations_never_exceed_what_the_api_server_takes() -> None:
    """A pod whose own annotations leave no room gets label and affinity, and is not refused for our record."""
    full = pod(annotations={"notes": "x" * (LIMIT - len("notes") - 100)})
    assert [each["path"] for each in operations(full)] == ["/spec/affinity", "/metadata/labels"]


def test_a_record_that_fits_no_more_is_shortened_and_at_last_taken_away() -> None:
    """Another webhook may fill the room between two calls: what we wrote must not be what gets the pod refused."""
    once = patched(pod(annotations={}), operations(pod(annotations={})))
    for room, kept in ((300, True), (100, False)):
        full = {**once, "metadata": {**once["metadata"], "annotations": dict(once["metadata"]["annotations"])}}
        full["metadata"]["annotations"]["notes"] = "x" * (LIMIT - len("notes") - room)
        annotations = patched(full, operations(full))["metadata"]["annotations"]
        assert (KEY in annotations) == kept
        assert sum(len(key) + len(value) for key, value in annotations.items()) <= LIMIT
        if kept:
            assert orjson.loads(annotations[KEY])["wrote"] == {
                "created": True,
                "terms": {"0": [["kubernetes.io/arch", "amd64"]]},
            }


def test_a_requirement_without_terms_is_left_to_the_api_server() -> None:
    """It refuses such a pod; to mend it would make a typo a pod that runs anywhere."""
    required: dict[str, Any] = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}
    empty = pod({"affinity": {"nodeAffinity": required}})
    assert [each["path"] for each in operations(empty)] == ["/metadata/labels", "/metadata/annotations"]
    assert decide(Input(empty, {"app": AMD64})).reason is Reason.CONFLICTING_CONSTRAINT


def test_messages_carry_nothing_that_steers_a_terminal_or_a_log() -> None:
    """Control sequences, line separators and changes of direction come out as question marks, and in bounded number."""
    for text in ("\x1b[31m", "\x9b31m", "\u2028", "\u202e", "\n"):
        failed = Failure(Reason.REGISTRY_FAILED, f"{text}{'x' * 100_000}")
        decision = decide(Input({"metadata": {}, "spec": {"containers": [{"image": text}]}}, {text: failed}))
        assert decision.message.isprintable()
        assert len(decision.message) < 1100


def test_the_record_of_hundreds_of_images_stays_small() -> None:
    """Pod authors choose how many images and how long their names are; the record keeps what matters."""
    names = [f"registry.example/{'x' * 200}/{index}" for index in range(300)]
    many = {"metadata": {}, "spec": {"containers": [{"image": name} for name in names]}}
    odd = dict.fromkeys(names[1:], AMD64) | {names[0]: ImagePlatforms("sha256:2", (Platform("linux", "s390x"),), False)}
    for images, reason in ((dict.fromkeys(names, AMD64), "Constrained"), (odd, "NoCommonArchitecture")):
        text = patched(many, apply(decide(Input(many, images)), many))["metadata"]["annotations"][KEY]
        assert orjson.loads(text)["reason"] == reason
        assert len(text) < 2000


def test_a_user_s_own_equal_expression_in_another_term_is_never_widened() -> None:
    """The record names terms: what the user wrote alike elsewhere stays."""
    expression = {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}
    zone = {"key": "zone", "operator": "In", "values": ["a"]}
    terms = [{"matchExpressions": [expression]}, {"matchExpressions": [zone]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    before = pod({"affinity": {"nodeAffinity": required}})
    once = patched(before, operations(before))
    twice = patched(once, operations(once, BOTH))
    affinity = twice["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert affinity["nodeSelectorTerms"] == [
        {"matchExpressions": [expression]},
        {"matchExpressions": [zone, {**expression, "values": ["amd64", "arm64"]}]},
    ]


def test_another_webhook_s_expression_behind_ours_stays() -> None:
    """What others wrote into our term between two calls is the pod's own from then on."""
    once = patched(pod(), operations(pod(), BOTH))
    terms = once["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    theirs = {"key": "disk", "operator": "Exists"}
    terms["nodeSelectorTerms"][0]["matchExpressions"].append(theirs)
    twice = patched(once, operations(once, AMD64))
    affinity = twice["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert affinity["nodeSelectorTerms"] == [
        {"matchExpressions": [theirs, {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}]}
    ]


def test_a_mirror_pod_is_not_even_labelled() -> None:
    """It must stay what its kubelet wrote."""
    assert operations(pod(annotations={"kubernetes.io/config.mirror": "x"})) == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["zone", "a", "0"]),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.just("0"), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    st.sampled_from(["wrote", "terms", "preferred", "tolerations", "share"]),
    st.booleans(),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of a busy machine
def test_no_annotation_keeps_a_policy_from_its_word(forged: object, member: str, gated: bool) -> None:
    """Its author is whoever makes the pod: an error of ours would let him out of what is enforced."""
    wrote = {"created": True, "terms": {}} | ({member: forged} if member not in {"wrote", "share"} else {})
    content = {"reason": "Constrained", "wrote": wrote} | ({member: forged} if member in {"wrote", "share"} else {})
    of = pod(annotations={KEY: json.dumps(content)})
    facts = Facts(emulation=(Emulation(architecture="s390x", node_selector={"zone": "a"}),))
    policy = Effective(
        Choices.model_validate({"onNotAllowed": "Enforce", "architectures": {"allowed": ["arm64"]}}), facts
    )
    given_ = Input(of, {"app": AMD64}, policy=policy, gated=gated, gating=True)
    after = patched(of, apply(decide(given_), of))
    [term] = after["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert [each["values"] for each in term["matchExpressions"]] == [["amd64"], ["arm64"]]


def test_pods_that_belong_together_choose_alike_and_others_in_proportion() -> None:
    """By their namespace and the value of the label that the policy names, whatever was counted."""
    shares = {"share": [{"architecture": "arm64", "percent": 30}], "sameFor": "spark-app"}
    policy = Effective(Choices.model_validate({"architectures": shares}))

    def choice(namespace: str, app: str, counts: dict[str, int]) -> str | None:
        of = pod(labels={"spark-app": app})
        return decide(Input(of, {"app": BOTH}, policy=policy, counts=counts, namespace=namespace)).share

    chosen = [choice("team", f"app-{number}", {"arm64": number}) for number in range(1000)]
    assert chosen == [choice("team", f"app-{number}", {"others": number}) for number in range(1000)]
    assert chosen != [choice("other", f"app-{number}", {}) for number in range(1000)]
    assert 260 <= chosen.count("arm64") <= 340
    assert chosen.count("arm64") + chosen.count("others") == 1000
