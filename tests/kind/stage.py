"""What `make kind` runs on: a cluster of kind with simulated nodes, and Rightarch installed there by its chart."""

from __future__ import annotations

import base64
import ssl
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import yaml

from tests.controlplane import CertificateAuthority, KubectlError, Resources, binary, wait_for
from tests.controlplane.process import clean_environment
from tests.demo.scene import WITH, Scene
from tests.images import LATE, SAMPLES, push
from tests.support.helm import CHART, Helm

from . import docker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.demo.progress import Progress
    from tests.images import Image

Object = dict[str, Any]

VALUES = Path(__file__).with_name("values.yaml")
NAMESPACE = "rightarch-system"
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


def values() -> Object:
    """The values of the chart."""
    found: Object = yaml.safe_load(VALUES.read_text())
    return found


class KindStage(Scene):
    """A cluster of kind as the scenario needs it; it stays when this process ends.

    Args:
        folder: where its kubeconfig, and the CA of its registry, are.
        progress: is told what happens.
    """

    def __init__(self, folder: Path, progress: Progress) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.kubeconfig = folder / "kubeconfig"
        self._folder = folder
        self._progress = progress
        self._authority = CertificateAuthority(folder / "pki")

    def start(self) -> None:
        """Make the cluster, and all that it needs."""
        image = values()["image"]
        with self._progress.step("Making a cluster of kind", chatty=True):
            docker.create_cluster(self.kubeconfig)
        with self._progress.step("Building Rightarch's image and loading it", chatty=True):
            docker.load_image(f"{image['repository']}:{image['tag']}")
        with self._progress.step("Starting a registry and pushing the sample images"):
            self._start_registry()
        with self._progress.step("Starting KWOK and making its nodes"):
            docker.start_kwok(self._folder)
            self.client = _client(self.kubeconfig)
            self.resources = Resources(self.client)
            self.make_cluster()

    def install(self) -> None:
        """Install the chart, and wait until its webhook is called through its Service."""
        with self._progress.step("Installing the chart"):
            for item in self._before():
                self.resources.apply(item)
            helm = Helm(self._folder / "helm", self.kubeconfig)
            command = ("install", "rightarch", str(CHART), f"--namespace={NAMESPACE}", "--wait", "--timeout=180s")
            helm.run(*command, values=values())
        with self._progress.step("Waiting for its certificate"):
            wait_for(lambda: self.is_called(WITH), seconds=120, pause=1)

    def kubectl(self, *args: str) -> str:
        """Run kubectl as the administrator."""
        environment = clean_environment() | {"KUBECONFIG": str(self.kubeconfig)}
        command = [str(binary("kubectl")), *args]
        done = subprocess.run(command, text=True, capture_output=True, check=False, env=environment)
        if done.returncode:
            raise KubectlError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def push_late(self) -> None:
        """Push what could not be read so far."""
        with self._registry() as client:
            _push(client, LATE)

    def _start_registry(self) -> None:
        docker.create_registry()
        docker.start_registry(*self._authority.issue("registry", [docker.REGISTRY, "127.0.0.1"]))
        with self._registry() as client:
            wait_for(lambda: _answers(client), seconds=60)
            _push(client, SAMPLES)
        self.references = {name: f"{docker.REGISTRY}:{docker.REGISTRY_PORT}/{name}" for name in (*SAMPLES, *LATE)}

    def _registry(self) -> httpx.Client:
        """A client of the registry, as this machine reaches it."""
        context = ssl.create_default_context(cafile=self._authority.certificate)
        address = f"https://{docker.published_registry()}"
        return httpx.Client(base_url=address, verify=context, trust_env=False, timeout=30)

    def _before(self) -> list[Object]:
        """What an administrator makes before the chart: its namespace, and the CA of the registry."""
        authority = {"ca.crt": self._authority.certificate.read_text()}
        metadata = {"name": values()["registries"]["caConfigMap"], "namespace": NAMESPACE}
        return [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": RESTRICTED}},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": authority},
        ]


def _push(client: httpx.Client, images: Mapping[str, Image]) -> None:
    for name, image in images.items():
        repository, tag = name.split(":")
        push(client, repository, tag, image)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/v2/").is_success
    except httpx.TransportError:
        return False


def _client(kubeconfig: Path) -> httpx.Client:
    """A client of the REST interface by kind's kubeconfig, whose certificates OpenSSL takes from files alone."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    certificate, key = kubeconfig.with_name("client.crt"), kubeconfig.with_name("client.key")
    for name, path in (("client-certificate-data", certificate), ("client-key-data", key)):
        path.touch(mode=0o600)
        path.write_bytes(base64.b64decode(user[name]))
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    context.load_cert_chain(certificate, key)
    return httpx.Client(base_url=cluster["server"], verify=context, trust_env=False, timeout=30)
