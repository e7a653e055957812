"""A cluster with Rightarch's definitions, nodes of two architectures, a registry, and a webhook that is asked."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import httpx

from tests.controlplane import ControlPlane, Resources, fake_node, wait_for
from tests.generate import files
from tests.images import RegistryServer, push_samples

from .controller import workloads_configuration
from .webhook import WebhookServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.images import Image

    from .controller import ControllerServer

NODES = {"node-amd64": "amd64", "node-arm64": "arm64"}
NAMESPACE = "default"
TEMPLATE = "rightarch.dev/template"
"""The annotation that says what was decided on a template."""
Object = dict[str, Any]


@dataclass
class World:
    """What the tests of the whole operator run on; made by ``world``.

    Attributes:
        plane: the control plane, to be restarted.
        registry: with the sample images.
        webhook: asked about pods and DaemonSets of all namespaces but kube-system.
        references: full names of the sample images, by repository and tag.
        client: of the REST interface, as the administrator.
    """

    MARGIN: ClassVar = 0.3
    """Seconds in which what must not come would come, on a machine that has nothing else to do."""

    plane: ControlPlane
    registry: RegistryServer
    webhook: WebhookServer
    references: Mapping[str, str]
    client: httpx.Client

    def image(self, sample: str) -> str:
        """The full name of a sample image by its short name, such as amd64-only."""
        return self.references[f"samples/{sample}:1.0"]

    def push(self, name: str, image: Image) -> str:
        """Push an image under a new name, ``repository:tag``; gives its full name."""
        repository, _, tag = name.partition(":")
        self.registry.push(repository, tag, image)
        return f"{self.registry.host}/{name}"

    def create(self, item: Object) -> Object:
        """Create an object."""
        response = self.client.post(Resources(self.client).path(item), json=item)
        stored: Object = response.raise_for_status().json()
        return stored

    def get(self, kind: str, name: str) -> Object:
        """An object of apps/v1 in the default namespace, such as (daemonsets, agent)."""
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/{kind}/{name}"
        found: Object = self.client.get(path).raise_for_status().json()
        return found

    def pods(self, app: str) -> list[Object]:
        """The pods with a label app that are not about to go."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods"
        items = self.client.get(path, params={"labelSelector": f"app={app}"}).raise_for_status().json()["items"]
        return [pod for pod in items if not pod["metadata"].get("deletionTimestamp")]

    def lookups(self) -> float:
        """How many look-ups the webhook has done so far."""
        found = self.webhook.metrics().items()
        return sum(value for name, value in found if name.startswith("rightarch_lookups_total"))

    @contextlib.contextmanager
    def registry_away(self) -> Iterator[None]:
        """End the registry as a crash would; it is started again when the block ends, however it ends."""
        self.registry.process.kill()
        try:
            yield
        finally:
            self.registry.process.start()
            self.registry.process.wait_ready()

    def known(self, controller: ControllerServer, reference: str) -> None:
        """Wait until the cluster holds a fact about an image, and the webhook has seen all that the cluster holds."""
        with contextlib.suppress(TimeoutError):
            wait_for(lambda: reference in self._facts())
        assert reference in self._facts(), controller.process.report(f"let {reference} be unknown")
        assert controller.process.running
        wait_for(self._is_seen)

    def warm(self, image: str) -> None:
        """Wait until the webhook knows the platforms of an image: a registry that is slow for once has told them."""
        wait_for(lambda: '"Constrained"' in self.said_of(image))

    def decided(self, item: Object) -> Object:
        """Create a DaemonSet, and once more if the registry was too slow to be heard in its admission."""
        return wait_for(lambda: self._in_time(item)) or {}

    def _in_time(self, item: Object) -> Object | None:
        """A DaemonSet as it was stored; None, and it is gone again, where its images were not known in time."""
        stored = self.create(item)
        if '"TimedOut"' not in stored["metadata"].get("annotations", {}).get(TEMPLATE, ""):
            return stored
        path = f"{Resources(self.client).path(item)}/{item['metadata']['name']}"
        self.client.delete(path).raise_for_status()
        wait_for(lambda: self.client.get(path).status_code == httpx.codes.NOT_FOUND)
        return None

    def said_of(self, image: str) -> str:
        """What is said of a DaemonSet of an image that is not really created."""
        item = workload("DaemonSet", "probe", image)
        answer = self.client.post(Resources(self.client).path(item), params={"dryRun": "All"}, json=item)
        said: str = answer.raise_for_status().json()["metadata"].get("annotations", {}).get(TEMPLATE, "")
        return said

    def _is_seen(self) -> bool:
        """Whether the webhook has as many facts as the cluster, which gets none meanwhile."""
        before, metrics = self._facts(), self.webhook.metrics()
        seen = metrics["rightarch_image_facts"] + metrics["rightarch_image_facts_untrusted"]
        return seen == len(before) and self._facts() == before

    def _facts(self) -> list[str]:
        """The references; none while the API server, just restarted, still answers 429."""
        response = self.client.get("/apis/rightarch.dev/v1alpha1/imageplatforms")
        items = response.json()["items"] if response.is_success else []
        return [item["spec"]["reference"] for item in items]


@contextlib.contextmanager
def world(*, gating: bool = False) -> Iterator[World]:
    """Start everything but a controller.

    Args:
        gating: whether the webhook follows the controller's Lease, and holds pods while one lives.
    """
    with contextlib.ExitStack() as stack:
        plane = stack.enter_context(ControlPlane())
        for path, text in files().items():
            if path.parent.name == "crds" and "files" not in path.parts:
                plane.kubectl("apply", "-f", "-", input=text)
        plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        plane.apply(*(fake_node(name, architecture) for name, architecture in NODES.items()))
        registry = stack.enter_context(RegistryServer())
        references = push_samples(registry)
        options = [f"--namespace={NAMESPACE}"] if gating else []
        webhook = stack.enter_context(WebhookServer(plane.kubeconfig, options=options))
        client = stack.enter_context(plane.client())
        made = World(plane, registry, webhook, references, client)
        plane.apply(webhook.configuration(), workloads_configuration(webhook))
        wait_for(lambda: _is_asked(made))
        yield made


def template(app: str, image: str, **spec: object) -> Object:
    """A pod template of one container."""
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "c", "image": image}], **spec}}


def workload(kind: str, name: str, image: str, **more: object) -> Object:
    """A Deployment, StatefulSet or DaemonSet of one container; further members go into its spec."""
    spec = {"selector": {"matchLabels": {"app": name}}, "template": template(name, image), **more}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}


def cron_job(name: str, image: str) -> Object:
    """A nightly CronJob of one container: in a test its first run is started by hand."""
    job = {"spec": {"template": template(name, image, restartPolicy="Never")}}
    metadata = {"name": name, "namespace": NAMESPACE}
    spec = {"schedule": "0 3 * * *", "jobTemplate": job}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec}


def _is_asked(made: World) -> bool:
    """Whether a DaemonSet that is not really created passes the webhook: the API server takes a moment to know it."""
    return bool(made.said_of(made.image("amd64-only")))
