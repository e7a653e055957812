"""Policies as their authors meet them: applied by kubectl, obeyed by every replica, and told of in their status."""

from __future__ import annotations

import base64
import copy
import json
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from rightarch.crds import definitions
from tests.controlplane import wait_for
from tests.support.installation import PATIENT, Installation, Replica
from tests.support.ticks import Ticks

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from tests.controlplane import ControlPlane

    Object = dict[str, Any]

IMAGE = "registry.example.com/policies/app:1"
"""Which nobody looks up: a policy tells what it runs on."""
CAPS = "/apis/rightarch.dev/v1alpha1/clusterarchitecturepolicies"
APS = "/apis/rightarch.dev/v1alpha1/namespaces/{}/architecturepolicies"
CRD = "clusterarchitecturepolicies.rightarch.dev"
CONTROLLERS = "kube-controller-manager"
NAMESPACES = "/api/v1/namespaces"
HEEDED_SECONDS = 60
GIVEN_UP_SECONDS = 4
"""Less than the API server waits for a webhook: what took longer, as the machine stalled, was perhaps seen by none."""
MERGE = {"Content-Type": "application/merge-patch+json"}


class World:
    """An installation with two replicas of the webhook.

    Attributes:
        release: what helm installed.
        plane: the control plane.
        client: the administrator's connection to it.
        webhooks: the replicas.
        controller: the replica that leads.
        warnings: what the API server told whoever created the last pod.
    """

    def __init__(self, plane: ControlPlane, client: httpx.Client, installation: Installation, second: Replica) -> None:
        self.plane, self.client, self.release = plane, client, installation.release
        self.webhooks, self.controller = (installation.webhook, second), installation.controller
        self.warnings: list[str] = []
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # that they are who they say, others test
        self._replicas = httpx.Client(verify=context, trust_env=False, timeout=60)

    def close(self) -> None:
        """Close the connections."""
        self._replicas.close()

    def answers(self, namespace: str = "default", **metadata: object) -> list[Object]:
        """What each replica makes of a pod: the pod, patched as far as its metadata and affinity go."""
        return [self.answer(replica, namespace, metadata) for replica in self.webhooks]

    def architectures(self, namespace: str = "default", **metadata: object) -> set[tuple[str, ...]]:
        """The architectures that the replicas constrain a pod to: one set of them, if they agree."""
        return {_architectures(answer) for answer in self.answers(namespace, **metadata)}

    def pod(self, namespace: str, name: str, *, asks: str | None = None, user: str | None = None) -> Object:
        """Create a pod, for a policy that its annotation asks for, as a user; it is as the API server stored it."""
        annotations = {} if asks is None else {"rightarch.dev/policy": asks}
        headers = {} if user is None else {"Impersonate-User": user}
        body = a_pod(name=name, annotations=annotations)
        path = f"{NAMESPACES}/{namespace}/pods"
        answer, took = self._timed(path, body, headers)
        if took > GIVEN_UP_SECONDS:
            self.client.delete(f"{path}/{name}", params={"gracePeriodSeconds": 0})
            answer, _ = self._timed(path, body, headers)
        self.warnings = [text.split('"')[1] for text in answer.headers.get_list("Warning")]
        return self._told(answer)

    def _timed(self, path: str, body: Object, headers: Mapping[str, str]) -> tuple[httpx.Response, float]:
        """The answer to a request that creates something, and how many seconds it took."""
        begun = time.monotonic()
        return self.client.post(path, json=body, headers=headers), time.monotonic() - begun

    def namespace(self, name: str, **labels: str) -> None:
        """Create a namespace, and wait until pods may be created there: each has an account, which is made for it."""
        metadata = {"name": name, "labels": labels}
        self._told(self.client.post(NAMESPACES, json={"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))
        wait_for(lambda: self.client.get(f"{NAMESPACES}/{name}/serviceaccounts/default").is_success)

    def create(self, path: str, name: str, spec: Object) -> Object:
        """Create a policy."""
        kind = "ClusterArchitecturePolicy" if path == CAPS else "ArchitecturePolicy"
        thing = {"apiVersion": "rightarch.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        return self._told(self.client.post(path, json=thing))

    def change(self, path: str, change: Object) -> Object:
        """Change an object by a merge patch."""
        return self._told(self.client.patch(path, json=change, headers=MERGE))

    def delete(self, path: str) -> None:
        """Delete an object."""
        self._told(self.client.delete(path))

    def status(self, path: str) -> Object:
        """The status of a policy; empty before there is one."""
        found: Object = self._told(self.client.get(path)).get("status", {})
        return found

    def condition(self, path: str, kind: str) -> tuple[str, str] | None:
        """Status and reason of a condition, if it is told of the present generation."""
        thing = self._told(self.client.get(path))
        for each in thing.get("status", {}).get("conditions", ()):
            if each["type"] == kind and each["observedGeneration"] == thing["metadata"]["generation"]:
                return each["status"], each["reason"]
        return None

    @staticmethod
    def _told(answer: httpx.Response) -> Object:
        assert answer.is_success, answer.text
        told: Object = answer.json()
        return told

    def answer(self, replica: Replica, namespace: str, metadata: Object, image: str = IMAGE) -> Object:
        """What a replica makes of a pod."""
        pod = a_pod(image, name="p", **metadata)
        request = {
            "uid": "u",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "operation": "CREATE",
            "namespace": namespace,
            "object": pod,
            "dryRun": True,
        }
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
        url = f"https://127.0.0.1:{replica.port}/mutate/pods"
        response: Object = self._told(self._replicas.post(url, json=review))["response"]
        return response


def a_pod(image: str = IMAGE, **metadata: object) -> Object:
    """A pod of one container."""
    spec = {"containers": [{"name": "c", "image": image}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _architectures(response: Object) -> tuple[str, ...]:
    """The architectures of the requirement in a patch; none where it writes none."""
    patch = json.loads(base64.b64decode(response.get("patch", ""))) if "patch" in response else []
    text = json.dumps([each for each in patch if each["path"].startswith("/spec")])
    return tuple(name for name in ("amd64", "arm64", "s390x") if f'"{name}"' in text)


def override(architecture: str) -> Object:
    """Facts: what the image runs on."""
    return {"imageOverrides": [{"pattern": "registry.example.com/policies/*", "platforms": [f"linux/{architecture}"]}]}


@pytest.fixture(scope="module")
def world(control_plane: ControlPlane) -> Iterator[World]:
    """Rightarch, installed with two replicas of the webhook, as the chart lets them be."""
    with (
        Installation(control_plane, webhook_options=PATIENT, controller_options=["--list-interval=2"]) as installation,
        Replica(installation.release, "webhook", options=PATIENT) as second,
        control_plane.client() as client,
    ):
        made = World(control_plane, client, installation, second)
        yield made
        made.close()


def obeyed(world: World, architectures: tuple[str, ...], namespace: str = "default") -> float:
    """Wait until all replicas constrain a pod to these; returns how many seconds that took, but those of a stall."""
    begun = time.monotonic()
    with Ticks() as ticks:
        while world.architectures(namespace) != {architectures}:
            assert time.monotonic() - begun < HEEDED_SECONDS, world.answers(namespace)
    return ticks.seconds


def test_a_policy_holds_for_the_next_pod_within_a_second_on_every_replica(world: World) -> None:
    """Made, changed and deleted by kubectl; nobody is restarted."""
    manifest = {
        "apiVersion": "rightarch.dev/v1alpha1",
        "kind": "ClusterArchitecturePolicy",
        "metadata": {"name": "quick"},
    }
    took = []
    try:
        for architecture in ("arm64", "amd64", "arm64"):
            world.plane.kubectl("apply", "-f", "-", input=yaml.safe_dump(manifest | {"spec": override(architecture)}))
            took.append(obeyed(world, (architecture,)))
    finally:
        world.plane.kubectl("delete", "cap", "quick", "--ignore-not-found")
    took.append(obeyed(world, ()))
    assert sorted(took)[1] < 1, took  # some may meet a busy machine


def test_a_namespace_that_is_labelled_comes_under_a_policy_within_a_second(world: World) -> None:
    """And leaves it with the label."""
    selector = {"matchLabels": {"example.com/arm": "yes"}}
    world.namespace("labelled")
    world.create(CAPS, "labelled", override("arm64") | {"namespaceSelector": selector})
    took = []
    try:
        obeyed(world, (), "labelled")
        for _ in range(2):
            world.plane.kubectl("label", "namespace", "labelled", "example.com/arm=yes")
            took.append(obeyed(world, ("arm64",), "labelled"))
            world.plane.kubectl("label", "namespace", "labelled", "example.com/arm-")
            took.append(obeyed(world, (), "labelled"))
        assert sorted(took)[1] < 1, took  # some may meet a busy machine
    finally:
        world.delete(f"{CAPS}/labelled")
        world.plane.kubectl("delete", "namespace", "labelled", "--wait=false")


def test_a_pod_is_never_faster_than_its_namespace(world: World) -> None:
    """One that is created right after its namespace comes under that one's policy, whatever a watch has told."""
    selector = {"matchLabels": {"example.com/new": "yes"}}
    names = [f"new-{index}" for index in range(11)]
    world.namespace(names[0], **selector["matchLabels"])
    world.create(CAPS, "new", override("s390x") | {"namespaceSelector": selector})
    try:
        obeyed(world, ("s390x",), names[0])  # the policy is known
        constrained = [_is_constrained_at_once(world, name, selector["matchLabels"], "s390x") for name in names[1:]]
        assert False not in constrained
        assert constrained.count(True) >= 5
    finally:
        world.delete(f"{CAPS}/new")
        world.plane.kubectl("delete", "namespace", *names, "--wait=false", "--ignore-not-found")


def _is_constrained_at_once(world: World, name: str, labels: Object, architecture: str) -> bool | None:
    """Whether a pod is constrained that is created right after its namespace; None if the machine was too busy to tell.

    It needs an account, which the control plane would make a moment later. For longer than a second nothing is read.
    """
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    path, begun = f"{NAMESPACES}/{name}", time.monotonic()
    assert world.client.post(NAMESPACES, json=namespace).is_success
    assert world.client.post(f"{path}/serviceaccounts", json=account).status_code in {201, 409}
    created = world.client.post(f"{path}/pods", json=a_pod(name="p"), params={"dryRun": "All"})
    found = architecture in json.dumps(created.raise_for_status().json()["spec"].get("affinity"))
    return found if found or time.monotonic() - begun < 1 else None


def test_the_status_tells_what_becomes_of_a_policy(world: World) -> None:
    """Ready and Conflicted, of the generation that they are true of; anew as soon as that changes."""
    first, second = f"{CAPS}/conflict-1", f"{CAPS}/conflict-2"
    for path in (first, second):
        world.create(CAPS, path.rpartition("/")[2], {"mode": "Off", "podSelector": {"matchLabels": {"none": "such"}}})
    try:
        wait_for(lambda: world.condition(first, "Ready") == ("True", "Valid"))
        wait_for(lambda: world.condition(second, "Conflicted") == ("True", "EqualPriority"))
        wait_for(lambda: world.condition(first, "Conflicted") == ("False", "Distinct"))
        assert world.status(second)["conditions"][1]["message"].startswith("cap/conflict-1 goes before it")
        world.change(second, {"spec": {"priority": 1}})
        wait_for(lambda: world.condition(second, "Conflicted") == ("False", "Distinct"))
        assert world.status(second)["observedGeneration"] == 2
        wait_for(lambda: "pods" in world.status(second))
        shown = world.plane.kubectl("get", "cap", "conflict-2", "--no-headers").split()
        assert shown[:6] == ["conflict-2", "Off", "Default", "1", "True", "0"]
    finally:
        for path in (first, second):
            world.delete(path)


def test_a_status_that_is_written_is_no_news(world: World) -> None:
    """Neither for the controller, which writes it once, nor for the webhook."""
    path = f"{CAPS}/calm"
    world.create(CAPS, "calm", {"podSelector": {"matchLabels": {"none": "such"}}})
    try:
        wait_for(lambda: world.condition(path, "Ready") and "pods" in world.status(path))
        version = world.client.get(path).json()["metadata"]["resourceVersion"]
        time.sleep(3)  # a count of pods, or two
        assert world.client.get(path).json()["metadata"]["resourceVersion"] == version
    finally:
        world.delete(path)


def test_a_spec_that_slipped_through_counts_as_absent_and_says_so(world: World) -> None:
    """It was stored before its definition had the rule: every replica passes it over, and the status tells why."""
    definition = definitions()["clusterarchitecturepolicies"]
    lenient = copy.deepcopy(definition)
    schema = lenient["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    del schema["x-kubernetes-validations"]
    path, patched = f"{CAPS}/slipped", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{CRD}"
    world.change(patched, {"spec": lenient["spec"]})
    try:
        spec = override("arm64") | {"onUnreadable": "Fallback", "priority": 9}
        wait_for(lambda: _is_taken(world, spec))
        world.create(CAPS, "valid", override("amd64"))
    finally:
        world.change(patched, {"spec": definition["spec"]})
    try:
        obeyed(world, ("amd64",))
        wait_for(lambda: world.condition(path, "Ready") == ("False", "Invalid"))
        [ready] = world.status(path)["conditions"]
        assert ready["message"] == (
            "It counts as absent: spec: Fallback is chosen: onUnresolved.fallback must name the architectures."
        )
        world.change(path, {"spec": {"onUnresolved": {"fallback": ["amd64"]}}})
        obeyed(world, ("arm64",))
        wait_for(lambda: world.condition(path, "Ready") == ("True", "Valid"))
    finally:
        world.delete(path)
        world.delete(f"{CAPS}/valid")


def _is_taken(world: World, spec: Object) -> bool:
    """Whether the API server stores a policy: it takes a moment to know a definition that was changed."""
    thing = {
        "apiVersion": "rightarch.dev/v1alpha1",
        "kind": "ClusterArchitecturePolicy",
        "metadata": {"name": "slipped"},
        "spec": spec,
    }
    return world.client.post(CAPS, json=thing).is_success


def test_where_no_policy_is_for_a_pod_the_mode_is_that_of_the_settings(world: World) -> None:
    """The chart's value is the processes' option."""
    with Replica(world.release, "webhook", options=["--default-mode=Off"]) as replica:
        patch = base64.b64decode(world.answer(replica, "default", {})["patch"]).decode()
    assert '"Skipped"' in patch
    assert "built-in leaves it alone (mode: Off)" in patch


@pytest.mark.parametrize(("milliseconds", "least", "most"), [(100, 0.1, 1.0), (1800, 1.8, 2.8)])
def test_an_admission_waits_as_long_as_its_policy_says(
    world: World, milliseconds: int, least: float, most: float
) -> None:
    """For an image whose registry says nothing; the default is a second."""
    waiting = {"action": "Allow", "lookupBudgetMilliseconds": milliseconds}
    world.create(CAPS, "waiting", override("amd64") | {"onUnresolved": waiting})
    try:
        obeyed(world, ("amd64",))  # it holds
        with socket.create_server(("127.0.0.1", 0)) as silent:
            took = [_waited(world, f"127.0.0.1:{silent.getsockname()[1]}/silent:{tag}") for tag in range(2)]
        assert least <= min(took) < most
    finally:
        world.delete(f"{CAPS}/waiting")


def _waited(world: World, image: str) -> float:
    """How long the answer about a pod takes whose image stays unknown."""
    begun = time.monotonic()
    answer = world.answer(world.webhooks[0], "default", {}, image)
    took = time.monotonic() - begun
    assert '"Unresolved"' in base64.b64decode(answer["patch"]).decode()
    return took


def test_pods_of_a_policy_are_counted(world: World) -> None:
    """Those that have not ended, by their label, every list interval."""
    path = f"{CAPS}/counted"
    world.namespace("counted")
    selector = {"matchLabels": {"kubernetes.io/metadata.name": "counted"}}
    made = world.create(CAPS, "counted", override("amd64") | {"namespaceSelector": selector})
    digits = made["metadata"]["uid"].replace("-", "")[:10]
    try:
        obeyed(world, ("amd64",), "counted")
        for index in range(3):
            pod = world.pod("counted", f"counted-{index}")
            assert pod["metadata"]["labels"]["rightarch.dev/applied-policy"] == f"cap.{digits}"
        wait_for(lambda: world.status(path).get("pods") == 3)
        world.plane.kubectl("delete", "pod", "counted-0", "--namespace=counted", "--grace-period=0", "--force")
        wait_for(lambda: world.status(path).get("pods") == 2)
    finally:
        world.delete(path)
        world.plane.kubectl("delete", "namespace", "counted", "--wait=false")


@pytest.fixture(scope="module")
def namespace(world: World) -> Iterator[str]:
    """A namespace with two policies for it, of which none is Mandatory, and a user who may edit there."""
    name = "opting"
    world.namespace(name)
    world.plane.kubectl("create", "rolebinding", "edit", "--clusterrole=edit", "--user=jane", f"--namespace={name}")
    selector = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    world.create(CAPS, "opting-b", {"namespaceSelector": selector, "mode": "Audit"})
    world.create(CAPS, "elsewhere", {"namespaceSelector": {"matchLabels": {"none": "such"}}})
    world.create(CAPS, "opting-a", override("amd64") | {"namespaceSelector": selector})  # the last that is seen
    obeyed(world, ("amd64",), name)
    yield name
    for policy in ("opting-a", "opting-b", "elsewhere"):
        world.delete(f"{CAPS}/{policy}")
    world.plane.kubectl("delete", "namespace", name, "--wait=false")


class TestOptingOut:
    """What pod authors and administrators of namespaces may do, and what not."""

    def test_a_pod_opts_out(self, world: World, namespace: str) -> None:
        """By its annotation, where the policy lets it."""
        pod = world.pod(namespace, "out", asks="ignore")
        assert "affinity" not in pod["spec"]
        assert pod["metadata"]["labels"]["rightarch.dev/decision"] == "Skipped"
        assert "rightarch.dev/applied-policy" not in pod["metadata"]["labels"]
        assert world.warnings == []

    def test_a_pod_asks_for_another_policy(self, world: World, namespace: str) -> None:
        """One that is for its namespace; what that one does is done."""
        pod = world.pod(namespace, "other", asks="opting-b")
        assert "affinity" not in pod["spec"]  # an audit
        assert world.warnings == []

    @pytest.mark.parametrize("asked", ["elsewhere", "nonsense"])
    def test_a_pod_that_asks_for_a_policy_that_is_not_for_it_is_told(
        self, world: World, namespace: str, asked: str
    ) -> None:
        """The winner stays."""
        pod = world.pod(namespace, f"wrong-{asked}", asks=asked)
        assert "affinity" in pod["spec"]
        [warning] = world.warnings
        assert f"rightarch.dev/policy: {asked} of the pod names no valid policy here: cap/opting-a applies" in warning

    def test_a_namespace_opts_out(self, world: World, namespace: str) -> None:
        """For its pods, within a second; a workload's template likewise."""
        world.plane.kubectl("annotate", "namespace", namespace, "rightarch.dev/policy=ignore")
        try:
            obeyed(world, (), namespace)
        finally:
            world.plane.kubectl("annotate", "namespace", namespace, "rightarch.dev/policy-")
        obeyed(world, ("amd64",), namespace)

    def test_nobody_who_may_edit_a_namespace_gets_out_of_a_mandatory_policy(self, world: World, namespace: str) -> None:
        """Neither by an annotation, nor by labels, nor by a policy: that is for administrators, and ranks lower."""
        selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
        spec = {"namespaceSelector": selector, "binding": "Mandatory", "allowOptOut": False}
        world.create(CAPS, "strict", override("arm64") | spec)
        world.delete(f"{CAPS}/opting-a")
        try:
            obeyed(world, ("arm64",), namespace)
            for asked in ("ignore", "opting-b", "own"):
                pod = world.pod(namespace, f"strict-{asked}", asks=asked, user="jane")
                assert "arm64" in json.dumps(pod["spec"]["affinity"])
                [warning] = world.warnings
                assert warning == (
                    f"rightarch: the annotation rightarch.dev/policy: {asked} of the pod is ignored: cap/strict does "
                    "not allow opting out"
                )
            own = APS.format(namespace)
            manifest = {
                "apiVersion": "rightarch.dev/v1alpha1",
                "kind": "ArchitecturePolicy",
                "metadata": {"name": "own"},
            }
            spec = {"mode": "Off", "priority": 1_000_000}
            refused = world.client.post(own, json=manifest | {"spec": spec}, headers={"Impersonate-User": "jane"})
            assert refused.status_code == 403
            world.create(own, "own", spec)  # as an administrator
            time.sleep(1)
            assert world.architectures(namespace) == {("arm64",)}
            assert world.architectures(namespace, annotations={"rightarch.dev/policy": "own"}) == {("arm64",)}
        finally:
            world.delete(f"{CAPS}/strict")
            world.create(CAPS, "opting-a", override("amd64") | {"namespaceSelector": selector})


BOTH = {"imageOverrides": [{"pattern": "registry.example.com/policies/*", "platforms": ["linux/amd64", "linux/arm64"]}]}
"""Facts: the image leaves a choice."""


@pytest.fixture(scope="class")
def moving(world: World) -> Iterator[str]:
    """A namespace of whose pods 30 in a hundred shall prefer arm64, whose nodes have a taint."""
    name = "moving"
    world.namespace(name)
    taint = {"key": "kubernetes.io/arch", "operator": "Equal", "value": "arm64", "effect": "NoSchedule"}
    spec = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}},
        "architectures": {"share": [{"architecture": "arm64", "percent": 30}]},
        "tolerations": [{"architecture": "arm64", "toleration": taint}],
    }
    world.create(CAPS, name, BOTH | spec)
    obeyed(world, ("amd64", "arm64"), name)
    yield name
    world.delete(f"{CAPS}/{name}")
    world.plane.kubectl("delete", "namespace", name, "--wait=false")


def deployment(replicas: int) -> Object:
    """A workload of pods with the image."""
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": a_pod()["spec"]}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def job(index: int) -> Object:
    """A Job of one pod with the image."""
    pod = a_pod()["spec"] | {"restartPolicy": "Never"}
    spec = {"template": {"metadata": {"labels": {"app": "jobs"}}, "spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": f"job-{index}"}, "spec": spec}


class TestShares:
    """A part of a workload's pods prefers an architecture."""

    def test_of_the_pods_of_a_workload_and_again_after_deletions(self, world: World, moving: str) -> None:
        """Within one pod of its part."""
        self._create(world, f"/apis/apps/v1/namespaces/{moving}/deployments", deployment(20))
        pods = self._pods(world, moving, "web", 20)
        assert 5 <= len(pods["arm64"]) <= 7
        spec = pods["arm64"][0]["spec"]
        [preferred] = spec["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
        assert (preferred["weight"], "arm64" in json.dumps(preferred)) == (100, True)
        assert any(each.get("key") == "kubernetes.io/arch" for each in spec["tolerations"])
        paths = [f"{NAMESPACES}/{moving}/pods/{pod['metadata']['name']}" for pod in pods["arm64"]]
        world.plane.pause(CONTROLLERS)  # or it asks for others before a replica has seen that these are gone
        try:
            for path in paths:
                world.delete(path)
            wait_for(lambda: all(world.client.get(path).status_code == 404 for path in paths))
            time.sleep(1)
        finally:
            world.plane.resume(CONTROLLERS)
        again = self._pods(world, moving, "web", 20, {pod["metadata"]["name"] for pod in pods["arm64"]})
        assert 5 <= len(again["arm64"]) <= 7

    def test_every_replica_counts_what_others_chose(self, world: World, moving: str) -> None:
        """One asked the first; all know that the second is to make the other choice."""
        first = world.pod(moving, "first")
        assert first["metadata"]["labels"]["rightarch.dev/share"] == "others"
        wait_for(lambda: {_share(answer) for answer in world.answers(moving)} == {"arm64"})

    def test_of_jobs_of_one_pod_each(self, world: World, moving: str) -> None:
        """Counted by themselves, all would choose alike."""
        for index in range(10):
            self._create(world, f"/apis/batch/v1/namespaces/{moving}/jobs", job(index))
        assert 2 <= len(self._pods(world, moving, "jobs", 10)["arm64"]) <= 4

    @staticmethod
    def _create(world: World, path: str, thing: Object) -> None:
        answer = world.client.post(path, json=thing)
        assert answer.is_success, answer.text

    @staticmethod
    def _pods(world: World, namespace: str, app: str, count: int, gone: Container[str] = ()) -> dict[str, list[Object]]:
        """The pods of an app by their share choice, once there are so many; pods that Jobs made may have ended."""

        def there() -> list[Object]:
            answer = world.client.get(f"/api/v1/namespaces/{namespace}/pods", params={"labelSelector": f"app={app}"})
            found = answer.raise_for_status().json()["items"]
            return [
                each
                for each in found
                if each["metadata"]["name"] not in gone and not each["metadata"].get("deletionTimestamp")
            ]

        wait_for(lambda: len(there()) == count)
        by_choice: dict[str, list[Object]] = {"arm64": [], "others": []}
        for pod in there():
            by_choice[pod["metadata"]["labels"]["rightarch.dev/share"]].append(pod)
        return by_choice


def _share(response: Object) -> str:
    """The share choice in a patch."""
    operations = json.loads(base64.b64decode(response["patch"]))
    [labels] = [each["value"] for each in operations if each["path"] == "/metadata/labels"]  # the pod has none
    return str(labels["rightarch.dev/share"])


def test_a_refusal_reaches_whoever_creates_the_pod(world: World) -> None:
    """As kubectl shows it: by whom, why, and what to do."""
    world.namespace("denying")
    selector = {"matchLabels": {"kubernetes.io/metadata.name": "denying"}}
    allowed = {"architectures": {"allowed": ["arm64"]}, "onNotAllowed": "Deny"}
    world.create(CAPS, "denying", override("amd64") | {"namespaceSelector": selector} | allowed)
    try:
        wait_for(lambda: all(not answer["allowed"] for answer in world.answers("denying")))
        answer = world.client.post("/api/v1/namespaces/denying/pods", json=a_pod(name="p"))
        assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden")
        assert (
            "denied the request: rightarch: cap/denying refuses it (onNotAllowed: Deny): its images run on amd64 "
            "(linux), and cap/denying allows arm64 alone. Build the images for an allowed architecture"
        ) in answer.json()["message"]
    finally:
        world.delete(f"{CAPS}/denying")
        world.plane.kubectl("delete", "namespace", "denying", "--wait=false")


def test_nothing_was_refused_to_the_processes(world: World) -> None:
    """The chart's rights are enough for all of that."""
    for replica in (*world.webhooks, world.controller):
        assert "forbidden" not in replica.log()
        assert "Traceback" not in replica.log()
