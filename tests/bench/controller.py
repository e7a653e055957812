"""The controller at size: what workloads cost it, and that pods cost it nothing.

``python -m tests.bench.controller``
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import orjson
import yaml

from tests.bench.figures import console
from tests.controlplane import ControlPlane, fake_node, wait_for
from tests.generate import files
from tests.images import RegistryServer, attested
from tests.support.controller import ControllerServer

CASES = ((200, 1_000), (2_000, 1_000), (2_000, 10_000))
"""Workloads and pods; a tenth of the workloads' number is that of their images."""
UNSEEN = 100
"""Pods without our label, in every case."""
LIST_SECONDS = 10
STEADY_SECONDS = 20
AT_ONCE = 24
AGENTS = ("rightarch/", "kopf/")
POD_PATH = "/api/v1/namespaces/default/pods"
FACTS = "/apis/rightarch.dev/v1alpha1/imageplatforms"


@dataclass
class Stage:
    """What is measured on; made by ``stage``."""

    plane: ControlPlane
    registry: RegistryServer
    client: httpx.Client
    audit: Path

    def requests(self) -> dict[str, int]:
        """Requests of the controller so far, its watches among them, by who sent them."""
        events = [json.loads(line) for line in self.audit.read_text().splitlines()]
        agents = {event["auditID"]: event.get("userAgent", "") for event in events}.values()
        return {prefix.rstrip("/"): sum(agent.startswith(prefix) for agent in agents) for prefix in AGENTS}


