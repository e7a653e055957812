"""The definitions of policies, as the real API server takes them: every field, every rule, every default."""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from rightarch.crds import definitions
from rightarch.policy import Kind, Policy
from tests.controlplane import ControlPlane, KubectlError, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    Object = dict[str, Any]

NAMES = ("clusterarchitecturepolicies", "architecturepolicies")
KINDS = {"cap": "ClusterArchitecturePolicy", "ap": "ArchitecturePolicy"}
PATHS = {
    "cap": "/apis/rightarch.dev/v1alpha1/clusterarchitecturepolicies",
    "ap": "/apis/rightarch.dev/v1alpha1/namespaces/default/architecturepolicies",
}

CHOICES: Object = {
    "priority": 7,
    "mode": "Audit",
    "podSelector": {
        "matchLabels": {"app.kubernetes.io/name": "web"},
        "matchExpressions": [
            {"key": "tier", "operator": "NotIn", "values": ["db"]},
            {"key": "x", "operator": "Exists"},
        ],
    },
    "architectures": {
        "allowed": ["amd64", "arm64"],
        "share": [{"architecture": "arm64", "percent": 25}],
        "sameFor": "spark-app-selector",
    },
    "onUnresolved": {
        "action": "Fallback",
        "fallback": ["amd64"],
        "gateTimeoutSeconds": 30,
        "afterGate": "Fallback",
        "lookupBudgetMilliseconds": 500,
    },
    "onUnreadable": "Deny",
    "onNoCommonArchitecture": "Deny",
    "onConflict": "Enforce",
    "onNotAllowed": "Enforce",
    "operatingSystems": ["linux", "windows"],
    "templates": [
        {"kinds": ["Deployment", "CronJob"], "when": "Reconcile", "owned": True, "maxUnavailableWorkloads": 3}
    ],
    "allowOptOut": False,
}
FACTS: Object = {
    "binding": "Mandatory",
    "namespaceSelector": {
        "matchLabels": {"team": "shop"},
        "matchExpressions": [{"key": "env", "operator": "In", "values": ["prod"]}],
    },
    "imageOverrides": [
        {"pattern": "registry.example.com/legacy/*", "platforms": ["linux/amd64"], "reason": "its manifest lies"}
    ],
    "tolerations": [
        {
            "architecture": "arm64",
            "toleration": {
                "key": "kubernetes.io/arch",
                "operator": "Equal",
                "value": "arm64",
                "effect": "NoExecute",
                "tolerationSeconds": 60,
            },
        }
    ],
    "emulation": [{"architecture": "s390x", "nodeSelector": {"example.com/qemu": "true"}}],
    "runtimeClasses": ["wasm"],
    "capacity": {"assume": ["arm64"]},
}
WHOLE: Object = CHOICES | FACTS
PREFERRED: Object = {"architectures": {"preferred": [{"architecture": "arm64", "weight": 50}]}}

DEFAULTS: Object = {
    "priority": 0,
    "mode": "Enforce",
    "onUnresolved": {
        "action": "Gate",
        "gateTimeoutSeconds": 60,
        "afterGate": "Allow",
        "lookupBudgetMilliseconds": 1000,
    },
    "onUnreadable": "Allow",
    "onNoCommonArchitecture": "Warn",
    "onConflict": "Warn",
    "onNotAllowed": "Warn",
    "operatingSystems": ["linux"],
    "allowOptOut": True,
}

