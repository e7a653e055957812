"""The controller on the real control plane: who leads, what is known before pods come, who is counted."""

from __future__ import annotations

import base64
import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.controlplane import wait_for
from tests.images import SAMPLES, attested, single
from tests.support.controller import LEASE, NAMESPACE, ControllerServer
from tests.support.ticks import Ticks
from tests.support.world import World, cron_job, workload, world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LABEL = "rightarch.dev/decision"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"


@pytest.fixture(scope="module")
def made() -> Iterator[World]:
    """A cluster of its own, for its API server is restarted."""
    with world() as running:
        yield running


@pytest.fixture
def controller(made: World) -> Iterator[ControllerServer]:
    """A controller that leads, and lists every second."""
    with ControllerServer(made.plane.kubeconfig, options=["--list-interval=1"]) as running:
        wait_for(lambda: running.leads)
        yield running


def job_from(made: World, name: str) -> None:
    """Start a run of a CronJob by hand."""
    made.plane.kubectl("create", "job", f"{name}-by-hand", f"--from=cronjob/{name}", f"--namespace={NAMESPACE}")


def decisions(made: World, app: str, count: int) -> list[str]:
    """The Reasons that the pods of an app carry, once there are so many."""
    pods = wait_for(lambda: found if len(found := made.pods(app)) >= count else None)
    assert pods is not None
    return [pod["metadata"]["labels"].get(LABEL) for pod in pods]


def test_the_first_job_of_a_cron_job_needs_no_look_up(made: World, controller: ControllerServer) -> None:
    """Its image was looked up when the CronJob appeared, by the controller: in admission it is known."""
    reference = made.push("prefetch/report:1", single("linux/arm64", "report"))
    before = made.lookups()
    made.create(cron_job("report", reference))
    made.known(controller, reference)
    made.registry.forget()
    job_from(made, "report")
    assert decisions(made, "report", 1) == ["Constrained"]
    assert made.lookups() == before
    assert made.registry.requests() == []


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_workload_that_is_scaled_later_needs_no_look_up(made: World, controller: ControllerServer, kind: str) -> None:
    """Neither for its first pod nor for the others."""
    name = f"later-{kind.lower()}"
    reference = made.push(f"prefetch/{name}:1", attested("linux/amd64", "linux/arm64", salt=name))
    before = made.lookups()
    made.create(workload(kind, name, reference, replicas=0, **({"serviceName": name} if kind == "StatefulSet" else {})))
    made.known(controller, reference)
    made.registry.forget()
    made.plane.kubectl("scale", kind.lower(), name, "--replicas=3", f"--namespace={NAMESPACE}")
    assert decisions(made, name, 3) == ["Constrained"] * 3
    assert made.lookups() == before
    assert made.registry.requests() == []


def test_the_next_image_of_a_workload_is_looked_up_too(made: World, controller: ControllerServer) -> None:
    """As soon as the template changes."""
    first = made.push("prefetch/rolling:1", single("linux/amd64", "rolling-1"))
    second = made.push("prefetch/rolling:2", single("linux/arm64", "rolling-2"))
    made.create(workload("Deployment", "rolling", first, replicas=0))
    made.known(controller, first)
    made.plane.kubectl("set", "image", "deployment/rolling", f"c={second}", f"--namespace={NAMESPACE}")
    made.known(controller, second)


def test_a_registry_that_is_away_is_asked_again(made: World, controller: ControllerServer) -> None:
    """With growing pauses, until it is back."""
    reference = made.push("prefetch/patience:1", single("linux/amd64", "patience"))
    with made.registry_away():
        made.create(workload("Deployment", "patience", reference, replicas=0))
        again = 'rightarch_queue_attempts_total{outcome="again"}'
        wait_for(lambda: controller.metrics()[again] >= 1)
    made.known(controller, reference)


def test_an_image_that_is_pushed_later_is_found_by_the_next_list(made: World, controller: ControllerServer) -> None:
    """What is not there is no reason to ask again at once; the lists do."""
    reference = f"{made.registry.host}/prefetch/tomorrow:1"
    absent = 'rightarch_lookups_total{outcome="ImageNotFound"}'
    before = controller.metrics()[absent]
    made.create(workload("Deployment", "tomorrow", reference, replicas=0))
    wait_for(lambda: controller.metrics()[absent] > before)
    made.push("prefetch/tomorrow:1", SAMPLES["samples/amd64-only:1.0"])
    made.known(controller, reference)


