"""DaemonSets on the real control plane: their pods are made on the nodes that their images run on, and on no other."""

from __future__ import annotations

import contextlib
import copy
import time
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.controlplane import wait_for
from tests.images import SAMPLES
from tests.support.controller import NAMESPACE, ControllerServer
from tests.support.helm import Helm
from tests.support.world import NODES, World, workload, world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "rightarch.dev/template"
PATH = f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets"
CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/rightarch-workloads"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
EVERYWHERE = set(NODES)
WRITTEN = "rightarch_templates_written_total"


@pytest.fixture(scope="module")
def made() -> Iterator[World]:
    """A cluster of its own, for its webhook is taken away at times."""
    with world() as running:
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
    """Leave no DaemonSet to the next test, however this one ends."""
    yield
    made.client.delete(PATH).raise_for_status()


def record(item: dict[str, Any]) -> dict[str, Any]:
    """What the annotation says."""
    found: dict[str, Any] = orjson.loads(item["metadata"].get("annotations", {}).get(KEY, "{}"))
    return found


def expressions(item: dict[str, Any]) -> list[Any]:
    """The expressions of all required terms of the template."""
    affinity = item["spec"]["template"]["spec"].get("affinity", {}).get("nodeAffinity", {}).get(REQUIRED, {})
    return [expression for term in affinity.get("nodeSelectorTerms", []) for expression in term["matchExpressions"]]


def arch(*values: str) -> list[dict[str, Any]]:
    """The one expression that is written."""
    return [{"key": "kubernetes.io/arch", "operator": "In", "values": list(values)}]


def places(made: World, name: str, image: str) -> set[str]:
    """The nodes on which pods of this image run."""
    pods = [pod for pod in made.pods(name) if pod["status"]["phase"] == "Running"]
    return {pod["spec"]["nodeName"] for pod in pods if pod["spec"]["containers"][0]["image"] == image}


def lands(made: World, name: str, image: str, nodes: set[str]) -> None:
    """Wait until the DaemonSet controller has done what the template says, everywhere; then look at every pod."""

    def complete() -> bool:
        found = made.get("daemonsets", name)
        status = {"numberAvailable": 0, "updatedNumberScheduled": 0} | found["status"]
        counts = [status[f"{each}Scheduled"] for each in ("desiredNumber", "updatedNumber")]
        seen = status.get("observedGeneration") == found["metadata"]["generation"]
        return seen and [*counts, status["numberAvailable"], len(made.pods(name))] == [len(nodes)] * 4

    try:
        wait_for(lambda: complete() and places(made, name, image) == nodes)
    except TimeoutError:
        assert (places(made, name, image), len(made.pods(name))) == (nodes, len(nodes))


def set_image(made: World, name: str, image: str) -> None:
    """Roll another image out, as people do."""
    made.plane.kubectl("set", "image", f"daemonset/{name}", f"c={image}", f"--namespace={NAMESPACE}")


