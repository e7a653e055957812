"""The control plane itself: it works as a cluster does, stands alone, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.controlplane import ControlPlane, KubectlError, StartError, fake_node, free_port, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CHILD = """
import sys, time
from pathlib import Path
from tests.controlplane import ControlPlane
with ControlPlane(Path(sys.argv[1]) / "here", detached=sys.argv[2] == "detached"):
    print("ready", flush=True)
    if sys.argv[2] != "detached":
        time.sleep(600)
"""


def pod(name: str, architecture: str) -> dict[str, Any]:
    """A pod that wants a node of this architecture."""
    spec = {
        "nodeSelector": {"kubernetes.io/arch": architecture},
        "containers": [{"name": "main", "image": "registry.test/app"}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def status(cluster: ControlPlane, name: str) -> dict[str, Any]:
    """Status and node of a pod."""
    found = json.loads(cluster.kubectl("get", "pod", name, "--output=json"))
    return {"node": found["spec"].get("nodeName"), **found["status"]}


def processes_of(folder: Path) -> list[str]:
    """Command lines that mention the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        if str(folder) in command and "sys.argv" not in command:
            found.append(command)
    return found


def left_in(folder: Path) -> list[object]:
    """What there still is of control planes in this folder: processes and files."""
    return [*processes_of(folder), *folder.iterdir()]


@contextlib.contextmanager
def child(folder: Path, mode: str = "") -> Iterator[subprocess.Popen[str]]:
    """A Python process that starts a control plane in the folder and waits; it is gone when the block ends."""
    command = [sys.executable, "-c", CHILD, str(folder), mode]
    with (
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as python,
        contextlib.ExitStack() as stack,
    ):
        stack.callback(python.kill)
        yield python


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in which this process makes its temporary folders."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_pod_runs_on_a_simulated_node_of_the_architecture_it_names(control_plane: ControlPlane) -> None:
    """The scheduler binds by the labels of KWOK's nodes, and KWOK makes the pod Running."""
    control_plane.apply(fake_node("runs-amd64", "amd64"), fake_node("runs-s390x", "s390x"))
    control_plane.apply(pod("runs", "s390x"))
    wait_for(lambda: status(control_plane, "runs")["phase"] == "Running")
    assert status(control_plane, "runs")["node"] == "runs-s390x"


def test_a_pod_that_no_node_admits_is_unschedulable(control_plane: ControlPlane) -> None:
    """The scheduler says so, as on any cluster."""
    control_plane.apply(pod("nowhere", "mips64le"))
    conditions = wait_for(lambda: status(control_plane, "nowhere").get("conditions", []))
    assert [(one["type"], one["reason"]) for one in conditions] == [("PodScheduled", "Unschedulable")]


def test_taints_resources_and_node_info_of_a_fake_node_arrive(control_plane: ControlPlane) -> None:
    """What fake_node is given is what the API server has; the node becomes Ready."""
    taint = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
    control_plane.apply(fake_node("special", "arm64", labels={"zone": "z"}, taints=[taint], cpu="3", pods="7"))

    def read() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(control_plane.kubectl("get", "node", "special", "--output=json"))
        return found

    def holding() -> list[str]:
        return [each["type"] for each in read()["status"].get("conditions", []) if each["status"] == "True"]

    wait_for(lambda: holding() == ["Ready"])
    wait_for(lambda: read()["spec"].get("taints") == [taint])  # that of a node not yet ready has been taken away
    node = read()
    assert node["metadata"]["labels"]["zone"] == "z"
    assert node["metadata"]["labels"]["beta.kubernetes.io/arch"] == "arm64"
    assert (node["status"]["allocatable"]["cpu"], node["status"]["allocatable"]["pods"]) == ("3", "7")
    assert node["status"]["nodeInfo"]["architecture"] == "arm64"


def test_jobs_complete_and_pods_can_be_deleted(control_plane: ControlPlane) -> None:
    """The controllers work: a Job ends, and its pods go with it."""
    control_plane.apply(fake_node("jobs", "ppc64le"))
    template = {"spec": pod("unused", "ppc64le")["spec"] | {"restartPolicy": "Never"}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}, "spec": {"template": template}}
    control_plane.apply(job)
    control_plane.kubectl("wait", "job/once", "--for=condition=complete", "--timeout=60s")
    control_plane.kubectl("delete", "job", "once", "--cascade=foreground", "--timeout=60s")
    assert control_plane.kubectl("get", "pods", "--selector=job-name=once", "--output=name") == ""