def test_unseen_and_misplaced_pods_are_counted(made: World, controller: ControllerServer) -> None:
    """A pod that names its node passes no webhook: it counts as unseen, and as misplaced where its image won't run."""

    def counts() -> tuple[float, float]:
        metrics = controller.metrics()
        return metrics.get("rightarch_unseen_pods", -1), metrics.get("rightarch_misplaced_pods", -1)

    wait_for(lambda: counts() == (0, 0))
    made.plane.kubectl("create", "namespace", "shop")
    wait_for(lambda: made.client.get("/api/v1/namespaces/shop/serviceaccounts/default").is_success)
    try:
        for namespace in ("kube-system", NAMESPACE, "shop"):  # the first two pass no webhook, whatever is in them
            place(made, namespace)
        wait_for(lambda: counts() == (3, 1))
        made.plane.kubectl("delete", "pod", *PLACED, "--now", "--namespace=shop")
        wait_for(lambda: counts() == (0, 0))
    finally:
        for namespace in ("kube-system", NAMESPACE, "shop"):
            made.plane.kubectl("delete", "pod", *PLACED, "--now", "--ignore-not-found", f"--namespace={namespace}")


PLACED = {
    "placed-0": ("node-amd64", "amd64-only"),
    "placed-1": ("node-arm64", "amd64-only"),
    "placed-2": ("node-arm64", "multi-arch"),
}
"""Pods, each with the node that it names, and its image."""


def place(made: World, namespace: str) -> None:
    """Create the pods in a namespace."""
    for name, (node, sample) in PLACED.items():
        spec: dict[str, Any] = {"nodeName": node, "containers": [{"name": "c", "image": made.image(sample)}]}
        metadata = {"name": name, "namespace": namespace}
        made.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def test_one_replica_works_and_the_other_takes_over(made: World) -> None:
    """Both are ready. Killed, the leader is replaced when its Lease ends; told to end, within seconds."""
    with ExitStack() as stack:
        pair = [stack.enter_context(ControllerServer(made.plane.kubeconfig, name=name)) for name in "ab"]
        wait_for(lambda: any(each.leads for each in pair))
        leader, other = sorted(pair, key=lambda each: not each.leads)
        assert [leader.leads, other.leads] == [True, False]
        leader.process.kill()
        wait_for(lambda: other.leads)
        reference = made.push("prefetch/handover:1", single("linux/amd64", "handover"))
        made.create(workload("Deployment", "handover", reference, replicas=0))
        made.known(other, reference)
        leader.process.start()
        leader.process.wait_ready()
        assert not leader.leads
        # less than the Lease lasts; again where the machine stalled for longer than it may take to give it back
        assert handed_over(other, leader) < 10 or handed_over(leader, other) < 10 or handed_over(other, leader) < 10


def handed_over(leader: ControllerServer, other: ControllerServer) -> float:
    """Have the leader end and begin again as a candidate; gives the seconds until the other one leads."""
    with Ticks() as ticks:
        leader.process.stop(60)
        assert leader.process.exit_status == 0
        wait_for(lambda: other.leads)
        seconds = ticks.seconds
    leader.process.start()
    leader.process.wait_ready()
    return seconds


def test_a_replica_that_loses_the_lease_ends(made: World, controller: ControllerServer) -> None:
    """At once, with a message, for it can't be sure to be the only one."""
    taken = {"holderIdentity": "somebody-else", "leaseDurationSeconds": 60}
    headers = {"Content-Type": "application/merge-patch+json"}
    try:
        with Ticks() as ticks:
            made.client.patch(f"{LEASES}/{LEASE}", json={"spec": taken}, headers=headers).raise_for_status()
            wait_for(lambda: not controller.process.running)
            assert ticks.seconds < 7.5  # renewed up to 2 s before, it would be lost after 10; it is looked at every 2
        assert controller.process.exit_status == 1
        assert "the Lease default/rightarch-controller" in controller.log()
    finally:
        made.client.delete(f"{LEASES}/{LEASE}")  # nobody waits for its end


