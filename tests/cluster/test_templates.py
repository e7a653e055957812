"""Templates of all kinds on the real control plane: written where a policy says so, and rolled few at a time."""

from __future__ import annotations

import copy
import itertools
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import orjson
import pytest

from tests.controlplane import Resources, wait_for
from tests.support.controller import NAMESPACE, ControllerServer
from tests.support.helm import Helm
from tests.support.world import World, cron_job, workload, world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "rightarch.dev/template"
DECISION = "rightarch.dev/decision"
CRON_JOBS = "batch/v1/namespaces/{}/cronjobs"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
POLICIES = "/apis/rightarch.dev/v1alpha1/clusterarchitecturepolicies"
MERGE = {"Content-Type": "application/merge-patch+json"}
ADMITTED = [{"kinds": ["Deployment", "StatefulSet", "CronJob"], "when": "OnAdmission"}]
MAX_ROLLING = 2
VERSIONS = itertools.count()
"""Of the policy: each states the platforms of an image of its own, so that one sees which is obeyed."""
STATED = "s390x"

Object = dict[str, Any]


@pytest.fixture(scope="module")
def made() -> Iterator[World]:
    """A cluster of its own, for its policies are for all namespaces; its webhook knows the images."""
    with world() as running:
        for sample in ("amd64-only", "multi-arch", "armv7-only"):
            running.warm(running.image(sample))
        yield running


@pytest.fixture(scope="module")
def replica(made: World) -> Iterator[ControllerServer]:
    """A controller that lists every second."""
    with ControllerServer(made.plane.kubeconfig, options=["--list-interval=1"]) as running:
        yield running


@pytest.fixture
def controller(replica: ControllerServer) -> ControllerServer:
    """A controller that leads; one that lost its Lease, on a machine that stalls, is restarted as by a kubelet."""
    if not replica.process.running:
        replica.process.start()
        replica.process.wait_ready()
    wait_for(lambda: replica.leads)
    return replica


@pytest.fixture(autouse=True)
def tidied(made: World) -> Iterator[None]:
    """Leave no workload to the next test, however this one ends."""
    yield
    for kinds in ("apps/v1/namespaces/{}/deployments", "apps/v1/namespaces/{}/statefulsets", CRON_JOBS):
        made.client.delete(f"/apis/{kinds.format(NAMESPACE)}").raise_for_status()


@pytest.fixture
def policy(made: World) -> Iterator[Callable[..., None]]:
    """Sets what the one policy of the cluster says of templates; it is gone afterwards."""

    def say(*templates: Object, **choices: object) -> None:
        repository = f"127.0.0.1:9/versions/{next(VERSIONS)}"
        stated = {"pattern": f"{repository}/*", "platforms": [f"linux/{STATED}"]}
        body = {
            "apiVersion": "rightarch.dev/v1alpha1",
            "kind": "ClusterArchitecturePolicy",
            "metadata": {"name": "templates"},
            "spec": {"templates": templates, "imageOverrides": [stated], **choices},
        }
        kubectl(made, "apply", body)
        if choices.get("mode") == "Off":
            wait_for(lambda: architectures(made, made.image("amd64-only")) == "")
        else:
            wait_for(lambda: architectures(made, f"{repository}/app:1") == STATED)

    yield say
    retire(made)


def retire(made: World) -> None:
    """Delete the policy, and wait until the webhook decides without it."""
    path = f"{POLICIES}/templates"
    found = made.client.get(path)
    if found.is_success:
        made.client.delete(path).raise_for_status()
        [stated] = found.json()["spec"]["imageOverrides"]
        wait_for(lambda: architectures(made, stated["pattern"].replace("*", "app:1")) == "")
    wait_for(lambda: architectures(made, made.image("amd64-only")) == "amd64")  # nor by one that left it alone