def events(made: World, name: str, reason: str) -> list[dict[str, Any]]:
    """The Events about a DaemonSet with a reason."""
    items = made.client.get(f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events").raise_for_status().json()["items"]
    return [item for item in items if item["regarding"]["name"] == name and item["reason"] == reason]


@pytest.mark.parametrize(
    ("sample", "architectures", "nodes"),
    [
        ("amd64-only", ["amd64"], {"node-amd64"}),
        ("arm64-only", ["arm64"], {"node-arm64"}),
        ("multi-arch", ["amd64", "arm64"], EVERYWHERE),
    ],
)
@pytest.mark.usefixtures("controller")
def test_pods_are_made_where_their_image_runs(
    made: World, sample: str, architectures: list[str], nodes: set[str]
) -> None:
    """The template says so from the beginning: there is one generation, and no rollout."""
    image = made.image(sample)
    created = made.decided(workload("DaemonSet", f"plain-{sample}", image))
    assert expressions(created) == arch(*architectures)
    assert record(created)["reason"] == "Constrained"
    assert list(created["spec"]["template"]["metadata"]) == ["labels"]
    lands(made, f"plain-{sample}", image, nodes)
    assert made.get("daemonsets", f"plain-{sample}")["metadata"]["generation"] == 1


@pytest.mark.usefixtures("controller")
def test_each_image_replaces_what_was_written_for_the_last(made: World) -> None:
    """From amd64 alone to both and back, each in one rollout."""
    narrow, wide = made.image("amd64-only"), made.image("multi-arch")
    made.warm(wide)
    made.decided(workload("DaemonSet", "rolling", narrow))
    lands(made, "rolling", narrow, {"node-amd64"})
    set_image(made, "rolling", wide)
    lands(made, "rolling", wide, EVERYWHERE)
    set_image(made, "rolling", narrow)
    lands(made, "rolling", narrow, {"node-amd64"})
    assert made.get("daemonsets", "rolling")["metadata"]["generation"] == 3


def test_an_image_that_becomes_readable_late_is_written_late(made: World, controller: ControllerServer) -> None:
    """First the template is as its author wrote it; then it is written once, with an Event; then nothing more."""
    image = f"{made.registry.host}/late/agent:1"
    created = made.decided(workload("DaemonSet", "late", image))
    assert (record(created)["reason"], expressions(created)) == ("ImageNotFound", [])
    lands(made, "late", image, EVERYWHERE)
    waiting = 'rightarch_daemonsets{standing="Waiting"}'
    wait_for(lambda: controller.metrics()[waiting] == 1)
    made.push("late/agent:1", SAMPLES["samples/arm64-only:1.0"])
    wait_for(lambda: record(made.get("daemonsets", "late"))["reason"] == "Constrained")
    lands(made, "late", image, {"node-arm64"})
    assert expressions(made.get("daemonsets", "late")) == arch("arm64")
    (event,) = wait_for(lambda: events(made, "late", "Constrained"))
    assert event["type"] == "Normal"
    assert "its images run on arm64 (linux)" in event["note"]
    time.sleep(2.5)  # lists come by
    assert made.get("daemonsets", "late")["metadata"]["generation"] == 2
    wait_for(lambda: controller.metrics()[waiting] == 0)


@pytest.mark.usefixtures("controller")
@pytest.mark.parametrize("way", ["kubectl", "helm"])
def test_what_is_written_late_is_no_conflict_for_who_applies_it(made: World, tmp_path: Path, way: str) -> None:
    """Its author has an affinity of its own, and applies it by the API server: that works again, and ours stays."""
    name, apply = f"applied-{way}", appliers(made, tmp_path)[way]
    item = workload("DaemonSet", name, f"{made.registry.host}/late/{way}:1")
    own = [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}]
    required = {"nodeSelectorTerms": [{"matchExpressions": own}]}
    item["spec"]["template"]["spec"]["affinity"] = {"nodeAffinity": {REQUIRED: required}}
    apply(item)
    made.push(f"late/{way}:1", SAMPLES["samples/arm64-only:1.0"])
    wait_for(lambda: expressions(made.get("daemonsets", name)) == [*own, *arch("arm64")])
    wait_for(lambda: "rightarch" not in managers(made, name))
    assert made.get("daemonsets", name)["metadata"]["generation"] == 2
    item["metadata"]["labels"] = {"team": "a"}
    apply(item)
    stored = made.get("daemonsets", name)
    assert stored["metadata"]["labels"]["team"] == "a"
    assert expressions(stored) == [*own, *arch("arm64")]
    assert stored["metadata"]["generation"] == 2


def managers(made: World, name: str) -> set[str]:
    """Who owns fields of a DaemonSet but for its status."""
    entries = made.get("daemonsets", name)["metadata"]["managedFields"]
    return {entry["manager"] for entry in entries if "subresource" not in entry}


