"""A webhook whose certificate is kept by the controller, on a real API server, as the tests look at it."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rightarch.certificates import Held
from tests.support.webhook import PATH, configuration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import httpx

    from tests.controlplane import ControlPlane

SECRET = "webhook-certificate"  # noqa: S105 - a name
REVIEW = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": "1",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "operation": "CREATE",
        "namespace": "default",
        "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {"containers": []}},
    },
}


@dataclass(frozen=True)
class Site:
    """A namespace with a Secret, and a configuration of two webhooks, of which the first refuses pods if it fails.

    Attributes:
        plane: the control plane.
        api: a client of it.
        name: of the namespace, of the configuration, and first part of its webhooks' names.
        port: on which the API server expects the webhook.
    """

    plane: ControlPlane
    api: httpx.Client
    name: str
    port: int

    @property
    def secret_path(self) -> str:
        """Where the Secret is."""
        return f"/api/v1/namespaces/{self.name}/secrets/{SECRET}"

    @property
    def configuration_path(self) -> str:
        """Where the configuration is."""
        return f"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{self.name}"

    @property
    def pods(self) -> str:
        """The collection of pods that are sent to the webhook."""
        return f"/api/v1/namespaces/{self.name}/pods"

    @property
    def options(self) -> list[str]:
        """Options of a controller that keeps this certificate."""
        return [
            f"--namespace={self.name}",
            "--certificates=self-managed",
            f"--certificate-secret={SECRET}",
            f"--webhook-configuration={self.name}",
            "--webhook-host=127.0.0.1",
        ]

    def make_namespace(self) -> None:
        """Make the namespace, and the account that its pods need."""
        self.plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}})
        account = {"apiVersion": "v1", "kind": "ServiceAccount"}
        self.plane.apply(account | {"metadata": {"name": "default", "namespace": self.name}})

    def make_secret(self, held: Held | None = None) -> None:
        """Make the Secret as the chart does: empty; or with what it is to hold."""
        metadata = {"name": SECRET, "namespace": self.name}
        data = {key: encoded(text) for key, text in (held or Held()).data().items() if text}
        self.plane.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})

    def make_configuration(self, ca: Path | None = None) -> None:
        """Make the configuration: as the chart does, without a bundle, or with one."""
        made = configuration(f"https://127.0.0.1:{self.port}{PATH}", ca, name=self.name)
        first = made["webhooks"][0] | {"name": f"{self.name}.rightarch.dev", "failurePolicy": "Fail"}
        first["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": self.name}}
        rule = first["rules"][0] | {"apiGroups": ["tests.rightarch.dev"], "resources": ["trials"]}
        second = first | {"name": f"second.{self.name}.rightarch.dev", "rules": [rule]}
        self.plane.apply(made | {"webhooks": [first, second]})

    def remove(self) -> None:
        """Remove the configuration, so that nobody else's pods meet it."""
        self.plane.kubectl("delete", "mutatingwebhookconfiguration", self.name, "--ignore-not-found")

    def held(self) -> Held:
        """What the Secret holds."""
        data = self.api.get(self.secret_path).raise_for_status().json().get("data") or {}
        return Held.parse({key: base64.b64decode(value) for key, value in data.items()})

    def bundles(self) -> list[str]:
        """The bundle of each webhook, in PEM."""
        webhooks = self.api.get(self.configuration_path).raise_for_status().json()["webhooks"]
        return [base64.b64decode(each["clientConfig"].get("caBundle", "")).decode() for each in webhooks]

    def wipe(self) -> None:
        """Take the bundles away, as an upgrade might that renders them empty."""
        operations = [{"op": "remove", "path": f"/webhooks/{index}/clientConfig/caBundle"} for index in (0, 1)]
        headers = {"Content-Type": "application/json-patch+json"}
        self.api.patch(self.configuration_path, content=json.dumps(operations), headers=headers).raise_for_status()

    def create(self, *, dry_run: bool = True) -> httpx.Response:
        """Create a pod; the response says whether it was admitted."""
        spec = {"containers": [{"name": "main", "image": "no:reference:at:all"}]}  # decided without a look-up
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "pod-"}, "spec": spec}
        return self.api.post(self.pods, json=pod, params={"dryRun": "All"} if dry_run else {})

    def failures(self) -> dict[str, float]:
        """How often the API server got no answer from these webhooks, by the metrics that count it."""
        names = ("apiserver_admission_webhook_fail_open_count", "apiserver_admission_webhook_rejection_count")
        lines = self.api.get("/metrics").raise_for_status().text.splitlines()
        own = [line for line in lines if line.startswith(names) and f'name="{self.name}.' in line]
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in own}

    def handshake(self, bundle: str) -> str:
        """Connect as the API server does with this bundle.

        Returns:
            The fingerprint of the certificate that is served.

        Raises:
            ssl.SSLError: it is not trusted.
        """
        with self.connect(bundle) as connection:
            return fingerprint(connection)

    def connect(self, bundle: str) -> ssl.SSLSocket:
        """A connection to the webhook, trusted by this bundle."""
        context = ssl.create_default_context(cadata=bundle)
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        try:
            return context.wrap_socket(raw, server_hostname="127.0.0.1")
        except BaseException:
            raw.close()
            raise


def encoded(text: str) -> str:
    """As it is in a Secret or a bundle."""
    return base64.b64encode(text.encode()).decode()


def fingerprint(connection: ssl.SSLSocket) -> str:
    """Of the certificate that a connection was opened with."""
    der = connection.getpeercert(binary_form=True)
    assert der, "there is one after the handshake"
    return hashlib.sha256(der).hexdigest()


def fingerprint_of(chain: str) -> str:
    """Of a certificate in PEM."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(chain)).hexdigest()


def review(connection: ssl.SSLSocket) -> Mapping[str, Any]:
    """Send a review over an open connection, which stays open, and return the response in the answer."""
    body = json.dumps(REVIEW)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall((head + body).encode())
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    assert answer.status == 200
    found: dict[str, Any] = json.loads(answer.read())["response"]
    return found