SEVENTEEN = [f"a{index}" for index in range(17)]
TOLERATION = "tolerations.0.toleration"
REFUSED: list[tuple[str, object, str]] = [
    ("priority", 1_000_001, "less than or equal to 1000000"),
    ("priority", -1_000_001, "greater than or equal to -1000000"),
    ("priority", "5", "must be of type integer"),
    ("mode", "Strict", "Unsupported value"),
    ("podSelector", "app=web", "must be of type object"),
    ("podSelector.matchLabels", {"app": "a b"}, "should match"),
    ("podSelector.matchLabels", {"a b": "c"}, "a label's key"),
    ("podSelector.matchLabels", {f"l{index}": "x" for index in range(65)}, "at most 64"),
    ("podSelector.matchExpressions", [{"operator": "Exists"}], "key: Required value"),
    ("podSelector.matchExpressions", [{"key": "x"}], "operator: Required value"),
    ("podSelector.matchExpressions.0.key", "-a", "should match"),
    ("podSelector.matchExpressions.0.operator", "Gt", "Unsupported value"),
    (
        "podSelector.matchExpressions.0.operator",
        "Exists",
        "In and NotIn need values; Exists and DoesNotExist have none",
    ),
    ("podSelector.matchExpressions.0.values", [], "In and NotIn need values; Exists and DoesNotExist have none"),
    ("podSelector.matchExpressions.0.values", ["a b"], "should match"),
    ("architectures", [], "must be of type object"),
    ("architectures.allowed", ["amd64", "amd64"], "Duplicate value"),
    ("architectures.allowed", ["AMD64"], "should match"),
    ("architectures.allowed", ["aarch64"], "aarch64 is arm64"),
    ("architectures.allowed", SEVENTEEN, "at most 16 items"),
    ("architectures.allowed", ["amd64"], "share names an architecture that is not allowed"),
    ("architectures.preferred", [{"architecture": "arm64", "weight": 1}], "preferred and share don't go together"),
    ("architectures.share", [{"architecture": "arm64", "percent": 1}] * 2, "Duplicate value"),
    (
        "architectures.share",
        [{"architecture": "amd64", "percent": 60}, {"architecture": "arm64", "percent": 41}],
        "the percentages of share add up to more than 100",
    ),
    ("architectures.share", [{"percent": 1}], "architecture: Required value"),
    ("architectures.share.0.architecture", "ARM", "should match"),
    ("architectures.share.0.percent", 101, "less than or equal to 100"),
    ("architectures.share.0.percent", -1, "greater than or equal to 0"),
    ("architectures.share", [], "sameFor says which pods get the same choice of a share"),
    ("architectures.sameFor", "a/b/c", "should match"),
    ("onUnresolved", "Gate", "must be of type object"),
    ("onUnresolved.action", "Wait", "Unsupported value"),
    ("onUnresolved.fallback", ["amd64", "amd64"], "Duplicate value"),
    ("onUnresolved.fallback", [], "Fallback is chosen: onUnresolved.fallback must name the architectures"),
    ("onUnresolved.gateTimeoutSeconds", 0, "greater than or equal to 1"),
    ("onUnresolved.gateTimeoutSeconds", 3601, "less than or equal to 3600"),
    ("onUnresolved.afterGate", "Deny", "Unsupported value"),
    ("onUnresolved.lookupBudgetMilliseconds", 3001, "less than or equal to 3000"),
    ("onUnreadable", "Gate", "Unsupported value"),
    ("onNoCommonArchitecture", "Enforce", "Unsupported value"),
    ("onConflict", "Allow", "Unsupported value"),
    ("onNotAllowed", "Allow", "Unsupported value"),
    ("operatingSystems", [], "at least 1 items"),
    ("operatingSystems", ["linux", "linux"], "Duplicate value"),
    ("operatingSystems", ["Linux"], "should match"),
    ("templates", [{"kinds": ["Deployment"], "when": "Never"}] * 9, "at most 8 items"),
    (
        "templates",
        [{"kinds": ["Deployment"], "when": "Never"}, {"kinds": ["Deployment"], "when": "Reconcile"}],
        "templates names a kind in two rules",
    ),
    ("templates.0.kinds", [], "at least 1 items"),
    ("templates.0.kinds", ["ReplicaSet"], "Unsupported value"),
    ("templates.0.kinds", ["CronJob", "CronJob"], "Duplicate value"),
    ("templates.0.when", "Always", "Unsupported value"),
    ("templates.0.owned", "yes", "must be of type boolean"),
    ("templates.0.maxUnavailableWorkloads", 0, "greater than or equal to 1"),
    ("allowOptOut", "no", "must be of type boolean"),
]
REFUSED_OF_CLUSTERS: list[tuple[str, object, str]] = [
    ("binding", "Strong", "Unsupported value"),
    ("namespaceSelector", [], "must be of type object"),
    ("namespaceSelector.matchLabels", {"team": "-"}, "should match"),
    ("namespaceSelector.matchExpressions", [{"key": "x", "operator": "In"}], "In and NotIn need values"),
    ("namespaceSelector.matchExpressions.0.key", "", "should match"),
    ("namespaceSelector.matchExpressions.0.operator", "Equals", "Unsupported value"),
    ("namespaceSelector.matchExpressions.0.values", ["x" * 64], "may not be more than 63"),
    ("imageOverrides", [WHOLE["imageOverrides"][0]] * 2, "Duplicate value"),
    ("imageOverrides", [{"pattern": f"*{index}", "platforms": ["a/b"]} for index in range(257)], "at most 256 items"),
    ("imageOverrides.0.pattern", "nginx", "begin with the registry"),
    ("imageOverrides.0.pattern", "library/nginx", "begin with the registry"),
    ("imageOverrides.0.pattern", "docker.io", "begin with the registry"),
    ("imageOverrides.0.pattern", "docker.io/a b", "should match"),
    ("imageOverrides.0.platforms", [], "at least 1 items"),
    ("imageOverrides.0.platforms", ["amd64"], "should match"),
    ("imageOverrides.0.platforms", ["linux/arm/v7"], "should match"),
    ("imageOverrides.0.platforms", ["linux/arm64-"], "should match"),
    ("imageOverrides.0.platforms", ["linux/amd64", "linux/amd64"], "Duplicate value"),
    ("imageOverrides.0.reason", "x" * 257, "may not be more than 256"),
    ("tolerations", [WHOLE["tolerations"][0]] * 257, "at most 256 items"),
    ("tolerations.0.architecture", "ARM", "should match"),
    (TOLERATION, "arm64", "must be of type object"),
    (f"{TOLERATION}.key", "a b", "should match"),
    (f"{TOLERATION}.key", "example..com/a", "should match"),
    (f"{TOLERATION}.key", f"{'a' * 254}/a", "at most 253"),
    (f"{TOLERATION}.operator", "Lt", "Unsupported value"),
    (f"{TOLERATION}.operator", "Exists", "with the operator Exists there is no value"),
    (TOLERATION, {"operator": "Equal", "value": "x"}, "a toleration without a key"),
    (f"{TOLERATION}.value", "a b", "should match"),
    (f"{TOLERATION}.effect", "Never", "Unsupported value"),
    (f"{TOLERATION}.effect", "NoSchedule", "tolerationSeconds are for the effect NoExecute"),
    (f"{TOLERATION}.tolerationSeconds", -1, "greater than or equal to 0"),
    ("emulation", [WHOLE["emulation"][0]] * 2, "Duplicate value"),
    ("emulation.0.architecture", "", "should match"),
    ("emulation.0.nodeSelector", {}, "at least 1"),
    ("emulation.0.nodeSelector", {"a b": "x"}, "a label's key"),
    ("emulation.0.nodeSelector", {"example.-com/a": "x"}, "a label's key"),
    ("emulation.0.nodeSelector", {f"{'a' * 254}/a": "x"}, "a label's key"),
    ("runtimeClasses", ["Wasm"], "should match"),
    ("runtimeClasses", ["wasm", "wasm"], "Duplicate value"),
    ("runtimeClasses", [f"r{index}" for index in range(65)], "at most 64 items"),
    ("capacity", "arm64", "must be of type object"),
    ("capacity.assume", ["arm64", "arm64"], "Duplicate value"),
]
"""A field, what it can't be in an otherwise right policy, and what the API server says to that."""


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """A control plane with the definitions."""
    with ControlPlane(kwok=False) as running:
        for name in NAMES:
            running.kubectl("apply", "-f", "-", input=yaml.safe_dump(definitions()[name]))
            running.kubectl("wait", "--for=condition=Established", f"crd/{name}.rightarch.dev", "--timeout=60s")
        yield running