def architectures(made: World, image: str) -> str:
    """What the webhook decides of a pod that is not really created; nothing where it does not know, or not care."""
    spec = {"containers": [{"name": "c", "image": image}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"}, "spec": spec}
    decision = orjson.loads(notes(create(made, pod, dryRun="All")).get(DECISION, "{}"))
    return ",".join(decision.get("architectures", ()))


def create(made: World, item: Object, **params: str) -> Object:
    """Create an object."""
    response = made.client.post(Resources(made.client).path(item), params=params, json=item)
    stored: Object = response.raise_for_status().json()
    return stored


def kubectl(made: World, command: str, item: Object) -> None:
    """Have kubectl write a manifest."""
    made.plane.kubectl(*command.split(), "-f", "-", input=orjson.dumps(item).decode())


def notes(item: Object) -> Object:
    """Its annotations."""
    found: Object = item["metadata"].get("annotations", {})
    return found


def pod_spec(item: Object) -> Object:
    """The spec of its pods."""
    holder = item["spec"].get("jobTemplate", item)["spec"]
    found: Object = holder["template"]["spec"]
    return found


def expressions(item: Object) -> list[Any]:
    """The expressions of all required terms of the template."""
    required = pod_spec(item).get("affinity", {}).get("nodeAffinity", {}).get(REQUIRED, {})
    return [expression for term in required.get("nodeSelectorTerms", []) for expression in term["matchExpressions"]]


def arch(*values: str) -> list[Object]:
    """The one expression that is written."""
    return [{"key": "kubernetes.io/arch", "operator": "In", "values": list(values)}]


def item_of(kind: str, name: str, image: str) -> Object:
    """A workload of any kind that has no pods."""
    return cron_job(name, image) if kind == "CronJob" else workload(kind, name, image, replicas=0)


def change(made: World, item: Object, spec: Object) -> Object:
    """Change the spec of an object's pods, as people do."""
    template: Object = {"spec": {"template": {"spec": spec}}}
    path = f"{Resources(made.client).path(item)}/{item['metadata']['name']}"
    body = {"spec": {"jobTemplate": template}} if item["kind"] == "CronJob" else template
    found: Object = made.client.patch(path, headers=MERGE, json=body).raise_for_status().json()
    return found


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "CronJob"])
def test_a_new_image_replaces_what_was_written_for_the_last(
    made: World, policy: Callable[..., None], kind: str
) -> None:
    """From amd64 alone to both and back, in the change itself: there is no generation between."""
    policy(*ADMITTED)
    item = item_of(kind, f"follows-{kind.lower()}", made.image("amd64-only"))
    stored = create(made, item)
    assert expressions(stored) == arch("amd64")
    for sample, architectures in (("multi-arch", ["amd64", "arm64"]), ("amd64-only", ["amd64"])):
        changed = change(made, item, {"containers": [{"name": "c", "image": made.image(sample)}]})
        assert expressions(changed) == arch(*architectures), sample
        assert changed["metadata"]["generation"] == stored["metadata"]["generation"] + 1
        stored = changed


def test_without_such_a_policy_only_daemon_sets_are_written(made: World) -> None:
    """The pods of the others are decided when they come."""
    image = made.image("amd64-only")
    for kind in ("Deployment", "StatefulSet", "CronJob"):
        created = create(made, item_of(kind, f"bare-{kind.lower()}", image), dryRun="All")
        assert (expressions(created), notes(created)) == ([], {}), kind
    assert expressions(create(made, workload("DaemonSet", "agent", image), dryRun="All")) == arch("amd64")


def test_what_a_policy_does_not_want_any_more_is_taken_back(made: World, policy: Callable[..., None]) -> None:
    """At the next change of the template; what the user has written stays."""
    policy(*ADMITTED)
    item = item_of("Deployment", "taken-back", made.image("amd64-only"))
    own = [{"key": "disk", "operator": "In", "values": ["ssd"]}]
    required = {"nodeSelectorTerms": [{"matchExpressions": own}]}
    item["spec"]["template"]["spec"]["affinity"] = {"nodeAffinity": {REQUIRED: required}}
    assert expressions(create(made, item)) == [*own, *arch("amd64")]
    policy({"kinds": ["Deployment"], "when": "Never"})
    changed = change(made, item, {"hostname": "h"})
    assert (expressions(changed), KEY in notes(changed)) == (own, False)


