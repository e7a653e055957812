"""Rightarch's controller as tests, demo and benchmarks run it: a process beside an API server."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.controlplane import Process, free_port

from .metrics import Samples, metrics_of
from .webhook import COMMAND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .webhook import WebhookServer

NAMESPACE = "default"
LEASE = "rightarch-controller"


class ControllerServer:
    """Runs ``rightarch controller`` on loopback as a context manager; ready when it knows the Lease.

    Args:
        kubeconfig: of the API server whose workloads it watches.
        folder: where its log goes; a temporary one if not given.
        name: of its log.
        registry_ca: certificate of the authority that signed the test registry's.
        options: further options of the command.
        log_level: of the process.
    """

    def __init__(
        self,
        kubeconfig: Path,
        *,
        folder: Path | None = None,
        name: str = "controller",
        registry_ca: Path | None = None,
        options: Sequence[str] = (),
        log_level: str = "info",
    ) -> None:
        self.health_port = free_port()
        self._cleaning = contextlib.ExitStack()
        self.folder = folder or Path(self._cleaning.enter_context(tempfile.TemporaryDirectory(prefix="rightarch-")))
        trust = [f"--registry-ca-file={registry_ca}"] if registry_ca else []
        command: list[str | Path] = [
            COMMAND,
            "controller",
            f"--namespace={NAMESPACE}",
            f"--lease-name={LEASE}",
            "--address=127.0.0.1",
            f"--health-port={self.health_port}",
            f"--kubeconfig={kubeconfig}",
            f"--log-level={log_level}",
            "--allow-loopback-registries",
            *trust,
            *options,
        ]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = Process(
            "rightarch controller",
            command,
            log=self.folder / f"{name}.log",
            ready=f"{self.health}/readyz",
            environment={"TMPDIR": str(self.folder)},  # where the client keeps its keys, which a crash leaves behind
        )

    def __enter__(self) -> Self:
        with self._cleaning:  # what a failed start leaves
            self.process.__enter__()
            self._cleaning = self._cleaning.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self._cleaning:
            self.process.stop()

    @property
    def health(self) -> str:
        """The base address of health and metrics."""
        return f"http://127.0.0.1:{self.health_port}"

    @property
    def leads(self) -> bool:
        """Whether it is the replica that works."""
        return self.metrics().get("rightarch_leader") == 1

    def log(self) -> str:
        """All that it logged so far."""
        return self.process.log.read_text()

    def metrics(self) -> Samples:
        """Its metrics, by name with labels as they are exposed."""
        return metrics_of(self.health)


def workloads_configuration(webhook: WebhookServer, **parts: Any) -> dict[str, Any]:  # noqa: ANN401 - as there
    """The MutatingWebhookConfiguration that has a webhook decide on the templates of workloads.

    Args:
        webhook: which is asked.
        parts: of its ``configuration``.
    """
    item = webhook.configuration(name="rightarch-workloads", **parts)
    (entry,) = item["webhooks"]
    url = f"https://127.0.0.1:{webhook.port}/mutate/workloads"
    of_apps = {"apiGroups": ["apps"], "resources": ["daemonsets", "deployments", "statefulsets"]}
    of_batch = {"apiGroups": ["batch"], "resources": ["cronjobs"]}
    rule = {"operations": ["CREATE", "UPDATE"], "apiVersions": ["v1"], "scope": "*"}
    nested = "object.spec.jobTemplate.spec.template != oldObject.spec.jobTemplate.spec.template"
    changed = f"has(object.spec.jobTemplate) ? {nested} : object.spec.template != oldObject.spec.template"
    changes = {
        "name": "workloads.rightarch.dev",
        "clientConfig": entry["clientConfig"] | {"url": url},
        "rules": [rule | of_apps, rule | of_batch],
        "matchConditions": [{"name": "template-is-new", "expression": f"request.operation == 'CREATE' || ({changed})"}],
    }
    return {**item, "webhooks": [entry | changes]}
