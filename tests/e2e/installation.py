"""Rightarch as an administrator installs it: the chart by helm, its processes on loopback beside the cluster.

The processes have the chart's own ServiceAccounts, by tokens of the real API server, so that they can do what the
chart's RBAC lets them do and nothing else. They are reached by `webhook.url`.
"""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx

from tests.controlplane import wait_for
from tests.support.helm import CHART, Helm
from tests.support.webhook import WebhookServer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.controlplane import ControlPlane

Object = dict[str, Any]

RELEASE = "rightarch"
NAMESPACE = "rightarch-system"
SECRET = "webhook-certificate"  # noqa: S105 - a name
TOKEN_LIFETIME = "4h"  # noqa: S105 - a time
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


class Release:
    """The chart as a release on a control plane, without processes; installed and removed on demand.

    Args:
        plane: the control plane.
        folder: where helm's caches and the kubeconfigs go.
        name: of the release.
        namespace: of the release; made with the restricted pod security standard enforced.
    """

    def __init__(self, plane: ControlPlane, folder: Path, name: str = RELEASE, namespace: str = NAMESPACE) -> None:
        self.plane = plane
        self.folder = folder
        self.name = name
        self.namespace = namespace
        self.helm = Helm(folder / "helm", plane.kubeconfig)

    def make_namespace(self) -> None:
        """Make the namespace as a careful administrator does."""
        metadata = {"name": self.namespace, "labels": RESTRICTED}
        self.plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    def install(self, values: Mapping[str, object], *args: str) -> str:
        """Install the chart, making the namespace first; returns what helm says."""
        self.make_namespace()
        return self._helm("install", values, *args)

    def upgrade(self, values: Mapping[str, object], *args: str) -> str:
        """Upgrade the release to these values; returns what helm says."""
        return self._helm("upgrade", values, *args)

    def uninstall(self) -> str:
        """Remove the release; returns what helm says."""
        return self.helm.run("uninstall", self.name, f"--namespace={self.namespace}", "--wait")

    def manifest(self) -> str:
        """What helm applied, as it keeps it."""
        return self.helm.run("get", "manifest", self.name, f"--namespace={self.namespace}")

    def account(self, component: str) -> str:
        """The name of a component's ServiceAccount."""
        return f"{self.name}-{component}"

    def kubeconfig(self, component: str) -> Path:
        """A kubeconfig with a token of the component's ServiceAccount, in place of the one made before."""
        account = self.account(component)
        token = self.plane.kubectl(
            "create", "token", account, f"--namespace={self.namespace}", f"--duration={TOKEN_LIFETIME}"
        )
        path = self.folder / f"{component}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(json.dumps(_with_token(self.plane.kubeconfig, account, token.strip())))
        return path

    def client(self, component: str) -> httpx.Client:
        """A client of the REST interface with a token of the component's ServiceAccount; to be closed by the caller."""
        config = json.loads(self.kubeconfig(component).read_text())
        headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
        context = ssl.create_default_context(cafile=self.plane.ca)
        return httpx.Client(base_url=self.plane.server, headers=headers, verify=context, trust_env=False, timeout=30)

    def _helm(self, command: str, values: Mapping[str, object], *args: str) -> str:
        return self.helm.run(command, self.name, str(CHART), f"--namespace={self.namespace}", *args, values=values)


class Installation:
    """A release with its processes running; a context manager that ends them and uninstalls.

    Args:
        plane: the control plane; its administrator installs.
        values: values of the chart beside those that make the processes reachable on loopback.
        registry_ca: certificate of the authority that signed the test registry's.
        options: further options of the webhook's command.
    """

    def __init__(
        self,
        plane: ControlPlane,
        *,
        values: Mapping[str, object] | None = None,
        registry_ca: Path | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self._cleaning = contextlib.ExitStack()
        self.folder = Path(self._cleaning.enter_context(tempfile.TemporaryDirectory(prefix="rightarch-")))
        self.release = Release(plane, self.folder)
        self.webhook = WebhookServer(
            self.folder / "webhook.kubeconfig", folder=self.folder, registry_ca=registry_ca, options=options
        )
        self._plane = plane
        self._values = dict(values or {})

    def __enter__(self) -> Self:
        with self._cleaning:  # what a failed start leaves
            self._start()
            self._cleaning = self._cleaning.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleaning.close()

    def values(self, **more: object) -> dict[str, object]:
        """The values that the chart was installed with, and others."""
        webhook = {"url": f"https://127.0.0.1:{self.webhook.port}"}
        authority = base64.b64encode(self.webhook.ca.read_bytes()).decode()
        certificates = {"mode": "secret", "secretName": SECRET, "caBundle": authority}
        return {"webhook": webhook, "certificates": certificates} | self._values | more

    def uninstall(self) -> None:
        """Remove the release; the processes go on, as those of a cluster do until they are ended."""
        self.release.uninstall()
        self._uninstalling.pop_all()

    def is_called(self) -> bool:
        """Whether a pod that is not really created passes the webhook: the API server takes a moment to know it."""
        metadata = {"generateName": "probe-", "namespace": "default"}
        spec = {"containers": [{"name": "probe", "image": "INVALID"}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        with self._plane.client() as client:
            answer = client.post("/api/v1/namespaces/default/pods", json=pod, params={"dryRun": "All"})
        labels = answer.raise_for_status().json()["metadata"].get("labels", {})
        return "rightarch.dev/decision" in labels

    def _start(self) -> None:
        self.release.install(self.values())
        self._uninstalling = self._cleaning.enter_context(contextlib.ExitStack())
        self._uninstalling.callback(self.release.uninstall)
        self.release.kubeconfig("webhook")
        self._cleaning.enter_context(self.webhook)
        wait_for(self.is_called)


def _with_token(kubeconfig: Path, account: str, token: str) -> Object:
    """An administrator's kubeconfig, with a token in place of the certificate."""
    config: Object = json.loads(kubeconfig.read_text())
    [context] = config["contexts"]
    return config | {
        "users": [{"name": account, "user": {"token": token}}],
        "contexts": [context | {"context": context["context"] | {"user": account}}],
    }