def test_a_template_that_opts_out_is_left_alone(made: World, policy: Callable[..., None]) -> None:
    """By the annotation that its pods would have."""
    policy(*ADMITTED)
    item = item_of("Deployment", "opted-out", made.image("amd64-only"))
    item["spec"]["template"]["metadata"]["annotations"] = {"rightarch.dev/policy": "ignore"}
    created = create(made, item, dryRun="All")
    assert (expressions(created), notes(created)) == ([], {})


def test_what_another_controller_owns_is_touched_only_if_a_policy_says_so(
    made: World, policy: Callable[..., None]
) -> None:
    """It may write its own template again, and again."""
    item = item_of("Deployment", "owned", made.image("amd64-only"))
    owner = {"apiVersion": "example.com/v1", "kind": "App", "name": "a", "uid": "1", "controller": True}
    item["metadata"]["ownerReferences"] = [owner]
    policy(*ADMITTED)
    assert expressions(create(made, item, dryRun="All")) == []
    policy(ADMITTED[0] | {"owned": True})
    wait_for(lambda: expressions(create(made, item, dryRun="All")) == arch("amd64"))


@pytest.mark.parametrize("kind", ["Deployment", "CronJob"])
def test_a_manifest_that_is_applied_again_converges(
    made: World, policy: Callable[..., None], tmp_path: Path, kind: str
) -> None:
    """It names no affinity: by each way to apply it ours stays, and nothing rolls.

    The first server-side apply takes over what ``kubectl apply`` owned, ours too, and ours is written again in the same
    request: that counts as a generation, and the template is the same.
    """
    policy(*ADMITTED)
    item = item_of(kind, f"applied-{kind.lower()}", made.image("amd64-only"))
    path = f"{Resources(made.client).path(item)}/{item['metadata']['name']}"
    kubectl(made, "apply", item)
    for command in ("apply", "apply --server-side", "apply --server-side --field-manager=another"):
        kubectl(made, command, item)
        assert expressions(made.client.get(path).raise_for_status().json()) == arch("amd64"), command
    wait_for(lambda: is_seen(made.client.get(path).raise_for_status().json()))
    assert len(replica_sets(made, item)) == (kind == "Deployment")
    made.client.delete(path).raise_for_status()
    by_helm = helm(made, tmp_path)
    for label in ("a", "b"):
        labelled = copy.deepcopy(item)
        labelled["metadata"]["labels"] = {"team": label}
        by_helm(labelled)
        stored = made.client.get(path).raise_for_status().json()
        assert (expressions(stored), stored["metadata"]["generation"]) == (arch("amd64"), 1), label


def is_seen(item: Object) -> bool:
    """Whether the controller of Deployments has done what is due; that of CronJobs has nothing to do."""
    status, metadata = item["status"], item["metadata"]
    return bool(item["kind"] == "CronJob" or status.get("observedGeneration") == metadata["generation"])


def replica_sets(made: World, item: Object) -> list[Object]:
    """Those of a workload: one for each template that it ever had."""
    path, params = (
        f"/apis/apps/v1/namespaces/{NAMESPACE}/replicasets",
        {"labelSelector": f"app={item['metadata']['name']}"},
    )
    items: list[Object] = made.client.get(path, params=params).raise_for_status().json()["items"]
    return items


def helm(made: World, folder: Path) -> Callable[[Object], None]:
    """Installs or upgrades a release of one manifest."""
    runner, chart = Helm(folder, made.plane.kubeconfig), folder / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_bytes(orjson.dumps({"apiVersion": "v2", "name": "app", "version": "1.0.0"}))

    def install(item: Object) -> None:
        (chart / "templates" / "app.yaml").write_bytes(orjson.dumps(item))
        name = item["metadata"]["name"]
        runner.run("upgrade", "--install", name, str(chart), f"--namespace={NAMESPACE}", "--server-side=true")

    return install