@pytest.fixture(scope="module")
def client(plane: ControlPlane) -> Iterator[httpx.Client]:
    """The administrator's connection."""
    with plane.client() as connected:
        wait_for(lambda: all(connected.get(path).is_success for path in PATHS.values()))
        yield connected


def policy(kind: str, spec: Object, name: str = "a") -> Object:
    """A policy of the cluster or of the namespace default."""
    return {
        "apiVersion": "rightarch.dev/v1alpha1",
        "kind": KINDS[kind],
        "metadata": {"name": name},
        "spec": copy.deepcopy(spec),
    }


def create(client: httpx.Client, kind: str, spec: Object, name: str = "a") -> httpx.Response:
    """Create a policy, without storing it."""
    query = {"dryRun": "All", "fieldValidation": "Strict"}
    return client.post(PATHS[kind], json=policy(kind, spec, name), params=query)


def with_(spec: Object, path: str, value: object) -> Object:
    """A spec with another value at a path, such as share.0.percent."""
    changed = copy.deepcopy(spec)
    *parents, last = path.split(".")
    place: Any = changed
    for step in parents:
        place = place[int(step) if step.isdigit() else step]
    place[int(last) if last.isdigit() else last] = value
    return changed


def fields(schema: Object, path: str = "") -> set[str]:
    """The paths of all fields of a schema; the entries of a list are 0."""
    found = {path} if path else set()
    if "items" in schema:
        found |= fields(schema["items"], f"{path}.0") - {f"{path}.0"}
    for name, each in schema.get("properties", {}).items():
        found |= fields(each, f"{path}.{name}" if path else name)
    return found


