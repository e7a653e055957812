"""The objects of a workload, as a user writes them: no word about architectures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .scenario import DemoImage, Workload

Object = dict[str, Any]

APP = "app"


def manifest(workload: Workload, namespace: str, references: Mapping[str, str]) -> Object:
    """The object to create.

    Args:
        workload: what it is for.
        namespace: where it goes.
        references: the full names of the sample images.
    """
    version, spec = _BODIES[workload.kind](workload, _template(workload, references))
    labels = {APP: workload.name}
    metadata = {"name": workload.name, "namespace": namespace, "labels": labels}
    return {"apiVersion": version, "kind": workload.kind, "metadata": metadata, "spec": spec}


def _template(workload: Workload, references: Mapping[str, str]) -> Object:
    spec: Object = {
        "automountServiceAccountToken": False,  # a volume of random name would tell specs apart
        "containers": _containers(workload.images, references),
    }
    if workload.init_images:
        spec["initContainers"] = _containers(workload.init_images, references)
    if workload.kind in {"Job", "CronJob"}:
        spec["restartPolicy"] = "Never"
    return {"metadata": {"labels": {APP: workload.name}}, "spec": spec}


def _containers(images: Iterable[DemoImage], references: Mapping[str, str]) -> list[Object]:
    return [{"name": image.name, "image": references[image.sample]} for image in images]


def _pod(_: Workload, template: Object) -> tuple[str, Object]:
    return "v1", template["spec"]


def _deployment(workload: Workload, template: Object) -> tuple[str, Object]:
    selector = {"matchLabels": template["metadata"]["labels"]}
    return "apps/v1", {"replicas": workload.pods, "selector": selector, "template": template}


def _daemon_set(_: Workload, template: Object) -> tuple[str, Object]:
    return "apps/v1", {"selector": {"matchLabels": template["metadata"]["labels"]}, "template": template}


def _job(workload: Workload, template: Object) -> tuple[str, Object]:
    return "batch/v1", {"parallelism": workload.pods, "completions": workload.pods, "template": template}


def _cron_job(workload: Workload, template: Object) -> tuple[str, Object]:
    """Nightly: the demo has a run of it started by hand rather than wait for the night."""
    _, job = _job(workload, template)
    return "batch/v1", {"schedule": "0 3 * * *", "jobTemplate": {"spec": job}}


_BODIES = {"Pod": _pod, "Deployment": _deployment, "DaemonSet": _daemon_set, "Job": _job, "CronJob": _cron_job}
