"""What people are told: by ``rightarch explain`` of a real cluster, by Events, and by metrics and their page."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from rightarch.cli import app
from tests.controlplane import fake_node, wait_for
from tests.support.controller import ControllerServer
from tests.support.facts import object_of
from tests.support.metrics import PLAIN, SCRAPE_SECONDS
from tests.support.metrics_page import PAGE
from tests.support.webhook import WebhookServer
from tests.support.world import NAMESPACE, NODES, World, template, workload, world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from typer.testing import Result

DIGEST = "sha256:" + "a" * 64
NOBODY = 9
"""A port on which nobody listens: what is known of a registry's images is known from elsewhere."""
HOUR = 3600
"""Seconds in which a thing is said once."""
FAILED_OPEN = "apiserver_admission_webhook_fail_open_count"
NEXT = "\n" + " " * 15
"""Between the lines of what an explanation tells under one title."""
EVENTS = f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events"


@pytest.fixture(scope="module")
def made() -> Iterator[World]:
    """A cluster with a webhook and two nodes more: one that is tainted, and one that is cordoned."""
    with world() as running:
        tainted, cordoned = fake_node("tainted-amd64", "amd64"), fake_node("cordoned-amd64", "amd64")
        tainted["spec"]["taints"] = [
            *tainted["spec"].get("taints", []),
            {"key": "for", "value": "gpu", "effect": "NoSchedule"},
        ]
        cordoned["spec"]["unschedulable"] = True
        running.plane.apply(tainted, cordoned)
        running.plane.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=60s")
        wait_for(lambda: "not-ready" not in running.plane.kubectl("get", "nodes", "-o", "jsonpath={..taints}"))
        running.warm(running.image("amd64-only"))
        yield running


def explain(made: World, *arguments: str | Path, text: str = "") -> Result:
    """Run the command as the administrator, without any credentials for registries."""
    unset = dict.fromkeys((name for name in os.environ if name.startswith(("RIGHTARCH_", "KUBE"))), None)
    home = {"HOME": str(made.plane.folder), "DOCKER_CONFIG": str(made.plane.folder / "none"), "COLUMNS": "200"}
    command = ["explain", f"--kubeconfig={made.plane.kubeconfig}", *map(str, arguments)]
    return CliRunner().invoke(app, command, input=text, env={**unset, **home})


def explained(made: World, *arguments: str | Path, text: str = "") -> dict[str, Any]:
    """The one workload that is explained, as JSON."""
    done = explain(made, "-o", "json", *arguments, text=text)
    assert done.stderr == ""
    (found,) = json.loads(done.stdout)["workloads"]
    assert isinstance(found, dict)
    return found


def test_knowledge_policy_and_nodes_of_the_cluster(made: World) -> None:
    """What the cluster knows is not asked for again; which of its nodes could run it is what the scheduler finds."""
    image = f"127.0.0.1:{NOBODY}/known/app:1"
    made.plane.apply(object_of(image, DIGEST, ["linux/amd64"]))
    policy = {"apiVersion": "rightarch.dev/v1alpha1", "kind": "ArchitecturePolicy", "metadata": {"name": "told"}}
    made.plane.apply(policy | {"spec": {"podSelector": {"matchLabels": {"app": "told"}}, "mode": "Audit"}})
    made.create(workload("Deployment", "told", image, replicas=0))
    found = explained(made, "deployment/told")
    assert (found["policy"]["name"], found["policy"]["mode"]) == ("ap/default/told", "Audit")
    (told,) = found["images"]
    assert (told["platforms"], told["digest"]) == (["linux/amd64"], DIGEST)
    assert (told["source"]["kind"], len(told["source"]["name"])) == ("ImagePlatforms", 40)
    assert (found["decision"]["reason"], found["decision"]["audit"]) == ("Constrained", True)
    assert not any(operation["path"].startswith("/spec") for operation in found["patch"])
    everywhere = {node["name"]: node["fits"] for node in found["nodes"]}
    assert everywhere == {"node-amd64": True, "node-arm64": True, "tainted-amd64": False, "cordoned-amd64": False}