def schema(plural: str) -> Object:
    """The schema of a spec."""
    version = definitions()[plural]["spec"]["versions"][0]
    found: Object = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


@pytest.mark.parametrize(("kind", "spec"), [("cap", WHOLE), ("ap", CHOICES), ("cap", PREFERRED), ("ap", PREFERRED)])
def test_what_is_right_is_stored_as_it_was_written(client: httpx.Client, kind: str, spec: Object) -> None:
    """Every field of both kinds, with values that are not the defaults; and Rightarch reads it so."""
    answer = create(client, kind, spec).raise_for_status().json()
    more = {"binding": "Default"} if kind == "cap" else {}
    assert answer["spec"] == DEFAULTS | more | spec
    read = Policy.of(Kind(kind), answer)
    assert read.problem == ""
    assert read.spec is not None
    assert read.spec.model_dump(by_alias=True, mode="json", exclude_unset=True) == answer["spec"]


@pytest.mark.parametrize("kind", ["cap", "ap"])
def test_what_is_left_out_has_its_default(client: httpx.Client, kind: str) -> None:
    """Where everybody can see it."""
    answer = create(client, kind, {}).raise_for_status().json()
    assert answer["spec"] == DEFAULTS | ({"binding": "Default"} if kind == "cap" else {})


def test_every_field_has_a_row_here() -> None:
    """One in which it is refused; preferences are apart, since a share rules them out."""
    rows = {path for path, _, _ in REFUSED + REFUSED_OF_CLUSTERS}
    apart = {f"architectures.preferred.0.{name}" for name in ("architecture", "weight")}
    assert fields(schema("clusterarchitecturepolicies")) - apart == rows
    assert fields(schema("architecturepolicies")) - apart == {path for path, _, _ in REFUSED}


@pytest.mark.parametrize(("path", "value", "problem"), REFUSED + REFUSED_OF_CLUSTERS)
def test_what_is_wrong_is_refused_by_the_api_server(
    client: httpx.Client, path: str, value: object, problem: str
) -> None:
    """With a message that says where and what; and Rightarch would not obey it either, had it slipped through."""
    spec = with_(WHOLE, path, value)
    answer = create(client, "cap", spec)
    assert answer.status_code == 422, answer.text
    assert problem in answer.json()["message"]
    assert path.partition(".")[0] in answer.json()["message"]
    thing = {"metadata": {"name": "a", "uid": "u"}, "spec": spec}
    assert Policy.of(Kind.CLUSTER, thing).problem


@pytest.mark.parametrize(("path", "value", "problem"), REFUSED)
def test_so_it_is_in_a_namespace(client: httpx.Client, path: str, value: object, problem: str) -> None:
    """The choices are the same."""
    answer = create(client, "ap", with_(CHOICES, path, value))
    assert answer.status_code == 422
    assert problem in answer.json()["message"]


@pytest.mark.parametrize(
    ("preferred", "allowed", "problem"),
    [
        ([{"architecture": "arm64", "weight": 0}], [], "greater than or equal to 1"),
        ([{"architecture": "arm64", "weight": 101}], [], "less than or equal to 100"),
        ([{"architecture": "arm64"}], [], "weight: Required value"),
        ([{"architecture": "ARM", "weight": 1}], [], "should match"),
        ([{"architecture": "arm64", "weight": 1}] * 2, [], "Duplicate value"),
        ([{"architecture": "arm64", "weight": 1}], ["amd64"], "preferred names an architecture that is not allowed"),
    ],
)
def test_a_preference_that_is_wrong_is_refused(
    client: httpx.Client, preferred: list[Object], allowed: list[str], problem: str
) -> None:
    """Likewise."""
    spec = {"architectures": {"preferred": preferred, "allowed": allowed}}
    answer = create(client, "cap", spec)
    assert answer.status_code == 422
    assert problem in answer.json()["message"]
    assert Policy.of(Kind.CLUSTER, {"metadata": {"name": "a", "uid": "u"}, "spec": spec}).problem


@pytest.mark.parametrize("kind", ["cap", "ap"])
def test_the_name_ignore_is_taken(client: httpx.Client, kind: str) -> None:
    """By the annotation that opts out; and there is no policy without a spec."""
    assert "a policy can't be called ignore" in create(client, kind, {}, "ignore").json()["message"]
    body = {key: value for key, value in policy(kind, {}).items() if key != "spec"}
    assert "spec: Required value" in client.post(PATHS[kind], json=body).json()["message"]


