"""What the API server sends: it counts, by webhook, the calls that nobody answers, and nobody listens here."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.controlplane import free_port, wait_for
from tests.support.installation import NAMESPACE, Release

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.controlplane import ControlPlane

    Object = dict[str, Any]

PODS = "pods.rightarch.dev"
WORKLOADS = "workloads.rightarch.dev"
LIVE = "live.rightarch.dev"
DRY = {"dryRun": "All"}
COUNT = re.compile(r'^apiserver_admission_webhook_fail_open_count\{name="([^"]+)",type="admit"\} (\S+)$', re.MULTILINE)
CONTAINERS = [{"name": "main", "image": "127.0.0.1:9/app"}]
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "sent-"}, "spec": {"containers": CONTAINERS}}


class Sent:
    """Tells which webhooks the API server calls."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def after(self, method: str, path: str, body: Object, media: str = "application/json") -> list[str]:
        """The webhooks that it calls for a request, which changes nothing."""
        before = self._counts()
        headers = {"Content-Type": media}
        self.client.request(method, path, json=body, params=DRY, headers=headers).raise_for_status()
        now = self._counts()
        return [name for name in now if now[name] != before.get(name)]

    def pod(self, namespace: str = "default", **spec: object) -> list[str]:
        """The webhooks that it calls for a new pod."""
        return self.after("POST", f"/api/v1/namespaces/{namespace}/pods", POD | {"spec": POD["spec"] | spec})  # type: ignore[operator]

    def _counts(self) -> dict[str, float]:
        text = self.client.get("/metrics").raise_for_status().text
        return {name: float(count) for name, count in COUNT.findall(text)}