class Watcher:
    """Looks all the time how many Deployments are being rolled out.

    Attributes:
        most: how many were at a time.
    """

    def __init__(self, made: World, names: set[str]) -> None:
        self.most = 0
        self._made, self._names = made, names
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            rolling = [each for each in deployments(self._made, self._names) if not complete(each)]
            self.most = max(self.most, len(rolling))
            time.sleep(0.02)


def deployments(made: World, names: set[str]) -> list[Object]:
    """The Deployments of these names."""
    items = made.client.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments").raise_for_status().json()["items"]
    return [item for item in items if item["metadata"]["name"] in names]


def complete(item: Object) -> bool:
    """Whether all pods of a Deployment are of its present template."""
    status = {"updatedReplicas": 0, "availableReplicas": 0, "replicas": 0} | item["status"]
    counts = {status[key] for key in ("updatedReplicas", "availableReplicas", "replicas")}
    return status.get("observedGeneration") == item["metadata"]["generation"] and counts == {item["spec"]["replicas"]}


def events(made: World, reason: str) -> list[Object]:
    """The Events with a reason."""
    items = made.client.get(f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events").raise_for_status().json()["items"]
    return [item for item in items if item["reason"] == reason]


def stand(made: World, names: set[str], image: str, **spec: object) -> None:
    """Create Deployments of two pods, and wait until they are up."""
    for name in sorted(names):
        create(made, workload("Deployment", name, image, replicas=2, **spec))
    wait_for(lambda: all(map(complete, deployments(made, names))))


@pytest.mark.usefixtures("controller")
def test_workloads_that_are_there_already_are_rolled_few_at_a_time(made: World, policy: Callable[..., None]) -> None:
    """As many as the policy says, and all in the end; a DaemonSet too, and a CronJob, which has no rollout."""
    names = {f"there-{index}" for index in range(6)}
    stand(made, names, made.image("multi-arch"))
    create(made, cron_job("there-nightly", made.image("amd64-only")))
    rule = {
        "kinds": ["Deployment", "CronJob"],
        "when": "Reconcile",
        "maxUnavailableWorkloads": MAX_ROLLING,
    }
    with Watcher(made, names) as watcher:
        policy(rule)
        both = arch("amd64", "arm64")
        wait_for(lambda: all(expressions(each) == both for each in deployments(made, names)), seconds=90)
        wait_for(lambda: all(map(complete, deployments(made, names))))
    assert 1 <= watcher.most <= MAX_ROLLING
    path = f"/apis/{CRON_JOBS.format(NAMESPACE)}/there-nightly"
    wait_for(lambda: expressions(made.client.get(path).raise_for_status().json()) == arch("amd64"))
    assert all(each["metadata"]["generation"] == 2 for each in deployments(made, names))


def test_a_rollout_that_does_not_get_done_stops_all_others(
    made: World, policy: Callable[..., None], controller: ControllerServer
) -> None:
    """Its image runs on no node of the cluster: its new pod stays Pending; the others stay as they are, and say why."""
    policy(mode="Off")  # or its pods would not run now
    stand(made, {"stuck"}, made.image("armv7-only"), progressDeadlineSeconds=2)
    policy({"kinds": ["Deployment"], "when": "Reconcile", "maxUnavailableWorkloads": 3})
    wait_for(lambda: expressions(deployments(made, {"stuck"})[0]) == arch("arm"))
    wait_for(lambda: controller.metrics()['rightarch_rollouts{state="stalled"}'] == 1)
    retire(made)
    names = {"behind-0", "behind-1"}
    stand(made, names, made.image("multi-arch"))
    policy({"kinds": ["Deployment"], "when": "Reconcile", "maxUnavailableWorkloads": 3})
    found = wait_for(lambda: events(made, "RolloutStalled"))
    assert {event["regarding"]["name"] for event in found} <= names
    assert "the rollout of Deployment default/stuck does not get done" in found[0]["note"]
    assert all(expressions(each) == [] for each in deployments(made, names))
    change(
        made, workload("Deployment", "stuck", ""), {"containers": [{"name": "c", "image": made.image("multi-arch")}]}
    )
    both = arch("amd64", "arm64")
    wait_for(lambda: all(expressions(each) == both for each in deployments(made, names)))