def test_a_namespace_s_policy_states_no_facts(client: httpx.Client) -> None:
    """Nor for which namespaces it is: these are unknown fields there."""
    for field, value in FACTS.items():
        answer = create(client, "ap", CHOICES | {field: value})
        assert (answer.status_code, f'unknown field \\"spec.{field}\\"' in answer.text) == (400, True), field


def test_the_status_is_written_apart(client: httpx.Client) -> None:
    """Whoever writes the spec can't, and a status makes no new generation."""
    status = {"observedGeneration": 1, "pods": 3, "conditions": []}
    written = client.post(PATHS["cap"], json=policy("cap", {}, "status") | {"status": status}).raise_for_status().json()
    assert "status" not in written
    path, merge = f"{PATHS['cap']}/status", {"Content-Type": "application/merge-patch+json"}
    change = {"status": status, "spec": {"mode": "Off"}}
    changed = client.patch(f"{path}/status", json=change, headers=merge).raise_for_status().json()
    assert (changed["status"], changed["spec"]["mode"]) == (status, "Enforce")
    assert changed["metadata"]["generation"] == written["metadata"]["generation"]
    wrong = {"status": {"conditions": [{"type": "Ready", "status": "Yes"}]}}
    assert client.patch(f"{path}/status", json=wrong, headers=merge).status_code == 422


def test_several_may_apply_overrides_of_their_own(plane: ControlPlane, client: httpx.Client) -> None:
    """Lists are maps and sets to server-side apply."""
    for manager in ("one", "two"):
        entry = {"pattern": f"registry.example.com/{manager}/*", "platforms": ["linux/amd64"]}
        text = yaml.safe_dump(policy("cap", {"imageOverrides": [entry], "runtimeClasses": [manager]}, "shared"))
        plane.kubectl("apply", "--server-side", f"--field-manager={manager}", "-f", "-", input=text)
    spec = client.get(f"{PATHS['cap']}/shared").json()["spec"]
    assert [each["pattern"] for each in spec["imageOverrides"]] == [
        "registry.example.com/one/*",
        "registry.example.com/two/*",
    ]
    assert spec["runtimeClasses"] == ["one", "two"]


def test_kubectl_shows_what_matters(plane: ControlPlane, client: httpx.Client) -> None:
    """By short names and by the category."""
    client.post(PATHS["cap"], json=policy("cap", WHOLE, "shown")).raise_for_status()
    client.post(PATHS["ap"], json=policy("ap", CHOICES, "shown")).raise_for_status()
    try:
        cap, ap = (plane.kubectl("get", kind, "shown").splitlines() for kind in ("cap", "ap"))
        assert cap[0].split() == ["NAME", "MODE", "BINDING", "PRIORITY", "READY", "PODS", "AGE"]
        assert cap[1].split()[:4] == ["shown", "Audit", "Mandatory", "7"]
        assert ap[0].split() == ["NAME", "MODE", "PRIORITY", "READY", "PODS", "AGE"]
        wide = plane.kubectl("get", "cap", "shown", "-o", "wide").splitlines()[0].split()
        assert wide[-2:] == ["CONFLICTED", "MESSAGE"]
        listed = plane.kubectl("get", "rightarch", "-o", "name").split()
        assert {
            f"{singular}.rightarch.dev/shown" for singular in ("architecturepolicy", "clusterarchitecturepolicy")
        } <= {*listed}
    finally:
        plane.kubectl("delete", "cap,ap", "shown")


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("cap", "One policy wins for a pod"),
        ("cap.spec.binding", "Mandatory: before the policies of namespaces."),
        ("cap.spec.onUnresolved.action", "a scheduling gate holds the pod until the image is known"),
        ("cap.spec.imageOverrides.pattern", "A glob on the image's whole name"),
        ("ap.spec.mode", "their spec stays, label and annotation tell what would have been done"),
        ("ap.status.conditions", "Conflicted: whether it lost to another of the same priority by its name alone"),
    ],
)
def test_kubectl_explains(plane: ControlPlane, field: str, said: str) -> None:
    """In the words of the models."""
    with contextlib.suppress(TimeoutError):  # the API server publishes a schema a moment after it has it
        wait_for(lambda: said in explained(plane, field), seconds=30)
    assert said in explained(plane, field)


def explained(plane: ControlPlane, field: str) -> str:
    """What kubectl says of a field; why it says nothing, if it does not know of it."""
    try:
        return " ".join(plane.kubectl("explain", field).split())
    except KubectlError as error:
        return str(error)
