"""What `make kind` has docker and kind do: the image, the cluster, and beside it a registry and KWOK."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import yaml

from tests.controlplane.cluster import STAGES
from tests.controlplane.components import COMPONENTS
from tests.controlplane.nodes import ANNOTATION

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "kind-config.yaml"
CLUSTER = yaml.safe_load(CONFIG.read_text())["name"]
NETWORK = "kind"
REGISTRY = "rightarch-registry"
REGISTRY_IMAGE = "registry:3"
REGISTRY_PORT = 5000
KWOK = "rightarch-kwok"
KWOK_IMAGE = f"registry.k8s.io/kwok/kwok:{COMPONENTS['kwok'].version}"


class ToolError(Exception):
    """docker or kind is missing, or failed; carries what it wrote to standard error."""


def run(*command: str | Path, show: bool = False) -> str:
    """Run a command of docker or kind; returns its standard output, or shows it.

    Raises:
        ToolError: it failed, or is not there.
    """
    name = str(command[0])
    if not shutil.which(name):
        raise ToolError(f"{name} is not on PATH; `make kind` needs docker and kind")
    pipe = None if show else subprocess.PIPE
    done = subprocess.run([str(part) for part in command], stdout=pipe, stderr=pipe, text=True, check=False)
    if done.returncode:
        raise ToolError(f"{' '.join(map(str, command))}: {(done.stderr or 'failed').strip()}")
    return done.stdout or ""


def check() -> None:
    """Find out at once whether docker answers and kind is there.

    Raises:
        ToolError: not so.
    """
    run("docker", "version", "--format={{.Server.Version}}")
    run("kind", "version")


def create_cluster(kubeconfig: Path) -> None:
    """Make the cluster, and write a kubeconfig of its administrator."""
    run("kind", "create", "cluster", f"--config={CONFIG}", f"--kubeconfig={kubeconfig}", "--wait=180s", show=True)


def delete_cluster() -> None:
    """Remove the cluster, and what runs beside it, whichever there is."""
    run("kind", "delete", "cluster", f"--name={CLUSTER}", show=True)
    run("docker", "rm", "--force", "--volumes", REGISTRY, KWOK)


def load_image(image: str) -> None:
    """Build Rightarch's image and bring it into the cluster's nodes."""
    run("docker", "build", f"--tag={image}", ROOT, show=True)
    run("kind", "load", "docker-image", image, f"--name={CLUSTER}", show=True)


def create_registry() -> None:
    """Make a registry in the network of the cluster, without starting it: its certificate needs its address."""
    settings = {
        "OTEL_TRACES_EXPORTER": "none",
        "REGISTRY_HTTP_TLS_CERTIFICATE": "/tls.crt",
        "REGISTRY_HTTP_TLS_KEY": "/tls.key",
    }
    environment = [f"--env={name}={value}" for name, value in settings.items()]
    publish = f"--publish=127.0.0.1::{REGISTRY_PORT}"
    run("docker", "create", f"--name={REGISTRY}", f"--network={NETWORK}", publish, *environment, REGISTRY_IMAGE)


def start_registry(certificate: Path, key: Path) -> None:
    """Give the registry its certificate and start it."""
    run("docker", "cp", certificate, f"{REGISTRY}:/tls.crt")
    run("docker", "cp", key, f"{REGISTRY}:/tls.key")
    run("docker", "start", REGISTRY)


def published_registry() -> str:
    """Host and port under which this machine reaches the registry."""
    return run("docker", "port", REGISTRY, str(REGISTRY_PORT)).splitlines()[0]


def start_kwok(folder: Path) -> None:
    """Have KWOK simulate the nodes that have its annotation; it reaches the API server through the cluster's network.

    Args:
        folder: where its kubeconfig is left.
    """
    kubeconfig = folder / "kwok.kubeconfig"
    kubeconfig.write_text(run("kind", "get", "kubeconfig", "--internal", f"--name={CLUSTER}"))
    flags = [
        "--kubeconfig=/kubeconfig",
        "--config=/stages.yaml",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={ANNOTATION}=fake",
        "--node-lease-duration-seconds=40",
    ]
    made = ["docker", "create", f"--name={KWOK}", f"--network={NETWORK}", "--restart=unless-stopped", "--user=0"]
    run(*made, "--entrypoint=kwok", KWOK_IMAGE, *flags)
    run("docker", "cp", kubeconfig, f"{KWOK}:/kubeconfig")
    run("docker", "cp", STAGES, f"{KWOK}:/stages.yaml")
    run("docker", "start", KWOK)
