"""Rightarch as an administrator installs it: the chart by helm, its processes on loopback beside the cluster.

The processes have the chart's own ServiceAccounts, by tokens of the real API server, so that they can do what the
chart's RBAC lets them do and nothing else. They are reached by `webhook.url`.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx

from tests.controlplane import Process, free_port, wait_for
from tests.support.helm import CHART, Helm, HelmError
from tests.support.metrics import Samples, metrics_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.controlplane import ControlPlane

Object = dict[str, Any]

RELEASE = "rightarch"
NAMESPACE = "rightarch-system"
DECISION = "rightarch.dev/decision"
COMMAND = Path(sys.executable).with_name("rightarch")
NOWHERE = "127.0.0.1:9/rightarch"  # or the controller would ask a registry out there for the image of its own pods
TOKEN_LIFETIME = "168h"  # noqa: S105 - a time; a demo that was left up goes on for so long
PATIENT = ("--lookup-budget=3",)
"""Options of a webhook that waits for an image as long as it can be told to: a busy machine takes its time."""
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
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.namespace = namespace
        self.helm = Helm(folder / "helm", plane.kubeconfig)

    def make_namespace(self) -> None:
        """Make the namespace as a careful administrator does."""
        metadata = {"name": self.namespace, "labels": RESTRICTED}
        self.plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    def install(self, values: Mapping[str, object], *args: str) -> str:
        """Install the chart, making the namespace first; returns what helm says. What fails leaves no release."""
        self.make_namespace()
        try:
            return self._helm("install", values, *args)
        except HelmError:
            with contextlib.suppress(HelmError):  # there may be none
                self.uninstall()
            raise

    def upgrade(self, values: Mapping[str, object], *args: str) -> str:
        """Upgrade the release to these values; returns what helm says."""
        return self._helm("upgrade", values, *args)

    def uninstall(self, *, releasing: bool = False) -> str:
        """Remove the release; returns what helm says.

        Args:
            releasing: whether the Job runs that releases pods first. KWOK only pretends to run it.
        """
        hooks = [] if releasing else ["--no-hooks"]
        return self.helm.run("uninstall", self.name, f"--namespace={self.namespace}", "--wait", *hooks)

    def manifest(self) -> str:
        """What helm applied, as it keeps it."""
        return self.helm.run("get", "manifest", self.name, f"--namespace={self.namespace}")

    def arguments(self, component: str) -> list[str]:
        """The arguments of the component's container, as the Deployment has them."""
        path = "--output=jsonpath={.spec.template.spec.containers[0].args}"
        found = self.plane.kubectl("get", "deployment", self.account(component), f"--namespace={self.namespace}", path)
        arguments: list[str] = json.loads(found)
        return arguments

    def account(self, component: str) -> str:
        """The name of a component's ServiceAccount, which is that of its Deployment."""
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


class Replica:
    """A process of the chart on loopback: the very command of its Deployment, under its ServiceAccount.

    Args:
        release: an installed release.
        component: webhook or controller.
        port: of the admission endpoint.
        options: of the command, in place of the chart's or beside them.
    """

    def __init__(
        self, release: Release, component: str, *, port: int | None = None, options: Sequence[str] = ()
    ) -> None:
        self.port = port or free_port()
        self.health_port = free_port()
        name = f"{component}-{self.health_port}"
        here = ["--address=127.0.0.1", f"--health-port={self.health_port}", "--allow-loopback-registries"]
        if component == "webhook":
            here.append(f"--port={self.port}")
        self.process = Process(
            f"rightarch {name}",
            [COMMAND, *release.arguments(component), *here, f"--kubeconfig={release.kubeconfig(component)}", *options],
            log=release.folder / f"{name}.log",
            ready=f"{self.health}/readyz",
            environment={"TMPDIR": str(release.folder)},  # where the client keeps its keys, which a crash leaves behind
        )

    def __enter__(self) -> Self:
        self.process.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()  # draining is for those who test it

    @property
    def health(self) -> str:
        """The base address of health and metrics."""
        return f"http://127.0.0.1:{self.health_port}"

    def log(self) -> str:
        """All that it logged so far."""
        return self.process.log.read_text()

    def metrics(self) -> Samples:
        """Its metrics, by name with labels as they are exposed."""
        return metrics_of(self.health)


class Installation:
    """A release with its processes running; a context manager that ends them and uninstalls.

    Args:
        plane: the control plane; its administrator installs.
        values: values of the chart beside the address of the webhook and the image.
        webhook_options: further options of the webhook's command.
        controller_options: further options of the controller's command.
        folder: where its files go, which stay; a temporary one if not given.
        lasting: whether the release stays when the block ends; its processes end.

    Attributes:
        release: the release.
        webhook: the replica that answers.
        controller: the replica that leads.
    """

    webhook: Replica
    controller: Replica

    def __init__(
        self,
        plane: ControlPlane,
        *,
        values: Mapping[str, object] | None = None,
        webhook_options: Sequence[str] = (),
        controller_options: Sequence[str] = (),
        folder: Path | None = None,
        lasting: bool = False,
    ) -> None:
        self._cleaning = contextlib.ExitStack()
        self.release = Release(plane, folder or Path(self._cleaning.enter_context(_temporary())))
        self._lasting = lasting
        self._plane = plane
        self._values = dict(values or {})
        self._webhook_options, self._controller_options = webhook_options, controller_options
        self._port = free_port()

    def __enter__(self) -> Self:
        with self._cleaning:  # what a failed start leaves
            self._start()
            self._cleaning = self._cleaning.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleaning.close()

    def values(self, **webhook: object) -> dict[str, object]:
        """The values that the chart was installed with, and others for the webhook."""
        given = self._values.get("webhook", {})
        assert isinstance(given, dict)
        address = {"url": f"https://127.0.0.1:{self._port}"}
        return {"image": {"repository": NOWHERE}} | self._values | {"webhook": address | given | webhook}

    def uninstall(self, *, releasing: bool = False) -> None:
        """Remove the release, as there; the processes go on, as those of a cluster do until they are ended."""
        self.release.uninstall(releasing=releasing)
        self._uninstalling.pop_all()  # else it is done once more in the end

    def is_called(self) -> bool:
        """Whether a pod that is not really created passes the webhook: the API server takes a moment to know it."""
        spec = {"containers": [{"name": "probe", "image": "INVALID"}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "probe-"}, "spec": spec}
        with self._plane.client() as client:
            answer = client.post("/api/v1/namespaces/default/pods", json=pod, params={"dryRun": "All"})
        return DECISION in answer.raise_for_status().json()["metadata"].get("labels", {})

    def _start(self) -> None:
        self.release.install(self.values())
        self._uninstalling = self._cleaning.enter_context(contextlib.ExitStack())
        if not self._lasting:
            self._uninstalling.callback(self.release.uninstall)
        controller = Replica(self.release, "controller", options=self._controller_options)
        self.controller = self._cleaning.enter_context(controller)
        webhook = Replica(self.release, "webhook", port=self._port, options=self._webhook_options)
        self.webhook = self._cleaning.enter_context(webhook)
        wait_for(self.is_called)


def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="rightarch-")


def _with_token(kubeconfig: Path, account: str, token: str) -> Object:
    """An administrator's kubeconfig, with a token in place of the certificate."""
    config: Object = json.loads(kubeconfig.read_text())
    [context] = config["contexts"]
    return config | {
        "users": [{"name": account, "user": {"token": token}}],
        "contexts": [context | {"context": context["context"] | {"user": account}}],
    }