def appliers(made: World, folder: Path) -> dict[str, Callable[[dict[str, Any]], object]]:
    """The ways by which people have the API server apply a manifest."""
    helm, chart = Helm(folder, made.plane.kubeconfig), folder / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_bytes(orjson.dumps({"apiVersion": "v2", "name": "agent", "version": "1.0.0"}))

    def by_helm(item: dict[str, Any]) -> None:
        (chart / "templates" / "agent.yaml").write_bytes(orjson.dumps(item))
        helm.run("upgrade", "--install", "agent", str(chart), f"--namespace={NAMESPACE}", "--server-side=true")

    return {"kubectl": lambda item: write(made, "apply --server-side", item), "helm": by_helm}


def test_a_template_whose_annotations_leave_no_room_stays_as_it_is(made: World, controller: ControllerServer) -> None:
    """That is said once, and nothing is written or counted."""
    image = f"{made.registry.host}/late/full:1"
    made.decided(workload("DaemonSet", "full", image))
    room = 262_144 - len(KEY) - len(made.get("daemonsets", "full")["metadata"]["annotations"][KEY]) - len("filler")
    made.client.patch(
        f"{PATH}/full",
        headers={"Content-Type": "application/merge-patch+json"},
        json={"metadata": {"annotations": {"filler": "x" * room}}},
    ).raise_for_status()
    before = made.get("daemonsets", "full")["metadata"]["generation"], controller.metrics()[WRITTEN]
    made.push("late/full:1", SAMPLES["samples/arm64-only:1.0"])
    (event,) = wait_for(lambda: events(made, "full", "NoRoom"))
    assert event["type"] == "Warning"
    assert "its images run on arm64 (linux)" in event["note"]
    time.sleep(2.5)  # lists come by
    assert len(events(made, "full", "NoRoom")) == 1
    assert events(made, "full", "Constrained") == []
    assert (made.get("daemonsets", "full")["metadata"]["generation"], controller.metrics()[WRITTEN]) == before


@pytest.mark.usefixtures("controller")
def test_a_registry_that_is_away_is_no_reason_to_change_a_template(made: World) -> None:
    """A change of something else keeps what was decided; a new image waits, and is written when it can be read."""
    first, second = made.push("away/agent:1", SAMPLES["samples/amd64-only:1.0"]), f"{made.registry.host}/away/agent:2"
    made.decided(workload("DaemonSet", "away", first))
    made.push("away/agent:2", SAMPLES["samples/arm64-only:1.0"])
    with made.registry_away():
        made.plane.kubectl("set", "env", "daemonset/away", "LEVEL=debug", f"--namespace={NAMESPACE}")
        kept = made.get("daemonsets", "away")
        assert (record(kept)["reason"], expressions(kept)) == ("Constrained", arch("amd64"))
        set_image(made, "away", second)
        undecided = made.get("daemonsets", "away")
        assert record(undecided)["reason"] in {"Unresolved", "TimedOut"}
        assert expressions(undecided) == arch("amd64")
    wait_for(lambda: expressions(made.get("daemonsets", "away")) == arch("arm64"))
    lands(made, "away", second, {"node-arm64"})


@pytest.mark.usefixtures("controller")
def test_a_manifest_that_is_applied_again_converges(made: World) -> None:
    """It names no affinity: by apply, by server-side apply and by replace, ours is there again afterwards."""
    narrow, wide = made.image("amd64-only"), made.image("multi-arch")
    for image in (narrow, wide):
        made.warm(image)
    manifest = workload("DaemonSet", "applied", narrow)
    for command in ("apply", "apply", "replace", "apply --server-side --force-conflicts"):
        write(made, command, manifest)
        stored = made.get("daemonsets", "applied")
        assert (expressions(stored), record(stored)["reason"]) == (arch("amd64"), "Constrained"), command
        lands(made, "applied", narrow, {"node-amd64"})
    other = copy.deepcopy(manifest)
    other["spec"]["template"]["spec"]["containers"][0]["image"] = wide
    for command in ("apply --server-side --force-conflicts", "replace"):
        write(made, command, other)
        assert expressions(made.get("daemonsets", "applied")) == arch("amd64", "arm64"), command
        lands(made, "applied", wide, EVERYWHERE)