def main() -> dict[str, Any]:
    """Measure, print, and return the figures of each case."""
    figures = {}
    with stage() as on:
        images = _push(on, max(workloads for workloads, _ in CASES) // 10)
        made_workloads = made_pods = 0
        for workloads, pods in CASES:
            create(on, _workloads(made_workloads, workloads, images), "/apis/apps/v1/namespaces/default/deployments")
            create(on, _pods(made_pods, pods, images), POD_PATH)
            made_workloads, made_pods = workloads, pods
            on.client.delete(FACTS).raise_for_status()
            case = f"{workloads} workloads, {pods} pods"
            figures[case] = _measure(on, workloads)
            console.print(f"{case}: " + ", ".join(f"{name} {value:g}" for name, value in figures[case].items()))
    return figures


@contextmanager
def stage() -> Iterator[Stage]:
    """A control plane whose controllers are paused, so that what is created stays as it is, and its audit log."""
    with tempfile.TemporaryDirectory(prefix="rightarch-bench-") as folder:
        audit = Path(folder) / "audit.log"
        audit.touch()
        with ControlPlane(api_server_flags=_audited(Path(folder), audit)) as plane, RegistryServer() as registry:
            for path, text in files().items():
                if path.name == "imageplatforms.yaml" and path.parent.name == "crds":
                    plane.kubectl("apply", "-f", "-", input=text)
            plane.apply(*(fake_node(f"{arch}-1", arch) for arch in ("amd64", "arm64")))
            for component in ("kube-scheduler", "kube-controller-manager", "kwok"):
                plane.pause(component)
            with plane.client() as client:
                yield Stage(plane, registry, client, audit)


def _measure(on: Stage, workloads: int) -> dict[str, float]:
    """One start with nothing known of images, and a steady time after it."""
    begun, before = time.perf_counter(), on.requests()
    options = [f"--list-interval={LIST_SECONDS}", "--namespace=kube-public"]  # pods of its own it does not count
    with ControllerServer(on.plane.kubeconfig, options=options) as controller:
        ready = time.perf_counter() - begun
        found = 'rightarch_template_images{found="true"}'
        wait_for(lambda: controller.metrics().get(found) == workloads // 10, seconds=120, pause=0.1)
        informed = time.perf_counter() - begun
        wait_for(lambda: controller.metrics()["rightarch_image_facts_pending"] == 0, seconds=60, pause=0.5)
        started, asked = controller.metrics(), on.requests()
        time.sleep(STEADY_SECONDS)
        ended, total = controller.metrics(), on.requests()
        peak = _peak(controller.process.pid)
    cpu = "process_cpu_seconds_total"
    per_minute = {agent: (total[agent] - asked[agent]) * 60 / STEADY_SECONDS for agent in total}
    return {
        "ready after, s": round(ready, 2),
        "all images found after, s": round(informed, 2),
        "CPU until all is written down, s": round(started[cpu], 2),
        "requests until then": sum(asked.values()) - sum(before.values()),
        f"CPU per full list and census, ms (every {LIST_SECONDS} s)": round(
            (ended[cpu] - started[cpu]) * 1000 / (STEADY_SECONDS / LIST_SECONDS)
        ),
        "requests per minute": sum(per_minute.values()),
        "RSS, MiB": round(ended["process_resident_memory_bytes"] / 2**20),
        "peak RSS, MiB": round(peak / 2**10),
        "unseen pods": ended["rightarch_unseen_pods"],
    }


def _peak(pid: int) -> int:
    """The most memory that a process has had, in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _push(on: Stage, count: int) -> list[str]:
    for number in range(count):
        on.registry.push(f"bench/app-{number}", "1", attested("linux/amd64", "linux/arm64", salt=str(number)))
    return [f"{on.registry.host}/bench/app-{number}:1" for number in range(count)]


def _workloads(first: int, beyond: int, images: list[str]) -> Iterator[dict[str, Any]]:
    """Deployments of about 2 KB, ten of each image."""
    for number in range(first, beyond):
        name, image = f"app-{number}", images[number // 10]
        template = {"metadata": {"labels": {"app": name}}, "spec": _spec(image)}
        spec = {"replicas": 3, "selector": {"matchLabels": {"app": name}}, "template": template}
        yield {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def _pods(first: int, beyond: int, images: list[str]) -> Iterator[dict[str, Any]]:
    """Pods as admission labels them, but for the first ones."""
    for number in range(first, beyond):
        labels = {"app": "x"} if number < UNSEEN else {"app": "x", "rightarch.dev/decision": "Constrained"}
        metadata = {"name": f"pod-{number}", "labels": labels}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": _spec(images[number % len(images)])}


def _spec(image: str) -> dict[str, Any]:
    env = [{"name": f"SETTING_{index}", "value": "x" * 20} for index in range(10)]
    containers = [{"name": "app", "image": image, "env": env, "resources": {"requests": {"cpu": "10m"}}}]
    return {"containers": containers, "automountServiceAccountToken": False}


def create(on: Stage, items: Iterable[dict[str, Any]], path: str) -> None:
    """Create objects as fast as the API server takes them."""
    asyncio.run(_post_all(on, iter(items), path))


async def _post_all(on: Stage, items: Iterator[dict[str, Any]], path: str) -> None:
    connector = aiohttp.TCPConnector(ssl=on.plane.context(), limit=AT_ONCE)
    async with aiohttp.ClientSession(on.plane.server, connector=connector) as session:
        while some := list(islice(items, AT_ONCE)):
            await asyncio.gather(*(_post(session, path, item) for item in some))


async def _post(session: aiohttp.ClientSession, path: str, item: dict[str, Any]) -> None:
    headers = {"content-type": "application/json"}
    async with session.post(path, data=orjson.dumps(item), headers=headers) as answer:
        assert answer.status == 201, await answer.text()


def _audited(folder: Path, log: Path) -> list[str]:
    """Flags that make the API server log all requests but the creation of what is measured with."""
    made = [{"group": "", "resources": ["pods"]}, {"group": "apps", "resources": ["deployments"]}]
    rules = [
        {"level": "None", "verbs": ["create"], "resources": made},
        {"level": "Metadata", "users": ["admin"], "omitStages": ["RequestReceived"]},
        {"level": "None"},
    ]
    policy = folder / "audit.yaml"
    policy.write_text(yaml.safe_dump({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}))
    return [f"--audit-policy-file={policy}", f"--audit-log-path={log}", "--audit-log-mode=blocking"]


if __name__ == "__main__":
    console.print_json(json.dumps(main()))
