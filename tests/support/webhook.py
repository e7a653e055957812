"""Rightarch's webhook as tests, demo and benchmarks run it: a process, and its registration at an API server."""

from __future__ import annotations

import base64
import contextlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.controlplane import CertificateAuthority, Process, free_port

from .metrics import Samples, metrics_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAME = "rightarch"
PATH = "/mutate/pods"
COMMAND = Path(sys.executable).with_name("rightarch")


def configuration(
    url: str, ca: Path | None, *, name: str = NAME, excluded: Sequence[str] = ("kube-system",), timeout: int = 30
) -> dict[str, Any]:
    """The MutatingWebhookConfiguration that registers Rightarch.

    Args:
        url: where the API server sends reviews, https://127.0.0.1:PORT/mutate/pods.
        ca: the certificate of the authority that signed the webhook's own; None for no bundle.
        name: of the object.
        excluded: namespaces whose pods are never sent.
        timeout: seconds that the API server waits; the most there is, for a machine that stalls. A webhook that works
            answers within its own budget.
    """
    webhook = {
        "name": "pods.rightarch.dev",
        "clientConfig": {"url": url}
        | ({"caBundle": base64.b64encode(ca.read_bytes()).decode()} if ca is not None else {}),
        "rules": [
            {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "scope": "*"}
        ],
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Ignore",
        "matchPolicy": "Equivalent",
        "reinvocationPolicy": "IfNeeded",
        "sideEffects": "NoneOnDryRun",
        "timeoutSeconds": timeout,
        "objectSelector": {},
        "namespaceSelector": {
            "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": list(excluded)}]
        },
        "matchConditions": [
            {"name": "not-bound", "expression": "!has(object.spec.nodeName) || object.spec.nodeName == ''"},
            {
                "name": "not-a-mirror-pod",
                "expression": "!has(object.metadata.annotations) || "
                "!('kubernetes.io/config.mirror' in object.metadata.annotations)",
            },
        ],
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [webhook],
    }


class WebhookServer:
    """Runs ``rightarch webhook`` on loopback as a context manager; ready when it has listed the Nodes.

    Args:
        kubeconfig: of the API server whose Nodes it watches.
        folder: where its certificate and log go; a temporary one if not given.
        registry_ca: certificate of the authority that signed the test registry's.
        secret: namespace and name of the Secret that it serves from, in place of the files of its own authority.
        options: further options of the command.
        log_level: of the process.
        environment: variables of the process beside those of this one.
    """

    def __init__(
        self,
        kubeconfig: Path,
        *,
        folder: Path | None = None,
        secret: tuple[str, str] | None = None,
        registry_ca: Path | None = None,
        options: Sequence[str] = (),
        log_level: str = "info",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.health_port = free_port()
        self._cleaning = contextlib.ExitStack()
        self.folder = folder or Path(self._cleaning.enter_context(tempfile.TemporaryDirectory(prefix="rightarch-")))
        self.ca, self.certificate, self.key = self._certificates()
        files = [f"--cert-file={self.certificate}", f"--key-file={self.key}"]
        source = [f"--namespace={secret[0]}", f"--certificate-secret={secret[1]}"] if secret else files
        trust = [f"--registry-ca-file={registry_ca}"] if registry_ca else []
        command: list[str | Path] = [
            COMMAND,
            "webhook",
            "--address=127.0.0.1",
            f"--port={self.port}",
            f"--health-port={self.health_port}",
            *source,
            f"--kubeconfig={kubeconfig}",
            f"--log-level={log_level}",
            "--allow-loopback-registries",
            "--drain-seconds=0",  # nobody is balanced away; those who test the draining give another value
            *trust,
            *options,
        ]
        self.process = Process(
            "rightarch webhook",
            command,
            log=self.folder / "webhook.log",
            ready=f"{self.health}/readyz",
            # TMPDIR is where the client keeps its keys, which a crash leaves behind
            environment={"TMPDIR": str(self.folder), **(environment or {})},
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
    def url(self) -> str:
        """Where reviews of pods go."""
        return f"https://127.0.0.1:{self.port}{PATH}"

    @property
    def health(self) -> str:
        """The base address of health and metrics."""
        return f"http://127.0.0.1:{self.health_port}"

    def configuration(self, **parts: Any) -> dict[str, Any]:  # noqa: ANN401 - those of the function of that name
        """The MutatingWebhookConfiguration that sends pods here."""
        return configuration(self.url, self.ca, **parts)

    def log(self) -> str:
        """All that it logged so far."""
        return self.process.log.read_text()

    def metrics(self) -> Samples:
        """Its metrics, by name with labels as they are exposed."""
        return metrics_of(self.health)

    def _certificates(self) -> tuple[Path, Path, Path]:
        authority = CertificateAuthority(self.folder / "webhook-pki")
        certificate, key = authority.issue("rightarch-webhook", sans=["127.0.0.1", "localhost"])
        return authority.certificate, certificate, key
