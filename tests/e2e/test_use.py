"""What the processes do with their rights: all that they were given, and nothing that they were not."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from tests.controlplane import wait_for
from tests.images import SAMPLES, RegistryServer, push_samples
from tests.support import karpenter
from tests.support.installation import NAMESPACE, Installation

from .test_rights import AT_HOME, EVERYWHERE, REGISTRATION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.controlplane import ControlPlane

    from .audit import Audit

    Object = dict[str, Any]

DAY = 1.0
"""Seconds that count as a day: for as long, the use of an image is not written down again."""
RARE = {
    ("rightarch-controller", "patch imageplatforms.rightarch.dev"),
    ("rightarch-webhook", "get namespaces"),
}
"""What takes longer than a test, or is seldom so fast: the controller changes a fact when a tag that it looked up ahead
of pods has moved; the webhook reads a namespace whose first pod comes before any watch tells of it."""


PULLING: Object = {"imagePullSecrets": [{"name": "use"}]}


def pod(image: str, **parts: object) -> Object:
    """A pod with this image."""
    spec = {"containers": [{"name": "main", "image": image}], **parts}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "use-"}, "spec": spec}


def daemon_set(name: str, image: str, **parts: object) -> Object:
    """A DaemonSet with this image."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image}], **parts}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name}, "spec": spec}


def policy(prefix: str) -> Object:
    """A policy of the cluster or of a namespace, whose status is to be written."""
    kind = f"{prefix}ArchitecturePolicy"
    return {"apiVersion": "rightarch.dev/v1alpha1", "kind": kind, "metadata": {"name": "use"}, "spec": {}}


def held(image: str) -> Object:
    """A pod that waits for its image, where the webhook is not asked: the controller releases it."""
    item = pod(image, schedulingGates=[{"name": "rightarch.dev/platforms"}])
    return item | {"metadata": {"name": "use-held", "namespace": "kube-system"}}


def pull_secret(registry: str) -> Object:
    """The pull secret that pods and templates name."""
    content = {"auths": {registry: {"username": "anybody", "password": "any"}}}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "use", "namespace": "default"},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": json.dumps(content)},
    }


def granted() -> set[tuple[str, str]]:
    """Account, verb and resource of every right that is expected of the chart."""
    return {
        (f"rightarch-{component}", f"{verb} {right.split()[0]}")
        for component in ("webhook", "controller")
        for right in _expected(component)
        for verb in right.partition("] ")[2].split()
    }


def _expected(component: str) -> Iterable[str]:
    return EVERYWHERE[component] | AT_HOME[component] | ({REGISTRATION} if component == "controller" else set())


def test_every_right_is_used_and_nothing_else_is_asked_for(control_plane: ControlPlane, audit: Audit) -> None:
    """Ordinary days: pods come, with pull secrets and without, images are pushed late, replaced, and not used again."""
    control_plane.kubectl("delete", "lease", "rightarch-controller", f"--namespace={NAMESPACE}", "--ignore-not-found")
    mark = audit.mark()
    with contextlib.ExitStack() as stack:
        stack.callback(karpenter.undefine, control_plane)
        karpenter.define(control_plane)
        registry = stack.enter_context(RegistryServer())
        stack.callback(_tidy, control_plane)
        images = push_samples(registry)
        late = f"{registry.host}/samples/late:1.0"
        control_plane.apply(
            pull_secret(registry.host),
            daemon_set("older", images["samples/amd64-only:1.0"]),
            daemon_set("older-pulling", images["samples/arm64-only:1.0"], **PULLING),
        )
        options = [f"--facts-day={DAY}"]
        quickly = ["--list-interval=1", "--facts-retention=2"]
        with Installation(control_plane, webhook_options=options, controller_options=[*options, *quickly]):
            control_plane.apply(policy("Cluster"), policy(""), daemon_set("use", late))
            control_plane.apply(pod(images["samples/multi-arch:1.0"]))
            control_plane.apply(pod(images["samples/pair-amd64:1.0"], **PULLING))
            control_plane.apply(held(images["samples/multi-arch:1.0"]))
            registry.push("samples/late", "1.0", SAMPLES["samples/amd64-only:1.0"])

            def unused() -> set[tuple[str, str]]:
                control_plane.apply(pod(images["samples/multi-arch:1.0"]))
                time.sleep(DAY)
                return granted() - RARE - {(request.account, request.right) for request in audit.since(mark)}

            with contextlib.suppress(TimeoutError):
                wait_for(lambda: not unused(), seconds=150)
            assert unused() == set()
    requests = list(audit.since(mark))
    assert [request for request in requests if request.status == 403] == []
    assert {(request.account, request.right) for request in requests} | RARE == granted()


def _tidy(control_plane: ControlPlane) -> None:
    """Delete what may have been made."""
    gone = ["--ignore-not-found"]
    control_plane.kubectl("delete", "daemonset", "older", "older-pulling", "use", *gone)
    control_plane.kubectl("delete", "secret", "use", *gone)
    control_plane.kubectl("delete", "pod", "use-held", "--now", "--namespace=kube-system", *gone)
    control_plane.kubectl("delete", "cap,ap", "use", *gone)