def test_which_nodes_could_run_it_is_what_the_scheduler_finds(made: World) -> None:
    """With the constraint that is written, taints, cordons and the pod's own labels; why not is told of each other."""
    image = made.image("amd64-only")
    spec = template("fits", image)["spec"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "fits", "namespace": NAMESPACE}, "spec": spec}
    found = explained(made, "-f", "-", text=json.dumps(pod))
    nodes = {node["name"]: node["obstacles"] for node in found["nodes"]}
    assert nodes == {
        "node-amd64": [],
        "node-arm64": ["has kubernetes.io/arch=arm64, not kubernetes.io/arch In [amd64]"],
        "tainted-amd64": ["has the taint for=gpu:NoSchedule"],
        "cordoned-amd64": ["is cordoned"],
    }
    made.create(pod)
    stored = wait_for(lambda: _bound(made, "fits"))
    assert stored["spec"]["nodeName"] == "node-amd64"
    again = explained(made, "fits")
    assert (again["decision"]["reason"], again["kind"]) == ("Constrained", "Pod")
    assert again["patch"] == []  # it is as it would be today
    shown = explain(made, "pod/fits").stdout
    assert "Recorded:    Constrained: its images run on amd64 (linux), when it was created" in shown
    assert "it is bound to the node node-amd64" in shown
    assert "Nodes:       1 of 4 could run it, by labels and taints: node-amd64" in shown
    assert "tainted-amd64 has the taint for=gpu:NoSchedule" in shown


