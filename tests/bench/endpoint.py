"""The endpoint alone: reviews straight to Rightarch's server, beside a bare one and a no-op in Go."""

import copy
import ssl
import sys
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from tests.bench.figures import Measure, console, table
from tests.bench.reviews import send
from tests.bench.stage import Stage, process_seconds
from tests.controlplane import CertificateAuthority, Process, free_port

CONNECTIONS = (1, 8, 64)
SIZES = {"3 KB": 3_000, "30 KB": 30_000}
REQUESTS = {1: 2_000, 8: 6_000, 64: 6_000}
MANY = 100_000
MEASURES = (
    Measure("requests/s", ""),
    Measure("p50", "ms", 2),
    Measure("p99", "ms", 2),
    Measure("CPU", "ms of the server per request", 3),
)


@dataclass(frozen=True)
class Server:
    """A server that answers reviews."""

    url: str
    context: ssl.SSLContext
    pid: int


def main(stage: Stage, rounds: int) -> dict[str, Any]:
    """Measure, print, and return the medians per shape, server and measure; and memory over many requests."""
    stage.probe()  # Rightarch is to know the image
    with _bare() as bare:
        ours = Server(*_registered(stage), stage.webhook.process.pid)
        noop = Server(stage.noop.url, stage.noop.context(), stage.noop.process.pid)
        servers = {"no-op in Go": noop, "bare ASGI": bare, "Rightarch": ours}
        figures = {
            f"{size}, {connections} connections": _shape(servers, _review(stage, length), size, connections, rounds)
            for size, length in SIZES.items()
            for connections in CONNECTIONS
        }
        return {**figures, "memory": _memory(ours, _review(stage, SIZES["3 KB"]))}


def _registered(stage: Stage) -> tuple[str, ssl.SSLContext]:
    """Where the API server sends pods, and what it trusts there."""
    registered = stage.registration["webhooks"][0]["clientConfig"]
    return registered["url"], ssl.create_default_context(cadata=b64decode(registered["caBundle"]).decode())


def _shape(servers: dict[str, Server], body: bytes, size: str, connections: int, rounds: int) -> dict[str, Any]:
    results: dict[str, list[dict[str, float]]] = defaultdict(list)
    for server in servers.values():
        send(server.url, server.context, body, 500, connections)
    for _ in range(rounds):
        for name, server in servers.items():
            results[name].append(_measure(server, body, connections))
    title = f"a pod of {size}, {connections} connections: medians of {rounds} rounds, ratio to the first"
    return table(title, MEASURES, results)


def _measure(server: Server, body: bytes, connections: int) -> dict[str, float]:
    before = process_seconds(server.pid)
    sent = send(server.url, server.context, body, REQUESTS[connections], connections)
    return sent.figures() | {"CPU": (process_seconds(server.pid) - before) / REQUESTS[connections] * 1000}


def _memory(server: Server, body: bytes) -> dict[str, float]:
    """Resident memory before and after many requests, in MiB."""
    sizes = [_resident(server.pid)]
    for _ in range(2):
        send(server.url, server.context, body, MANY // 2, 8)
        sizes.append(_resident(server.pid))
    named = dict(zip(("before", f"after {MANY // 2}", f"after {MANY}"), sizes, strict=True))
    told = ", ".join(f"{when} requests: {size:.1f} MiB" for when, size in named.items())
    console.print(f"Memory of Rightarch's webhook {told}")
    return named


def _review(stage: Stage, length: int) -> bytes:
    """A review of a pod of about so many bytes, as the API server sends it."""
    pod = copy.deepcopy(stage.pod("samples/multi-arch:1.0"))
    pod["metadata"] = {"name": "bench", "namespace": "default", "labels": {"app": "bench"}}
    missing = length - len(orjson.dumps(pod))
    pod["spec"]["containers"][0]["env"] += [{"name": f"MORE_{i}", "value": "y" * 60} for i in range(missing // 90)]
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    resource = {"group": "", "version": "v1", "resource": "pods"}
    request = {
        "uid": "5b1f3c52-7a38-4b2b-9a0e-0f8f5c2d1a11",
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "namespace": "default",
        "name": "bench",
        "operation": "CREATE",
        "userInfo": {
            "username": "system:serviceaccount:kube-system:replicaset-controller",
            "groups": ["system:authenticated"],
        },
        "object": pod,
        "oldObject": None,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }
    return orjson.dumps({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request})


@contextmanager
def _bare() -> Iterator[Server]:
    with TemporaryDirectory(prefix="rightarch-bench-") as name:
        folder, port = Path(name), free_port()
        authority = CertificateAuthority(folder / "pki")
        certificate, key = authority.issue("bare")
        command: list[str | Path] = [sys.executable, "-m", "uvicorn", "tests.bench.bare:endpoint", f"--port={port}"]
        command += ["--loop=uvloop", "--http=httptools", "--lifespan=off", "--no-access-log", "--ws=none"]
        command += [f"--ssl-certfile={certificate}", f"--ssl-keyfile={key}"]
        log = folder / "bare.log"
        ready = lambda: log.exists() and "running on" in log.read_text()  # noqa: E731 - a line is all it is
        with Process("bare endpoint", command, log=log, ready=ready) as process:
            yield Server(f"https://127.0.0.1:{port}/", _trusting(authority.certificate), process.pid)


def _trusting(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca)


def _resident(pid: int) -> float:
    """Resident memory of a process, in MiB."""
    [line] = [each for each in Path(f"/proc/{pid}/status").read_text().splitlines() if each.startswith("VmRSS")]
    return int(line.split()[1]) / 1024