def test_a_restart_of_the_api_server_is_survived(made: World, controller: ControllerServer) -> None:
    """The leader goes on, and sees what is new; if the Lease ran out meanwhile it ends, and does so once restarted."""
    made.plane.restart("kube-apiserver")
    reference = made.push("prefetch/restart:1", single("linux/amd64", "restart"))
    wait_for(lambda: made.client.get("/readyz").is_success)
    before = renewed(made)
    wait_for(lambda: not controller.process.running or renewed(made) != before)
    if not controller.process.running:
        assert "could not be renewed within 10 s" in controller.log()
        controller.process.start()  # as the kubelet does
        controller.process.wait_ready()
        wait_for(lambda: controller.leads)
    made.create(workload("Deployment", "restart", reference, replicas=0))
    made.known(controller, reference)
    assert controller.leads


def renewed(made: World) -> str | None:
    """When the leader last renewed the Lease; None while the API server does not say."""
    found: str | None = made.client.get(f"{LEASES}/{LEASE}").json().get("spec", {}).get("renewTime")
    return found


def test_without_the_right_to_watch_it_ends_with_a_clear_message(made: World, tmp_path: Path) -> None:
    """Kopf gives up on 403, and so does the process: whoever restarts it sees why."""
    blind = ControllerServer(account(made, tmp_path), folder=tmp_path)
    blind.process.start()  # it may end before anybody has seen that it was ready
    try:
        wait_for(lambda: not blind.process.running)
    finally:
        blind.process.stop()
    assert blind.process.exit_status == 1
    assert "the watches of workloads ended" in blind.process.tail(1)
    assert "forbidden" in blind.process.tail(1)


def account(made: World, folder: Path) -> Path:
    """A kubeconfig of an account that may have the Lease, and nothing else."""
    run = made.plane.kubectl
    run("-n", NAMESPACE, "create", "serviceaccount", "blind")
    run("-n", NAMESPACE, "create", "role", "blind", "--verb=*", "--resource=leases.coordination.k8s.io")
    run("-n", NAMESPACE, "create", "rolebinding", "blind", "--role=blind", f"--serviceaccount={NAMESPACE}:blind")
    token = run("-n", NAMESPACE, "create", "token", "blind").strip()
    authority = base64.b64encode(made.plane.ca.read_bytes()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": made.plane.server, "certificate-authority-data": authority}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(config))
    return path


def test_readiness_is_told_by_what_is_known(made: World, controller: ControllerServer) -> None:
    """Workloads, vCPU and memory by verdict, as the report has them; no registry is asked for it."""

    def figures(verdict: str) -> tuple[float, float, float]:
        metrics = controller.metrics()
        names = ("workloads", "workload_vcpu", "workload_memory_bytes")
        workloads, vcpu, memory = (metrics.get(f'rightarch_{name}{{verdict="{verdict}"}}', -1) for name in names)
        return workloads, vcpu, memory

    wait_for(lambda: figures("Ready")[0] >= 0 and figures("Unknown")[0] == 0)
    before = {verdict: figures(verdict) for verdict in ("Ready", "Blocked")}
    both = made.push("figures/both:1", attested("linux/amd64", "linux/arm64", salt="figures"))
    old = made.push("figures/old:1", single("linux/amd64", "figures"))
    for name, reference in (("figures-ready", both), ("figures-blocked", old)):
        item = workload("Deployment", name, reference, replicas=2)
        requests = {"cpu": "250m", "memory": "64Mi"}
        item["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": requests}
        made.create(item)
        decisions(made, name, 2)  # for which the webhook asks, as long as it does not know
        made.known(controller, reference)
    wait_for(lambda: made.webhook.metrics()["rightarch_lookups_in_flight"] == 0)
    made.registry.forget()
    expected = {verdict: (n + 1, vcpu + 0.5, size + 2 * 64 * 2**20) for verdict, (n, vcpu, size) in before.items()}
    wait_for(lambda: {verdict: figures(verdict) for verdict in expected} == expected)
    assert made.registry.requests() == []