def test_the_lines_that_let_pods_on_to_the_nodes_of_an_architecture(
    made: World, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Are told where its taint alone keeps them out; with a policy that has them, nothing does."""
    node, image = fake_node("tainted-s390x", "s390x"), f"127.0.0.1:{NOBODY}/both/app:1"
    taint = {"key": "kubernetes.io/arch", "value": "s390x", "effect": "NoSchedule"}
    node["spec"]["taints"] = [*node["spec"].get("taints", []), taint]
    made.plane.apply(node, object_of(image, DIGEST, ["linux/amd64", "linux/s390x"]))
    request.addfinalizer(partial(made.plane.kubectl, "delete", "node", "tainted-s390x"))
    wait_for(lambda: is_ready(made, "tainted-s390x"))
    asked = ("-f", "-")
    text = json.dumps(workload("Deployment", "both", image))
    found, shown = explained(made, *asked, text=text), explain(made, *asked, text=text).stdout
    policy = {"apiVersion": "rightarch.dev/v1alpha1", "kind": "ClusterArchitecturePolicy", "metadata": {"name": "let"}}
    toleration = {"key": "kubernetes.io/arch", "operator": "Equal", "value": "s390x", "effect": "NoSchedule"}
    cause = "the nearest s390x Node has the taint kubernetes.io/arch=s390x:NoSchedule, which the pod does not tolerate"
    assert found["keptOut"] == [{"architecture": "s390x", "cause": cause, "tolerations": [toleration]}]
    (lines,) = found["policyLines"]
    advice = [f"of s390x: {cause}", "add to the spec of a ClusterArchitecturePolicy:", *lines.splitlines()]
    assert f"  Kept out:    {NEXT.join(advice)}\n  Patch:" in shown
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(policy | {"spec": yaml.safe_load(lines)}))
    let = explained(made, *asked, "--policy", file, text=text)
    assert (let["keptOut"], let["policyLines"]) == ([], [])
    assert "Kept out" not in explain(made, *asked, "--policy", file, text=text).stdout


def is_ready(made: World, node: str) -> bool:
    """Whether nothing but its own taint keeps pods from a node."""
    taints = made.client.get(f"/api/v1/nodes/{node}").raise_for_status().json()["spec"].get("taints", [])
    return not any("not-ready" in taint["key"] for taint in taints)


def _bound(made: World, name: str) -> Any:  # noqa: ANN401 - JSON
    """A pod that has its node; None as long as it has none."""
    pod = made.client.get(f"/api/v1/namespaces/{NAMESPACE}/pods/{name}").raise_for_status().json()
    return pod if pod["spec"].get("nodeName") else None


def test_a_policy_is_tried_in_place_of_the_one_that_is_there(made: World, tmp_path: Path) -> None:
    """And nothing of it is in the cluster afterwards."""
    policy = {"apiVersion": "rightarch.dev/v1alpha1", "kind": "ClusterArchitecturePolicy", "metadata": {"name": "try"}}
    selector = {"podSelector": {"matchLabels": {"app": "tried"}}}
    made.plane.apply(policy | {"spec": selector})
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(policy | {"spec": selector | {"architectures": {"allowed": ["arm64"]}}}))
    text = json.dumps(workload("Deployment", "tried", made.image("amd64-only")))
    assert explained(made, "-f", "-", text=text)["decision"]["reason"] == "Constrained"
    tried = explained(made, "-f", "-", "--policy", file, text=text)
    assert (tried["policy"]["name"], tried["decision"]["reason"]) == ("cap/try", "NotAllowed")
    stored = made.client.get("/apis/rightarch.dev/v1alpha1/clusterarchitecturepolicies/try").raise_for_status().json()
    assert "allowed" not in json.dumps(stored["spec"])


def test_what_is_not_there_or_not_to_be_read(made: World, tmp_path: Path) -> None:
    """Is said in the API server's words, with status 1; a cluster that is away likewise."""
    done = explain(made, "deployment/nobody", "-n", "shop")
    assert (done.exit_code, done.stdout) == (1, "")
    assert 'deployment/nobody in namespace shop: deployments.apps "nobody" not found' in done.stderr
    away = tmp_path / "away"
    away.write_text(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{NOBODY}", made.plane.kubeconfig.read_text()))
    done = explain(made, f"--kubeconfig={away}", "web")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "the API server can't be reached" in done.stderr
    done = explain(made, "--context=other", "web")
    assert (done.exit_code, "the context is 'other', which is not among its contexts" in done.stderr) == (2, True)


def test_whoever_may_see_little_is_told_what_is_left_out(made: World, tmp_path: Path) -> None:
    """Policies, nodes and what is known of images; what can be decided without them is decided."""
    made.create(workload("Deployment", "seen", made.image("amd64-only"), replicas=0))
    made.plane.kubectl("create", "serviceaccount", "reader")
    made.plane.kubectl("create", "rolebinding", "reader", "--clusterrole=view", "--serviceaccount=default:reader")
    config = yaml.safe_load(made.plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": made.plane.kubectl("create", "token", "reader").strip()}
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(config))
    asked = (f"--kubeconfig={file}", "deployment/seen", "-o", "json")
    done = wait_for(lambda: _allowed(made, *asked))
    assert done
    (found,) = json.loads(done.stdout)["workloads"]
    assert (found["decision"]["reason"], found["nodes"]) == ("Constrained", None)
    assert found["images"][0]["source"]["kind"] == "registry"
    said = [line.partition(":")[2].partition(",")[0].strip() for line in done.stderr.splitlines()]
    assert said == [
        "objects of kind ClusterArchitecturePolicy can't be read",
        "objects of kind ArchitecturePolicy can't be read",
        "Nodes can't be read",
        "NodePools can't be read",
        "NodeClaims can't be read",
        "ImagePlatforms can't be read",
    ]


def _allowed(made: World, *arguments: str) -> Result | None:
    """What the command says, once the API server knows of the right to ask: that takes a moment."""
    done = explain(made, *arguments)
    return None if done.exit_code else done


def events(made: World, name: str) -> list[dict[str, Any]]:
    """The Events of ours about an object of a name."""
    items = made.client.get(EVENTS).raise_for_status().json()["items"]
    ours = [item for item in items if item["reportingController"].startswith("rightarch.dev")]
    return [item for item in ours if item["regarding"]["name"] == name]


def test_an_event_for_an_owner_and_not_for_each_pod(made: World) -> None:
    """Of a Deployment's three pods one, at the Deployment, with the words of the warning; a later pod brings none.

    In an hour, that is: at its end another is due.
    """
    made.create(workload("Deployment", "apart", made.image("amd64-only"), replicas=3))
    wait_for(lambda: len(made.pods("apart")) == 3)
    assert events(made, "apart") == []
    hour = int(time.time()) // HOUR
    spec = {"nodeSelector": {"kubernetes.io/arch": "arm64"}}
    item = workload("Deployment", "against", made.image("amd64-only"), replicas=3)
    item["spec"]["template"]["spec"] |= spec
    made.create(item)
    wait_for(lambda: len(made.pods("against")) == 3)
    event, *_ = wait_for(lambda: events(made, "against"))
    assert (event["reason"], event["type"], event["action"]) == ("ConflictingConstraint", "Warning", "Admit")
    assert event["regarding"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "namespace": NAMESPACE,
        "name": "against",
    }
    assert "its images run on amd64 (linux), and its own constraints admit none" in event["note"]
    made.plane.kubectl("scale", "deployment/against", "--replicas=5", f"--namespace={NAMESPACE}")
    wait_for(lambda: len(made.pods("against")) == 5)
    time.sleep(0.3)  # in which another would be written
    assert len(events(made, "against")) <= 1 + int(time.time()) // HOUR - hour
    shown = made.plane.kubectl("events", "--for=deployment/against", f"--namespace={NAMESPACE}")
    assert "ConflictingConstraint" in shown


def test_replicas_agree(made: World) -> None:
    """Another replica says nothing again: the Event is there by its name, of which the hour is a part."""
    with WebhookServer(made.plane.kubeconfig) as other:
        wait_for(lambda: _in_one_hour(made, other))


def _in_one_hour(made: World, other: WebhookServer) -> bool:
    """Have both replicas say the same; whether that was in the same hour: then the second one finds it said."""
    hour, before = int(time.time()) // HOUR, _told(other)
    owner = f"agree-{hour}"
    _ask(made.webhook, _owned(owner, made.image("amd64-only")))
    wait_for(lambda: events(made, owner))
    _ask(other, _owned(owner, made.image("amd64-only")))
    wait_for(partial(_has_changed, other, before))
    if int(time.time()) // HOUR != hour:
        return False
    assert _told(other) == before | {"Told": before["Told"] + 1}
    assert len(events(made, owner)) == 1
    return True


def _owned(owner: str, image: str) -> dict[str, Any]:
    """A pod of a StatefulSet that no node can run."""
    pod = template("agree", image, nodeSelector={"kubernetes.io/arch": "arm64"})
    reference = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": owner, "uid": "1", "controller": True}
    pod["metadata"] |= {"name": f"{owner}-0", "namespace": NAMESPACE, "ownerReferences": [reference]}
    return {"apiVersion": "v1", "kind": "Pod", **pod}


def _ask(webhook: WebhookServer, pod: dict[str, Any]) -> None:
    """Have a webhook decide on a pod, once its image is known there."""
    review = {"uid": "1", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "operation": "CREATE"}
    review |= {"namespace": NAMESPACE, "object": pod}
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": review}
    dry = {**body, "request": {**review, "dryRun": True}}
    with httpx.Client(verify=ssl.create_default_context(cafile=webhook.ca), trust_env=False, timeout=30) as client:
        wait_for(lambda: "ConflictingConstraint" in client.post(webhook.url, json=dry).raise_for_status().text)
        client.post(webhook.url, json=body).raise_for_status()


def _has_changed(webhook: WebhookServer, before: dict[str, float]) -> bool:
    return _told(webhook) != before


def _told(webhook: WebhookServer) -> dict[str, float]:
    """What became of a webhook's Events."""
    metrics = webhook.metrics()
    return {
        word: metrics[f'rightarch_events_total{{outcome="{word}"}}']
        for word in ("Written", "Told", "Dropped", "Failed")
    }


def test_nobody_waits_for_an_event(made: World) -> None:
    """The pod is there while the API server still asks somebody else about its Event; a dry run has none at all."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as hanging, slow_events(made, hanging):
        spec = template("waits", made.image("amd64-only"), nodeSelector={"kubernetes.io/arch": "arm64"})["spec"]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "dry", "namespace": NAMESPACE}, "spec": spec}
        path = f"/api/v1/namespaces/{NAMESPACE}/pods"
        dry = made.client.post(path, params={"dryRun": "All"}, json=pod).raise_for_status()
        assert "ConflictingConstraint" in dry.headers["warning"]
        made.create(pod | {"metadata": {"name": "waits", "namespace": NAMESPACE}})
        assert events(made, "waits") == []
        wait_for(lambda: is_let_go(hanging))
        wait_for(lambda: events(made, "waits"))
    assert events(made, "dry") == []


@contextlib.contextmanager
def slow_events(made: World, hanging: socket.socket) -> Iterator[None]:
    """Have the API server ask about each Event of ours at a port where nobody answers, as long as it can."""
    webhook = {
        "name": "slow.example.com",
        "clientConfig": {"url": f"https://127.0.0.1:{hanging.getsockname()[1]}/"},
        "rules": [
            {"operations": ["CREATE"], "apiGroups": ["events.k8s.io"], "apiVersions": ["v1"], "resources": ["events"]}
        ],
        "matchConditions": [{"name": "ours", "expression": "object.reportingController.startsWith('rightarch.dev')"}],
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "timeoutSeconds": 14,  # a second less than the one waits who writes an Event
    }
    kind = "ValidatingWebhookConfiguration"
    slow = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "slow"}}
    made.plane.apply(slow | {"webhooks": [webhook]})
    hanging.settimeout(0.1)
    try:
        wait_for(lambda: asks_about_events(made, hanging))
        yield
    finally:
        made.plane.kubectl("delete", kind.lower(), "slow")


def asks_about_events(made: World, hanging: socket.socket) -> bool:
    """Whether an Event that is not really created is asked about: the API server takes a moment to know of that."""
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "probe", "namespace": NAMESPACE},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "rightarch.dev/probe",
        "reportingInstance": "probe",
        "action": "Probe",
        "reason": "Probe",
        "regarding": {"apiVersion": "v1", "kind": "Pod", "name": "probe", "namespace": NAMESPACE},
        "type": "Normal",
    }
    with ThreadPoolExecutor(1) as pool:
        creating = pool.submit(made.client.post, EVENTS, params={"dryRun": "All"}, json=event)
        while not creating.done():
            if is_let_go(hanging):
                return True
    creating.result().raise_for_status()
    return False


def is_let_go(hanging: socket.socket) -> bool:
    """Whether somebody was waiting for an answer, who then goes on without one."""
    try:
        asking, _ = hanging.accept()
    except TimeoutError:
        return False
    asking.close()
    return True


def test_the_page_of_metrics_names_what_is_served(made: World) -> None:
    """By both processes, with their types and labels, and nothing else."""
    text = PAGE.read_text()
    both, webhook, controller = (_documented(part) for part in re.split(r"^## ", text, flags=re.MULTILINE)[2:])
    assert _served(made.webhook.health) == both | webhook
    rotation = "rightarch_certificate_"  # which is nobody's here
    wanted = {name: kind for name, kind in (both | controller).items() if not name.startswith(rotation)}
    with ControllerServer(made.plane.kubeconfig) as running:
        wait_for(lambda: running.leads)
        with contextlib.suppress(TimeoutError):  # a leader's own may come a moment later
            wait_for(lambda: _served(running.health) == wanted, seconds=20)
        assert _served(running.health) == wanted


def test_alerts_are_about_metrics_that_there_are(made: World) -> None:
    """Ours are on the page, and those of the API server are served by it: a dead webhook reports nothing itself."""
    text = PAGE.read_text()
    (rules,) = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    expressions = [rule["expr"] for group in yaml.safe_load(rules)["groups"] for rule in group["rules"]]
    named = {name for each in expressions for name in re.findall(r"(?:rightarch|apiserver)_\w+", each)}
    theirs = set(re.findall(r"^(apiserver_admission\w+)", made.client.get("/metrics").text, re.MULTILINE))
    ours = set(_documented(text))
    assert len(expressions) == 7
    assert {name for name in named if name.startswith("rightarch_")} <= ours
    # counted from the first failure on
    assert {name for name in named if name.startswith("apiserver_")} - theirs <= {FAILED_OPEN}


def _documented(part: str) -> dict[str, str]:
    """The metrics of a part of the page, with their types."""
    rows = re.findall(r"^\| `(rightarch_\w+)` \| (\w+) \|", part, re.MULTILINE)
    return dict(rows)


def _served(health: str) -> dict[str, str]:
    """The metrics that a process serves, with their types."""
    text = httpx.get(f"{health}/metrics", trust_env=False, verify=PLAIN, timeout=SCRAPE_SECONDS).raise_for_status().text
    found = re.findall(r"^# TYPE (rightarch_\w+) (\w+)$", text, re.MULTILINE)
    return {name: "info" if name.endswith("_info") else kind for name, kind in found if not name.endswith("_created")}


def test_counts_by_policy_registry_and_verb(made: World) -> None:
    """Policies by name, a registry that had an image by its host, and the API server's own verbs."""
    _ask(made.webhook, _owned("counted", made.image("amd64-only")))
    wait_for(lambda: events(made, "counted"))  # which was created
    metrics = made.webhook.metrics()
    assert metrics['rightarch_decisions_total{policy="built-in",reason="ConflictingConstraint"}'] >= 1
    assert metrics[f'rightarch_registry_lookups_total{{outcome="Found",registry="{made.registry.host}"}}'] >= 1
    wait_for(lambda: made.webhook.metrics()['rightarch_api_requests_total{status="2xx",verb="create"}'] >= 1)
    assert not any(node in name for name in metrics for node in NODES)
