"""Policies in bulk: what a thousand of them and 5 000 namespaces cost an admission, beside one policy.

Two clusters, each with a replica of its own, are asked in turn about the same pods, whose images are known.
"""

from __future__ import annotations

import ssl
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from tests.bench.figures import Measure, console, table
from tests.bench.reviews import send_each
from tests.controlplane import ControlPlane, free_port, wait_for
from tests.generate import files
from tests.support.facts import COLLECTION, object_of
from tests.support.webhook import WebhookServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Object = dict[str, Any]

POLICIES = 1_000
NAMESPACES = 5_000
TEAMS = 250
APPS = 40
REQUESTS = 500
CONNECTIONS = 8
ROUNDS = 40
"""Short ones, so that what else the machine does meets both alike."""
ONE, MANY = "one policy", f"{POLICIES} policies, {NAMESPACES} namespaces"
API = "/apis/rightarch.dev/v1alpha1"
MEASURES = (
    Measure("requests/s", ""),
    Measure("p50", "ms", 2),
    Measure("p99", "ms", 2),
    Measure("CPU", "ms of the server per request", 3),
)
IMAGE = f"127.0.0.1:{free_port()}/team/app:1.0"
"""Nobody answers there: what it runs on is known."""


@dataclass(frozen=True)
class Side:
    """A replica, and what it is asked."""

    plane: ControlPlane
    webhook: WebhookServer
    bodies: Sequence[bytes]

    def measure(self, bodies: Sequence[bytes]) -> dict[str, float]:
        """Ask about pods, each once."""
        context = ssl.create_default_context(cafile=self.webhook.ca)
        before = self._cpu()
        sent = send_each(self.webhook.url, context, bodies, len(bodies), CONNECTIONS)
        return sent.figures() | {"CPU": (self._cpu() - before) / len(bodies) * 1000}

    def _cpu(self) -> float:
        return self.webhook.metrics()["process_cpu_seconds_total"]


def main() -> dict[str, Any]:
    """Measure, print, and return the medians."""
    with ExitStack() as stack:
        sides = {
            ONE: _side(stack, [_cluster_policy(0)], ["default"]),
            MANY: _side(stack, list(_policies()), list(_namespaces())),
        }
        for side in sides.values():
            side.measure(side.bodies)
        rounds: dict[str, list[dict[str, float]]] = defaultdict(list)
        for index in range(ROUNDS):
            start = index * REQUESTS % NAMESPACES
            for name, side in sides.items():
                rounds[name].append(side.measure(side.bodies[start : start + REQUESTS]))
        title = f"reviews of {NAMESPACES} different pods: medians of {ROUNDS} rounds, ratio to the first"
        figures: dict[str, Any] = dict(table(title, MEASURES, rounds))
        figures["after a change"] = _after_a_change(sides[MANY])
    return figures


def _after_a_change(side: Side) -> dict[str, float]:
    """The first admissions after a policy has changed pay for what is compiled anew."""
    with side.plane.client() as client:
        path, merge = f"{API}/clusterarchitecturepolicies/p-0", {"Content-Type": "application/merge-patch+json"}
        client.patch(path, json={"spec": {"onConflict": "Deny"}}, headers=merge).raise_for_status()
    found = side.measure(side.bodies)
    console.print(f"the first {NAMESPACES} after a change of one policy: {found['CPU']:.3f} ms of CPU per request")
    return found


def _side(stack: ExitStack, policies: Sequence[Object], namespaces: Sequence[str]) -> Side:
    plane = stack.enter_context(ControlPlane(kwok=False))
    for path, text in files().items():
        if path.parts[0] == "crds":
            plane.kubectl("apply", "-f", "-", input=text)
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=20s")
    for component in ("kube-controller-manager", "kube-scheduler"):
        plane.pause(component)  # only admission is measured, and thousands of namespaces would keep it busy
    _seed(plane, "/api/v1/namespaces", [_namespace(index) for index, _ in enumerate(namespaces) if len(namespaces) > 1])
    _seed(plane, COLLECTION, [object_of(IMAGE, "sha256:" + "1" * 64, ["linux/amd64", "linux/arm64"])])
    for policy in policies:
        policy["metadata"].setdefault("namespace", "")
    _seed(plane, "", policies)
    webhook = stack.enter_context(WebhookServer(plane.kubeconfig))
    bodies = [_review(namespaces[index % len(namespaces)], index) for index in range(NAMESPACES)]
    wait_for(lambda: sum(_counted(webhook)) == len(policies))
    return Side(plane, webhook, bodies)