def write(made: World, command: str, item: dict[str, Any]) -> None:
    """Have kubectl write a manifest."""
    made.plane.kubectl(*command.split(), "-f", "-", input=orjson.dumps(item).decode())


@pytest.mark.usefixtures("controller")
def test_other_changes_leave_the_template_as_it_is(made: World) -> None:
    """A label or an annotation rolls nothing out, whatever is known meanwhile."""
    made.decided(workload("DaemonSet", "labelled", made.image("amd64-only")))
    made.plane.kubectl("label", "daemonset/labelled", "team=a", f"--namespace={NAMESPACE}")
    assert made.get("daemonsets", "labelled")["metadata"]["generation"] == 1


@pytest.mark.usefixtures("controller")
def test_what_another_controller_owns_is_never_touched(made: World) -> None:
    """It would write its own template again, and again."""
    item = workload("DaemonSet", "owned", made.image("amd64-only"))
    owner = {"apiVersion": "example.com/v1", "kind": "Agent", "name": "a", "uid": "1", "controller": True}
    item["metadata"]["ownerReferences"] = [owner]
    created = made.client.post(PATH, params={"dryRun": "All"}, json=item).raise_for_status().json()
    assert (expressions(created), record(created)) == ([], {})


def test_a_dry_run_shows_the_same_and_leaves_nothing(made: World, controller: ControllerServer) -> None:
    """The patch is that of the real thing; neither an object nor a fact is stored."""
    assert controller.process.running
    image = made.push("dry/agent:1", SAMPLES["samples/amd64-only:1.0"])
    item = workload("DaemonSet", "dry", image)

    def shown() -> list[Any]:
        return expressions(made.client.post(PATH, params={"dryRun": "All"}, json=item).raise_for_status().json())

    assert wait_for(shown) == arch("amd64")  # at once, unless the registry was too slow for once
    time.sleep(1)
    facts = made.client.get("/apis/rightarch.dev/v1alpha1/imageplatforms").raise_for_status().text
    assert image not in facts


def test_one_that_is_older_than_the_install_is_reported(made: World, controller: ControllerServer) -> None:
    """Its template is left alone, until somebody rolls it out: then it is decided on."""
    image, unseen = made.image("amd64-only"), 'rightarch_daemonsets{standing="Unseen"}'
    with unregistered(made):
        wait_for(lambda: not made.said_of(image))
        made.create(workload("DaemonSet", "older", image))
        lands(made, "older", image, EVERYWHERE)
        (event,) = wait_for(lambda: events(made, "older", "Unseen"))
        assert event["type"] == "Warning"
        assert "its images run on amd64 (linux)" in event["note"]
        wait_for(lambda: controller.metrics()[unseen] == 1)
    made.warm(image)
    assert expressions(made.get("daemonsets", "older")) == []
    made.plane.kubectl("rollout", "restart", "daemonset/older", f"--namespace={NAMESPACE}")
    lands(made, "older", image, {"node-amd64"})
    wait_for(lambda: controller.metrics()[unseen] == 0)
    assert len(events(made, "older", "Unseen")) == 1


@contextlib.contextmanager
def unregistered(made: World) -> Iterator[None]:
    """Have no webhook asked about DaemonSets for the length of a ``with`` block."""
    registration = made.client.get(CONFIGURATION).raise_for_status().json()
    del registration["metadata"]["resourceVersion"], registration["metadata"]["uid"]
    made.client.delete(CONFIGURATION).raise_for_status()
    try:
        yield
    finally:
        made.client.post(CONFIGURATION.rpartition("/")[0], json=registration).raise_for_status()
