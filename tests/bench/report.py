"""The report at size: a cluster of 10 000 pods, a registry at a distance, a process that is started for it.

``python -m tests.bench.report``
"""

import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.bench.controller import Stage, create, stage
from tests.bench.figures import console
from tests.bench.slow_registry import COUNT, PLATFORMS, SlowRegistry
from tests.controlplane import CertificateAuthority

WORKLOADS = 2_000
PODS = 10_000
IMAGES = 1_500
SECONDS = 0.02
"""How long the registry takes for an answer."""
NAMESPACE = "default"
PROGRAM = Path(sys.executable).parent / "rightarch"
MODES = {
    "verdicts alone": ["--sizes=none"],
    "with sizes": ["--sizes=auto"],
    "as a page": ["--sizes=none", "-o", "html"],
}
REQUESTS = {"verdicts alone": IMAGES, "with sizes": IMAGES * (1 + len(PLATFORMS)), "as a page": IMAGES}
"""How many the registry gets: one for each image, whatever number of workloads has it; for sizes, one for each of its
platforms as well."""
MOST = {"seconds": 60, "peak RSS, MiB": 250}
"""What no report of this size may exceed."""


def main() -> dict[str, Any]:
    """Measure, print, and return the figures of each mode; fails at the end where one is out of bounds."""
    figures = {}
    with tempfile.TemporaryDirectory(prefix="rightarch-bench-") as folder, stage() as on:
        authority = CertificateAuthority(Path(folder) / "authority")
        with SlowRegistry(*authority.issue("registry"), SECONDS) as registry:
            _fill(on, registry.host)
            for mode, options in MODES.items():
                before = _requests(registry, authority)
                measured = _run(on, options, authority.certificate)
                measured["requests to the registry"] = _requests(registry, authority) - before
                figures[mode] = measured
                console.print(f"{mode}: " + ", ".join(f"{name} {value:g}" for name, value in measured.items()))
    missed = [line for mode, measured in figures.items() for line in _missed(mode, measured)]
    assert not missed, "; ".join(missed)
    return figures


def _missed(mode: str, measured: Mapping[str, float]) -> Iterator[str]:
    """What of the figures of a mode is not what it must be."""
    for name, most in MOST.items():
        if measured[name] > most:
            yield f"{mode}: {name} {measured[name]:g}, and {most} is the most"
    requests = "requests to the registry"
    if measured[requests] != REQUESTS[mode]:
        yield f"{mode}: {requests} {measured[requests]:g}, and {IMAGES} images take {REQUESTS[mode]}"


def _run(on: Stage, options: list[str], ca: Path) -> dict[str, float]:
    """One report, of a process that knows nothing yet."""
    command = [str(PROGRAM), "report", f"--kubeconfig={on.plane.kubeconfig}", f"--registry-ca-file={ca}", *options]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.stderr
    with process.stdout, process.stderr:
        assert process.returncode == 0, process.stderr.read().decode()
    return {
        "seconds": round(time.perf_counter() - begun, 1),
        "CPU seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak RSS, MiB": round(used.ru_maxrss / 2**10),
        "KiB of output": round(len(said) / 2**10),
    }


def _requests(registry: SlowRegistry, authority: CertificateAuthority) -> int:
    """How many the registry had so far."""
    context = ssl.create_default_context(cafile=authority.certificate)
    url = f"https://{registry.host}{COUNT.decode()}"
    return int(httpx.get(url, verify=context, trust_env=False).raise_for_status().text)


def _fill(on: Stage, host: str) -> None:
    """Deployments, a ReplicaSet of each, and its pods, of about 2 KB, on both nodes."""
    begun = time.perf_counter()
    images = [f"{host}/team-{number % 40}/app-{number}:1.0" for number in range(IMAGES)]
    apps = f"/apis/apps/v1/namespaces/{NAMESPACE}"
    create(on, (_deployment(number, images) for number in range(WORKLOADS)), f"{apps}/deployments")
    owners = _uids(on, f"{apps}/deployments")
    create(on, (_replica_set(name, uid, images) for name, uid in owners.items()), f"{apps}/replicasets")
    sets = list(_uids(on, f"{apps}/replicasets").items())
    pods = (_pod(number, *sets[number % len(sets)], images) for number in range(PODS))
    create(on, pods, f"/api/v1/namespaces/{NAMESPACE}/pods")
    console.print(f"{WORKLOADS} workloads and {PODS} pods were made in {time.perf_counter() - begun:.0f} s")


def _uids(on: Stage, path: str) -> dict[str, str]:
    items = on.client.get(path).raise_for_status().json()["items"]
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in items}


def _deployment(number: int, images: list[str]) -> dict[str, Any]:
    name = f"app-{number}"
    return _workload("Deployment", {"name": name}, name, images[number % IMAGES])


def _replica_set(deployment: str, uid: str, images: list[str]) -> dict[str, Any]:
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment, "uid": uid, "controller": True}
    number = int(deployment.rpartition("-")[2])
    metadata = {"name": f"{deployment}-1", "ownerReferences": [owner]}
    return _workload("ReplicaSet", metadata, deployment, images[number % IMAGES])


def _workload(kind: str, metadata: dict[str, Any], app: str, image: str) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": app}}, "spec": _spec(image)}
    spec = {"replicas": PODS // WORKLOADS, "selector": {"matchLabels": {"app": app}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _pod(number: int, owner: str, uid: str, images: list[str]) -> dict[str, Any]:
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": uid, "controller": True}
    image = images[int(owner.split("-")[1]) % IMAGES]
    metadata = {"name": f"pod-{number}", "labels": {"app": owner}, "ownerReferences": [reference]}
    spec = _spec(image) | {"nodeName": "amd64-1" if number % 2 else "arm64-1"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _spec(image: str) -> dict[str, Any]:
    env = [{"name": f"SETTING_{index}", "value": "x" * 20} for index in range(10)]
    resources = {"requests": {"cpu": "100m", "memory": "128Mi"}}
    containers = [{"name": "app", "image": image, "env": env, "resources": resources}]
    return {"containers": containers, "automountServiceAccountToken": False}


if __name__ == "__main__":
    console.print_json(json.dumps(main()))