def _counted(webhook: WebhookServer) -> Iterator[float]:
    return (value for name, value in webhook.metrics().items() if name.startswith("rightarch_policies{"))


def _seed(plane: ControlPlane, path: str, things: Sequence[Object]) -> None:
    """Create objects; those without a path have one by their kind."""

    def create(part: Sequence[Object]) -> None:
        with plane.client() as client:
            for thing in part:
                client.post(path or _path(thing), json=thing).raise_for_status()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(create, [things[start::8] for start in range(8)]))


def _path(policy: Object) -> str:
    namespace = policy["metadata"]["namespace"]
    return f"{API}/namespaces/{namespace}/architecturepolicies" if namespace else f"{API}/clusterarchitecturepolicies"


def _namespaces() -> Iterator[str]:
    return (f"namespace-{index}" for index in range(NAMESPACES))


def _namespace(index: int) -> Object:
    labels = {"team": f"team-{index % TEAMS}", "environment": ("prod", "stage", "test")[index % 3]}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"namespace-{index}", "labels": labels}}


def _policies() -> Iterator[Object]:
    """Half of them of the cluster, with selectors of all kinds; half of them of namespaces."""
    for index in range(POLICIES // 2):
        yield _cluster_policy(index)
        yield {
            "apiVersion": "rightarch.dev/v1alpha1",
            "kind": "ArchitecturePolicy",
            "metadata": {"name": f"p-{index}", "namespace": f"namespace-{index * 7}"},
            "spec": {"podSelector": {"matchLabels": {"app": f"app-{index % APPS}"}}},
        }


def _cluster_policy(index: int) -> Object:
    selectors: tuple[Object, ...] = (
        {"namespaceSelector": {"matchLabels": {"team": f"team-{index % TEAMS}"}}},
        {"podSelector": {"matchLabels": {"app": f"app-{index % APPS}"}}},
        {
            "namespaceSelector": {
                "matchExpressions": [
                    {"key": "team", "operator": "In", "values": [f"team-{(index + n) % TEAMS}" for n in range(5)]},
                    {"key": "environment", "operator": "NotIn", "values": ["test"]},
                ]
            }
        },
        {"podSelector": {"matchExpressions": [{"key": f"example.com/{index}", "operator": "Exists"}]}},
        {"podSelector": {"matchExpressions": [{"key": "batch", "operator": "DoesNotExist"}]}},
    )
    override = {"pattern": f"registry.example.com/legacy-{index}/*", "platforms": ["linux/amd64"]}
    return {
        "apiVersion": "rightarch.dev/v1alpha1",
        "kind": "ClusterArchitecturePolicy",
        "metadata": {"name": f"p-{index}"},
        "spec": {
            "binding": "Mandatory" if index % 7 == 6 else "Default",
            "priority": index % 11,
            "imageOverrides": [override],
        }
        | (selectors[index % len(selectors)] if index else {}),
    }


def _review(namespace: str, index: int) -> bytes:
    """A review of a pod of about 3 KB."""
    container = {
        "name": "app",
        "image": IMAGE,
        "env": [{"name": f"SETTING_{number}", "value": "x" * 40} for number in range(40)],
    }
    labels = {"app": f"app-{index % APPS}", "pod-template-hash": f"{index:010}", "version": f"v{index % 9}"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": f"pod-{index:05}-", "namespace": namespace, "labels": labels},
        "spec": {"containers": [container]},
    }
    request = {
        "uid": f"5b1f3c52-7a38-4b2b-9a0e-{index:012}",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "namespace": namespace,
        "operation": "CREATE",
        "object": pod,
        "dryRun": False,
    }
    return orjson.dumps({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request})


if __name__ == "__main__":
    main()