def test_apply_waits_for_a_kind_that_is_being_defined(control_plane: ControlPlane) -> None:
    """A definition and an object of its kind can be applied in one call."""
    names = {"plural": "trials", "singular": "trial", "kind": "Trial"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "trials.tests.rightarch.dev"},
        "spec": {
            "group": "tests.rightarch.dev",
            "scope": "Cluster",
            "names": names,
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
    trial = {"apiVersion": "tests.rightarch.dev/v1", "kind": "Trial", "metadata": {"name": "first"}, "value": 3}
    assert control_plane.apply(definition, trial)[1]["value"] == 3


def test_kubectl_is_the_administrator_and_its_errors_are_raised(control_plane: ControlPlane) -> None:
    """The client has the server's version; what kubectl complains of is in the exception."""
    assert "Server Version: v1.36" in control_plane.kubectl("version")
    assert control_plane.kubectl("auth", "can-i", "*", "*").strip() == "yes"
    with pytest.raises(KubectlError, match='pods "no-such-pod" not found'):
        control_plane.kubectl("get", "pod", "no-such-pod")


def test_a_paused_scheduler_binds_nothing_until_it_is_resumed(control_plane: ControlPlane) -> None:
    """Pausing is what lets a benchmark measure admission alone."""
    control_plane.apply(fake_node("paused", "riscv64"))
    wait_for(lambda: "True" in control_plane.kubectl("get", "node", "paused", "--output=jsonpath={..status}"))
    control_plane.pause("kube-scheduler")
    try:
        control_plane.apply(pod("paused", "riscv64"))
        time.sleep(1)
        assert status(control_plane, "paused")["node"] is None
    finally:
        control_plane.resume("kube-scheduler")
    wait_for(lambda: status(control_plane, "paused")["phase"] == "Running")


def test_objects_outlive_a_crash_of_the_api_server(control_plane: ControlPlane) -> None:
    """A component that was killed is gone until it is restarted, with what it knew."""
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"a": "b"}}
    control_plane.apply(config)
    away = control_plane.without("kube-apiserver")
    with away, control_plane.client() as client, pytest.raises(httpx.ConnectError):
        client.get("/readyz")
    assert control_plane.kubectl("get", "configmap", "kept", "--output=jsonpath={.data.a}") == "b"


def test_two_control_planes_do_not_disturb_each_other(control_plane: ControlPlane, temporary: Path) -> None:
    """Each has its own objects, and one lives on when the other ends."""
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "only-here"}}
    with ControlPlane() as other:
        other.apply(space)
        with pytest.raises(KubectlError, match="not found"):
            control_plane.kubectl("get", "namespace", "only-here")
    assert left_in(temporary) == []
    assert control_plane.kubectl("get", "namespace", "default", "--output=name") == "namespace/default\n"


def test_nothing_is_left_after_an_exception(temporary: Path) -> None:
    """Leaving the block by an error ends everything; without KWOK there is no KWOK."""

    def fail() -> None:
        with ControlPlane(kwok=False) as running:
            assert len(processes_of(temporary)) == 4
            assert running.folder.parent == temporary
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert left_in(temporary) == []


def test_a_failed_start_shows_the_log_and_leaves_nothing(temporary: Path) -> None:
    """The error says which component failed, and what it said last."""
    with pytest.raises(StartError, match=r"(?s)kube-apiserver ended with status 1 .*unknown flag: --no-such-flag"):
        ControlPlane(api_server_flags=["--no-such-flag"]).start()
    assert left_in(temporary) == []


def test_a_port_that_was_taken_meanwhile_is_replaced(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may listen on a port between its choice and its use: the start is tried again."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        ports = iter([stranger.getsockname()[1]])
        monkeypatch.setattr("tests.controlplane.layout.free_port", lambda: next(ports, 0) or free_port())
        with ControlPlane(kwok=False) as running:
            assert "Server Version" in running.kubectl("version")
    assert left_in(temporary) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_python_is_ended_by_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and SIGKILL alike."""
    with child(tmp_path) as python:
        assert python.stdout is not None
        assert python.stdout.readline() == "ready\n"
        assert len(processes_of(tmp_path)) == 5
        python.send_signal(number)
        python.communicate()
    wait_for(lambda: left_in(tmp_path) == [])


def test_nothing_is_left_when_python_is_killed_while_it_starts(tmp_path: Path) -> None:
    """The guardian knows of each process from its first moment."""
    with child(tmp_path) as python:
        wait_for(lambda: any("kube-apiserver" in command for command in processes_of(tmp_path)))
        python.kill()
        python.communicate()
    wait_for(lambda: left_in(tmp_path) == [])


def test_a_detached_control_plane_outlives_python_and_is_stopped_by_its_folder(tmp_path: Path) -> None:
    """This is the demo that is left up, and taken down later."""
    folder = tmp_path / "here"
    try:
        with child(tmp_path, "detached") as python:
            assert python.communicate()[0] == "ready\n", python.stderr
            assert python.returncode == 0
        assert len(processes_of(tmp_path)) == 5
        server = json.loads((folder / "kubeconfig").read_text())["clusters"][0]["cluster"]["server"]
        with pytest.raises(StartError, match="is not empty"):
            ControlPlane(folder).start()
        wait_for(lambda: is_ready(server))
    finally:
        stopped = ControlPlane.stop_detached(folder)
    assert stopped
    assert left_in(tmp_path) == []
    assert not ControlPlane.stop_detached(folder)


def is_ready(server: str) -> bool:
    """Whether an API server says that it is ready."""
    answer = httpx.get(f"{server}/readyz", verify=False, trust_env=False, timeout=60)  # noqa: S501 - loopback
    return answer.text == "ok"
