"""The stage of the admission benchmarks: a control plane, a registry, Rightarch under an account of its own."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.bench.noop import NoopServer
from tests.controlplane import CertificateAuthority, ControlPlane, fake_node
from tests.images.registry import RegistryServer
from tests.images.samples import push_samples
from tests.support import installation
from tests.support.installation import Installation, Replica

NAMESPACE = "bench"
USER = f"system:serviceaccount:{installation.NAMESPACE}:{installation.RELEASE}-webhook"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
_SECONDS = 30


@dataclass
class Stage:
    """What the benchmarks of admission run on; made by ``stage``.

    Attributes:
        installation: the chart as helm installed it, its processes under its own accounts.
        registration: the chart's own webhook configuration.
        images: full names of the sample images, by repository and tag.
        audit: the API server's log of the requests of the webhook's account.
    """

    plane: ControlPlane
    registry: RegistryServer
    installation: Installation
    registration: dict[str, Any]
    noop: NoopServer
    images: dict[str, str]
    audit: Path
    client: httpx.Client

    @property
    def webhook(self) -> Replica:
        """The webhook that answers."""
        return self.installation.webhook

    def pod(self, image: str) -> dict[str, Any]:
        """A pod of two containers and about 3 KB as the API server stores it."""
        container = {
            "image": self.images[image],
            "env": [{"name": f"SETTING_{index}", "value": "x" * 20} for index in range(10)],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 10},
        }
        containers = [{"name": name, **container} for name in ("app", "sidecar")]
        return {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": containers}}

    def register(self, configuration: dict[str, Any] | None, active: Callable[[dict[str, Any]], bool]) -> None:
        """Register a webhook in place of any other (None: none at all), and wait until the API server acts on it."""
        for each in self.client.get(WEBHOOKS).raise_for_status().json()["items"]:
            self.client.delete(f"{WEBHOOKS}/{each['metadata']['name']}").raise_for_status()
        if configuration:
            self.client.post(WEBHOOKS, json=configuration).raise_for_status()
        _wait(lambda: active(self.probe()), "the registration takes effect")

    def probe(self) -> dict[str, Any]:
        """A pod as it would be stored now."""
        pod = {**self.pod("samples/multi-arch:1.0"), "metadata": {"generateName": "probe-"}}
        answer = self.client.post(f"/api/v1/namespaces/{NAMESPACE}/pods", params={"dryRun": "All"}, json=pod)
        stored: dict[str, Any] = answer.raise_for_status().json()
        return stored

    def clear(self) -> None:
        """Delete all pods."""
        pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
        self.client.delete(pods, params={"gracePeriodSeconds": "0"}).raise_for_status()
        _wait(lambda: not self.client.get(pods, params={"limit": "1"}).json()["items"], "the pods are gone")

    def requests_of_ours(self) -> int:
        """Requests that the API server got from Rightarch's account so far, by its audit log."""
        return sum(1 for line in self.audit.read_text().splitlines() if json.loads(line)["user"]["username"] == USER)

    def admission_seconds(self) -> tuple[float, float]:
        """What the API server has waited for webhooks so far, in seconds, and for how many calls."""
        text = self.client.get("/metrics").raise_for_status().text
        name = "apiserver_admission_webhook_admission_duration_seconds"
        return _total(text, f"{name}_sum"), _total(text, f"{name}_count")


@contextmanager
def stage() -> Iterator[Stage]:
    """Start everything, Rightarch as helm installs it.

    Scheduler, controllers and KWOK are paused, so that only admission is measured.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rightarch-bench-")))
        audit = folder / "audit.log"
        plane = stack.enter_context(ControlPlane(api_server_flags=_audited(folder, audit)))
        registry = stack.enter_context(RegistryServer(authority=CertificateAuthority(folder / "pki")))
        images = push_samples(registry)
        plane.apply(*(fake_node(f"{arch}-{index}", arch) for arch in ("amd64", "arm64") for index in range(2)))
        trust = [f"--registry-ca-file={folder / 'pki' / 'ca.crt'}"]
        installed = stack.enter_context(Installation(plane, webhook_options=trust, controller_options=trust))
        plane.kubectl("create", "namespace", NAMESPACE)
        _wait(lambda: plane.kubectl("-n", NAMESPACE, "get", "serviceaccounts", "-o", "name") != "", "the account")
        noop = stack.enter_context(NoopServer(folder))
        for component in ("kube-scheduler", "kube-controller-manager", "kwok"):
            plane.pause(component)
        client = stack.enter_context(plane.client())
        registration = _registration(client)
        try:
            yield Stage(plane, registry, installed, registration, noop, images, audit, client)
        finally:
            client.post(WEBHOOKS, json=registration)  # for helm to remove


def _audited(folder: Path, log: Path) -> list[str]:
    """Flags that make the API server log the requests of the webhook's account, and of nobody else."""
    rules = [{"level": "Metadata", "users": [USER], "omitStages": ["RequestReceived"]}, {"level": "None"}]
    policy = folder / "audit.yaml"
    policy.write_text(yaml.safe_dump({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}))
    log.touch()
    return [f"--audit-policy-file={policy}", f"--audit-log-path={log}", "--audit-log-mode=blocking"]


def _registration(client: httpx.Client) -> dict[str, Any]:
    """The chart's webhook configuration, as it may be created again."""
    [found] = client.get(WEBHOOKS).raise_for_status().json()["items"]
    metadata = {key: found["metadata"][key] for key in ("name", "labels", "annotations") if key in found["metadata"]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": metadata,
        "webhooks": found["webhooks"],
    }


def _total(text: str, name: str) -> float:
    """The sum of a metric over all its labels."""
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{name}{{"))


def _wait(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while not done():
        assert time.monotonic() < deadline, f"not within {_SECONDS} s: {what}"
        time.sleep(0.1)


def labelled(pod: dict[str, Any]) -> bool:
    """Whether Rightarch has seen a pod."""
    return "rightarch.dev/decision" in pod["metadata"].get("labels", {})


def process_seconds(pid: int) -> float:
    """The CPU time that a process has used so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