@pytest.fixture(scope="module")
def sent(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    """The chart registered at an address where nobody listens."""
    release = Release(control_plane, tmp_path_factory.mktemp("registration"))
    release.install({"webhook": {"url": f"https://127.0.0.1:{free_port()}", "excludedNamespaces": ["left-alone"]}})
    try:
        for name in ("left-alone", "daemons"):
            control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            wait_for(functools.partial(_account, control_plane, name))  # without it, pods are refused
        with control_plane.client() as client:
            sent = Sent(client)
            wait_for(lambda: sent.pod() == [PODS])
            yield sent
    finally:
        release.uninstall()


def _account(control_plane: ControlPlane, namespace: str) -> str:
    return control_plane.kubectl("get", "serviceaccount/default", f"--namespace={namespace}", "--ignore-not-found")


def daemon_set(**metadata: object) -> Object:
    """A DaemonSet that makes no pods, which would be sent too."""
    labels = {"app": "agent"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": CONTAINERS, "nodeSelector": {"no": "node"}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "agent", **metadata},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def test_a_new_pod_is_sent_unless_it_has_its_node(sent: Sent) -> None:
    """A pod that is bound can't be placed any more; the empty name is none."""
    assert sent.pod() == [PODS]
    assert sent.pod(nodeName="") == [PODS]
    assert sent.pod(nodeName="amd64-node") == []


def test_a_dead_webhook_refuses_nobody(sent: Sent) -> None:
    """The pod is created as it is, although nobody answers."""
    created = sent.client.post("/api/v1/namespaces/default/pods", json=POD, params=DRY)
    assert created.status_code == 201
    assert "affinity" not in created.json()["spec"]


@pytest.mark.parametrize("namespace", ["left-alone", NAMESPACE, "kube-system"])
def test_pods_of_excluded_namespaces_are_not_sent(sent: Sent, namespace: str) -> None:
    """That of Rightarch itself among them: or it could not start where it does not run."""
    restricted = {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                **CONTAINERS[0],
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    }
    assert sent.pod(namespace, **restricted) == []


def test_daemon_sets_are_sent_when_their_template_is_new(sent: Sent) -> None:
    """Created, or changed there; anything else would roll pods that nobody asked to roll."""
    collection = "/apis/apps/v1/namespaces/daemons/daemonsets"
    assert sent.after("POST", collection, daemon_set()) == [WORKLOADS]
    sent.client.post(collection, json=daemon_set()).raise_for_status()
    merge = "application/merge-patch+json"
    other_image = {"template": {"spec": {"containers": [{"name": "main", "image": "127.0.0.1:9/app:2"}]}}}
    changes: list[tuple[Object, list[str]]] = [
        ({"spec": other_image}, [WORKLOADS]),
        ({"metadata": {"annotations": {"a": "b"}}}, []),
        ({"spec": {"minReadySeconds": 5}}, []),
    ]
    for change, called in changes:
        assert sent.after("PATCH", f"{collection}/agent", change, merge) == called, change


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_workloads_of_other_kinds_are_sent_likewise(sent: Sent, kind: str) -> None:
    """A policy may want their templates written."""
    collection = f"/apis/apps/v1/namespaces/daemons/{kind.lower()}s"
    item = daemon_set() | {"kind": kind}
    item["spec"] |= {"replicas": 0}  # no pods, which would be sent too
    assert sent.after("POST", collection, item) == [WORKLOADS]
    sent.client.post(collection, json=item).raise_for_status()
    merge = "application/merge-patch+json"
    assert sent.after("PATCH", f"{collection}/agent", {"spec": {"minReadySeconds": 5}}, merge) == []


def test_cron_jobs_are_sent_when_the_template_of_their_pods_is_new(sent: Sent) -> None:
    """Not when they are to run at another time."""
    collection = "/apis/batch/v1/namespaces/daemons/cronjobs"
    pod = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "127.0.0.1:9/app:1"}]}}
    item = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly"},
        "spec": {"schedule": "@daily", "jobTemplate": {"spec": {"template": pod}}},
    }
    assert sent.after("POST", collection, item) == [WORKLOADS]
    sent.client.post(collection, json=item).raise_for_status()
    merge = "application/merge-patch+json"
    assert sent.after("PATCH", f"{collection}/nightly", {"spec": {"schedule": "@hourly"}}, merge) == []
    assert sent.after("PATCH", f"{collection}/nightly", {"spec": {"suspend": True}}, merge) == []
    other = {"spec": {"jobTemplate": {"spec": {"template": {"spec": {"priority": None, "hostname": "h"}}}}}}
    assert sent.after("PATCH", f"{collection}/nightly", other, merge) == [WORKLOADS]


def test_replica_sets_are_never_sent(sent: Sent) -> None:
    """A Deployment would not know its own again."""
    item = daemon_set() | {"kind": "ReplicaSet"}
    assert sent.after("POST", "/apis/apps/v1/namespaces/daemons/replicasets", item) == []


def test_a_pod_on_a_node_is_sent_when_it_gets_an_image(sent: Sent) -> None:
    """Controllers, schedulers and kubelets change pods all the time, and nobody should be asked about that."""
    collection, merge = "/api/v1/namespaces/daemons/pods", "application/strategic-merge-patch+json"
    bound = {"metadata": {"name": "bound"}, "spec": {"containers": CONTAINERS, "nodeName": "amd64-node"}}
    sent.client.post(collection, json=POD | bound).raise_for_status()
    other = [{"name": "main", "image": "127.0.0.1:9/app:2"}]
    assert sent.after("PATCH", f"{collection}/bound", {"metadata": {"labels": {"a": "b"}}}, merge) == []
    assert sent.after("PATCH", f"{collection}/bound/status", {"status": {"message": "m"}}, merge) == []
    assert sent.after("PATCH", f"{collection}/bound", {"spec": {"containers": other}}, merge) == [LIVE]
    ephemeral = {"spec": {"ephemeralContainers": [{"name": "e", "image": "127.0.0.1:9/app:3"}]}}
    assert sent.after("PATCH", f"{collection}/bound/ephemeralcontainers", ephemeral, merge) == [LIVE]
    sent.client.delete(f"{collection}/bound", params={"gracePeriodSeconds": 0}).raise_for_status()
