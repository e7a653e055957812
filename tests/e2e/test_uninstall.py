"""What helm leaves behind when it uninstalls the chart: no pod that waits for somebody who is gone."""

from __future__ import annotations

import contextlib
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tests.controlplane import free_port, wait_for
from tests.support.installation import COMMAND, NAMESPACE, Installation, Release

from .test_rights import rights

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.controlplane import ControlPlane

    Object = dict[str, Any]

GATE = "rightarch.dev/platforms"
GATED = "rightarch.dev/gated"
JOB = "rightarch-release"
NOWHERE = {"pods": {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}}
"""KWOK would say that the Job's pod has succeeded, without running it."""
RIGHTS = {
    "mutatingwebhookconfigurations.admissionregistration.k8s.io [rightarch] delete",
    "pods [] list patch",
}
OTHER = "example.com/quota"


def pod(name: str, namespace: str, image: str, *gates: str) -> Object:
    """A pod, with these gates."""
    spec: Object = {
        "containers": [{"name": "c", "image": image}],
        "schedulingGates": [{"name": each} for each in gates],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def get(client: httpx.Client, name: str, namespace: str = "default") -> Object:
    """A pod as it is."""
    found: Object = client.get(f"/api/v1/namespaces/{namespace}/pods/{name}").raise_for_status().json()
    return found


def gates(found: Object) -> list[str]:
    """The names of the gates of a pod."""
    return [gate["name"] for gate in found["spec"].get("schedulingGates", [])]


def run_job(release: Release, client: httpx.Client) -> subprocess.CompletedProcess[str]:
    """Run the command of the Job's pod under the Job's account, as a kubelet would, and say how it ended."""
    jobs, pods = (
        f"/{api}/namespaces/{NAMESPACE}/{kind}" for api, kind in (("apis/batch/v1", "jobs"), ("api/v1", "pods"))
    )
    wait_for(lambda: client.get(f"{jobs}/{JOB}").is_success)
    selector = {"labelSelector": f"job-name={JOB}"}
    [made] = wait_for(lambda: client.get(pods, params=selector).json()["items"])
    assert made["spec"]["serviceAccountName"] == JOB
    [container] = made["spec"]["containers"]
    command = [COMMAND, *container["args"], f"--kubeconfig={release.kubeconfig('release')}"]
    done = subprocess.run(command, text=True, capture_output=True, check=False, timeout=240)
    status = {"status": {"phase": "Succeeded" if done.returncode == 0 else "Failed"}}
    headers = {"Content-Type": "application/merge-patch+json"}
    client.patch(f"{pods}/{made['metadata']['name']}/status", json=status, headers=headers).raise_for_status()
    return done


@contextlib.contextmanager
def _tidied(control_plane: ControlPlane) -> Iterator[None]:
    """Delete the pods in the end, whatever became of them."""
    try:
        yield
    finally:
        control_plane.kubectl("delete", "pod", "held", "held-twice", "others", "--now", "--ignore-not-found")
        control_plane.kubectl("delete", "pod", "unlabelled", "--now", "--namespace=kube-system", "--ignore-not-found")


def test_nobody_is_left_waiting(control_plane: ControlPlane) -> None:
    """Pods that the webhook held, in any namespace, with or without the label; those of others wait on."""
    image = f"127.0.0.1:{free_port()}/app:1"
    with (
        _tidied(control_plane),
        Installation(control_plane, values=NOWHERE) as installed,
        control_plane.client() as client,
    ):
        release, configuration = installed.release, installed.release.name
        wait_for(lambda: installed.webhook.metrics()["rightarch_controller_alive"] == 1)
        control_plane.apply(pod("held", "default", image))
        control_plane.apply(pod("held-twice", "default", image, OTHER))
        control_plane.apply(pod("unlabelled", "kube-system", image, GATE))
        control_plane.apply(pod("others", "default", "127.0.0.1:9/INVALID", OTHER))
        assert gates(get(client, "held")) == [GATE]
        assert gates(get(client, "held-twice")) == [OTHER, GATE]
        installed.controller.process.kill()
        with ThreadPoolExecutor(1) as pool:
            uninstalling = pool.submit(installed.uninstall, releasing=True)
            wait_for(lambda: client.get(f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{JOB}").is_success)
            wait_for(lambda: rights(release, JOB, "default") - rights(release, "default", "default") == RIGHTS)
            done = run_job(release, client)
            uninstalling.result()
        assert (done.returncode, done.stderr) == (0, "")
        assert {line.split()[1] for line in done.stdout.splitlines()[1:]} == {"held", "held-twice", "unlabelled"}
        assert [gates(get(client, name)) for name in ("held", "held-twice", "others")] == [[], [OTHER], [OTHER]]
        assert gates(get(client, "unlabelled", "kube-system")) == []
        for name in ("held", "held-twice"):
            assert GATED not in get(client, name)["metadata"].get("labels", {})
        left = control_plane.kubectl(
            *("get", "mutatingwebhookconfigurations,clusterroles,clusterrolebindings", "--output=json")
        )
        names = {item["metadata"]["name"] for item in json.loads(left)["items"]}
        assert not names & {configuration, JOB}
