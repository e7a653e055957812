"""AdmissionReviews of workloads: which ones are decided on, and which pass."""

from typing import Any

import orjson
import pytest

from rightarch.webhook.review import Refused, read_workload

KIND = {"group": "apps", "version": "v1", "kind": "DaemonSet"}


def daemon_set(image: object = "app", **metadata: object) -> dict[str, Any]:
    """A DaemonSet of one image."""
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    return {"metadata": {"name": "agent", **metadata}, "spec": {"template": template}}


def review(**request: object) -> bytes:
    """A review of a DaemonSet's creation, with other members where given."""
    usual = {"uid": "u1", "kind": KIND, "operation": "CREATE", "namespace": "shop", "object": daemon_set()}
    return orjson.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": usual | request})


def update(new: object, old: object) -> bytes:
    """A review of a change."""
    return review(operation="UPDATE", object=new, oldObject=old)


def test_a_daemon_set_that_is_created_is_read() -> None:
    """Whole, as it came."""
    found = read_workload(review(dryRun=True))
    assert (found.uid, found.subject, found.namespace, found.name, found.dry_run) == (
        "u1",
        daemon_set(),
        "shop",
        "agent",
        True,
    )


def test_a_change_of_the_template_is_read() -> None:
    """It rolls the pods anyhow."""
    assert read_workload(update(daemon_set("next"), daemon_set())).subject == daemon_set("next")


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_a_template_of_any_kind_is_read(kind: str) -> None:
    """The review says of which kind, for policies ask."""
    found = read_workload(review(kind={**KIND, "kind": kind}))
    assert (found.subject, found.kind) == (daemon_set(), kind)


def test_the_template_of_a_cron_job_stands_deeper() -> None:
    """Only a change there is a new template; its schedule may change."""
    kind = {"group": "batch", "version": "v1", "kind": "CronJob"}

    def cron_job(image: str, schedule: str = "@daily") -> dict[str, Any]:
        spec = {"schedule": schedule, "jobTemplate": {"spec": daemon_set(image)["spec"]}}
        return {"metadata": {"name": "nightly"}, "spec": spec}

    changed = review(kind=kind, operation="UPDATE", object=cron_job("next"), oldObject=cron_job("app"))
    moved = review(kind=kind, operation="UPDATE", object=cron_job("app", "@hourly"), oldObject=cron_job("app"))
    assert read_workload(changed).subject == cron_job("next")
    assert read_workload(moved).subject is None


@pytest.mark.parametrize(
    "body",
    [
        update(daemon_set(annotations={"team": "a"}), daemon_set()),
        update(daemon_set("next", deletionTimestamp="2026-01-01T00:00:00Z"), daemon_set()),
        review(operation="DELETE", object=None, oldObject=daemon_set()),
        review(subResource="status", operation="UPDATE", oldObject=daemon_set("old")),
        review(kind={**KIND, "kind": "ReplicaSet"}),
        review(kind={**KIND, "group": "extensions"}),
    ],
    ids=["metadata", "being deleted", "deleted", "status", "another kind", "another group"],
)
def test_what_needs_no_new_decision_passes(body: bytes) -> None:
    """A change of the template then would be a rollout that nobody asked for."""
    assert read_workload(body).subject is None


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        review(object=None),
        review(object={"metadata": {}, "spec": {}}),
        review(object={"metadata": {}, "spec": {"template": {}}}),
        review(object={"metadata": [], "spec": {"template": {"spec": {}}}}),
        update(daemon_set(), None),
        review(object=daemon_set(labels=[])),
        review(object=daemon_set(ownerReferences=["x"])),
        review(object=daemon_set(image=7)),
        update(daemon_set(), daemon_set(image=7)),
    ],
)
def test_what_is_no_review_is_refused(body: bytes) -> None:
    """With status 400: the API server counts it as a failure, and admits."""
    with pytest.raises(Refused) as refused:
        read_workload(body)
    assert refused.value.status == 400
