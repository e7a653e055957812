"""Admission where Rightarch itself fails: nobody else pays for it, and it is told once in a while."""

import json
import logging
import time
from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest

from rightarch import logs
from rightarch.keychains import Keychains, Known
from rightarch.metrics import Metrics
from rightarch.pod import Pod
from rightarch.registry import Keys, Registry, RegistryOptions
from rightarch.rulebook import Rulebook
from rightarch.snapshot import Nodes
from rightarch.webhook import admission
from rightarch.webhook.admission import Admission
from rightarch.webhook.pods import PodAdmission
from rightarch.webhook.rules import Rules
from rightarch.webhook.workloads import WorkloadAdmission

if TYPE_CHECKING:
    from rightarch.cluster import Cluster

SPEC = {"containers": [{"name": "c", "image": "registry.test/app:1"}]}
OBJECTS = {
    PodAdmission: ("", {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": SPEC}),
    WorkloadAdmission: ("apps", {"kind": "DaemonSet", "metadata": {"name": "d"}, "spec": {"template": {"spec": SPEC}}}),
}


class Broken(Keychains):
    """What finds credentials, with a fault."""

    def __init__(self) -> None:
        super().__init__(cast("Cluster", None), ())

    def of_pod(self, namespace: str, pod: Pod) -> Keys:
        """Fail."""
        raise LookupError(f"a fault of ours with {pod} in {namespace}")

    async def of_template(self, namespace: str, template: Pod, known: Known) -> Keys:  # noqa: ARG002 - likewise
        """Fail."""
        return self.of_pod(namespace, template)


def rules() -> Rules:
    """Rules of a cluster without policies, whose namespaces were seen."""
    rulebook = Rulebook()
    rulebook.namespaces.put({"metadata": {"name": "shop"}})
    return Rules(rulebook, cast("Cluster", None))


async def ask(asked: Admission, group: str, thing: dict[str, Any]) -> dict[str, Any]:
    """What an admission says to the creation of something."""
    kind = {"group": group, "version": "v1", "kind": thing["kind"]}
    request = {"uid": "u1", "kind": kind, "operation": "CREATE", "namespace": "shop", "object": thing}
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    answer = await asked(json.dumps(body).encode(), time.monotonic(), 1.0)
    response: dict[str, Any] = orjson.loads(answer)["response"]
    return response


@pytest.mark.parametrize("kind", [PodAdmission, WorkloadAdmission])
async def test_a_failure_of_ours_admits_and_is_told(kind: type[Admission], caplog: pytest.LogCaptureFixture) -> None:
    """As it is, with a warning; counted each time, and with a traceback in the log once in a while."""
    metrics, registry = Metrics(), Registry(RegistryOptions())
    try:
        asked = kind(registry, Nodes(), metrics, Broken(), rules())
        for _ in range(50):
            response = await ask(asked, *OBJECTS[kind])
            assert (response["uid"], response["allowed"], "patch" in response) == ("u1", True, False)
            [warning] = response["warnings"]
            assert warning.startswith(f"rightarch: internal error; the {asked.kind} was admitted as it is")
        assert b"rightarch_admission_errors_total 50.0" in metrics.exposition()
        [told] = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert told.exc_info
        assert told.exc_info[0] is LookupError
    finally:
        await registry.aclose()


async def test_what_was_not_told_is_counted(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next traceback says how many there were since the last."""
    now = 1000.0
    monkeypatch.setattr(logs, "monotonic", lambda: now)
    registry = Registry(RegistryOptions())
    try:
        asked = PodAdmission(registry, Nodes(), Metrics(), Broken(), rules())
        for _ in range(5):
            await ask(asked, *OBJECTS[PodAdmission])
        now += admission.TRACEBACK_SECONDS
        await ask(asked, *OBJECTS[PodAdmission])
        assert [vars(record)["rightarch_fields"].get("untold") for record in caplog.records] == [None, 4]
    finally:
        await registry.aclose()
