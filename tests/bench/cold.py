"""Cold images: what the first pod of an image costs, in requests to the registry and in time."""

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.bench.delay import Delay
from tests.bench.figures import console
from tests.bench.stage import NAMESPACE, Stage, labelled
from tests.controlplane import CertificateAuthority
from tests.images import RegistryServer, TokenServer
from tests.images.images import Entry, Image, attested, index, single
from tests.support.webhook import WebhookServer

LATENCIES = (0, 20, 200)
PODS = 50
SAMPLES = 5


def main(stage: Stage, rounds: int) -> dict[str, Any]:  # noqa: ARG001 - one form for all parts
    """Measure, print, and return requests per case, and seconds per latency."""
    with _registry() as (registry, tokens, folder), _webhook(stage, folder) as webhook:
        stage.register(webhook.configuration(), labelled)
        figures = {
            "requests": _requests(stage, registry, tokens),
            "look-ups": _together(stage, registry, tokens),
            "milliseconds": {latency: _delayed(stage, registry, latency) for latency in LATENCIES},
        }
        stage.clear()
    return figures


def _requests(stage: Stage, registry: RegistryServer, tokens: TokenServer) -> dict[str, int]:
    """Requests for one image, the token service's among them, by what is known beforehand."""
    cases = {
        "nothing known": ("cold/first", index(Entry(single("linux/amd64", "1"), "linux/amd64"))),
        "realm known": ("cold/second", index(Entry(single("linux/amd64", "2"), "linux/amd64"))),
        "token known": ("cold/second", index(Entry(single("linux/amd64", "3"), "linux/amd64"))),
        "token known, single-arch": ("cold/second", single("linux/arm64", "4")),
    }
    counts = {}
    for number, (case, (repository, image)) in enumerate(cases.items()):
        _push(registry, tokens, repository, f"t{number}", image)
        _create(stage, f"{registry.host}/{repository}:t{number}")
        counts[case] = len(registry.requests()) + len(tokens.requests)
        console.print(f"requests to the registry and its token service, {case}: {counts[case]}")
    return counts


def _together(stage: Stage, registry: RegistryServer, tokens: TokenServer) -> int:
    """Requests for one unknown image that many pods bring at the same time."""
    _push(registry, tokens, "cold/second", "together", attested("linux/amd64", "linux/arm64", salt="together"))
    with ThreadPoolExecutor(PODS) as pool:
        list(pool.map(lambda _: _create(stage, f"{registry.host}/cold/second:together"), range(PODS)))
    count = sum("together" in each.path for each in registry.requests())
    console.print(f"requests for one unknown image that {PODS} pods bring at the same time: {count}")
    return count


def _delayed(stage: Stage, registry: RegistryServer, latency: int) -> float:
    """The median time to create the first pod of an image, in ms: it can be scheduled once it is created."""
    took = []
    with Delay(registry.port, latency / 1000) as port:
        for number in range(SAMPLES):
            name = f"d{latency}-{number}"
            registry.push("cold/delayed", name, attested("linux/amd64", "linux/arm64", salt=name))
            begun = time.perf_counter()
            reason = _create(stage, f"127.0.0.1:{port}/cold/delayed:{name}")
            took.append((time.perf_counter() - begun) * 1000)
            assert reason == "Constrained", reason
    middle = statistics.median(took)
    console.print(
        f"first pod of an image, registry {latency} ms away: {middle:.0f} ms ({min(took):.0f} to {max(took):.0f})"
    )
    return middle


def _push(registry: RegistryServer, tokens: TokenServer, repository: str, tag: str, image: Image) -> None:
    registry.push(repository, tag, image)
    registry.forget()
    tokens.requests.clear()


def _create(stage: Stage, image: str) -> str:
    """Create a pod; gives the Reason that it was labelled with."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "cold-"},
        "spec": {"containers": [{"name": "c", "image": image}]},
    }
    answer = stage.client.post(f"/api/v1/namespaces/{NAMESPACE}/pods", json=pod)
    reason: str = answer.raise_for_status().json()["metadata"]["labels"]["rightarch.dev/decision"]
    return reason


@contextmanager
def _registry() -> Iterator[tuple[RegistryServer, TokenServer, Path]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="rightarch-bench-")))
        authority = CertificateAuthority(folder / "pki")
        tokens = stack.enter_context(TokenServer(authority))
        registry = stack.enter_context(RegistryServer(authority=authority, tokens=tokens))
        yield registry, tokens, folder


@contextmanager
def _webhook(stage: Stage, folder: Path) -> Iterator[WebhookServer]:
    """A webhook that knows nothing yet."""
    options = ["--lookup-budget=3"]
    kubeconfig = stage.installation.release.kubeconfig("webhook")
    with WebhookServer(kubeconfig, registry_ca=folder / "pki" / "ca.crt", options=options) as webhook:
        yield webhook
