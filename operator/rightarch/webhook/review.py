"""AdmissionReviews: what the API server asks, and how it is answered.

Pure. Source: ``admission.k8s.io/v1`` of the Kubernetes API, and its documentation of dynamic admission control.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from rightarch.errors import RightarchError
from rightarch.pod import Pod
from rightarch.template import Workload, pod_of
from rightarch.webhook.form import CRON_JOB, POD, WORKLOAD, Object

API_VERSION: Final = "admission.k8s.io/v1"
KIND: Final = "AdmissionReview"
MAX_WARNING: Final = 256
"""Characters of one warning that the API server shows for sure."""
MAX_WARNINGS: Final = 4096
"""Bytes that it shows of all warnings of a response."""

_CONTAINERS: Final = ("initContainers", "containers", "ephemeralContainers")
_WORKLOADS: Final[Mapping[tuple[object, object], Object]] = {
    ("apps", "Deployment"): WORKLOAD,
    ("apps", "StatefulSet"): WORKLOAD,
    ("apps", "DaemonSet"): WORKLOAD,
    ("batch", "CronJob"): CRON_JOB,
}


class Refused(RightarchError):
    """A request that is not answered with a review.

    Attributes:
        status: the HTTP status of the answer; the error's text is its body.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Review:
    """A question of the API server.

    Attributes:
        uid: which the answer repeats.
        subject: the pod that is about to be created, or the workload that is or gets another template; None where
            something else happens, which is none of our business: changing a template then would roll out a workload
            that nobody meant to.
        kind: the kind of the subject.
        namespace: where.
        name: its name, or the one it is generated from.
        dry_run: whether nothing is going to be stored: the answer is the same, and nothing else may be done.
    """

    uid: str
    subject: Mapping[str, Any] | None
    namespace: str
    name: str
    dry_run: bool
    kind: str = "Pod"


def read(body: bytes) -> Review:
    """Read an AdmissionReview of a pod.

    Raises:
        Refused: with status 400 and what is wrong.
    """
    return _read(body, _pod)


def read_workload(body: bytes) -> Review:
    """Read an AdmissionReview of a workload.

    Raises:
        Refused: with status 400 and what is wrong.
    """
    return _read(body, _workload)


def read_live(body: bytes) -> Review:
    """Read an AdmissionReview of a pod that is on a node, and gets another image or an ephemeral container.

    Returns:
        A review whose subject has, of all containers, only those whose image is new; None where none is.

    Raises:
        Refused: with status 400 and what is wrong.
    """
    return _read(body, _changed)


def allow(uid: str, patch: Iterable[Mapping[str, Any]] = (), warnings: Iterable[str] = ()) -> bytes:
    """The answer that admits: with a JSON Patch (RFC 6902) if there is one, and what its creator should be told."""
    response: dict[str, Any] = {"uid": uid, "allowed": True}
    if patch := list(patch):
        response["patchType"] = "JSONPatch"
        response["patch"] = b64encode(orjson.dumps(patch)).decode()
    if said := _fitted(warnings):
        response["warnings"] = said
    return orjson.dumps({"apiVersion": API_VERSION, "kind": KIND, "response": response})


def deny(uid: str, message: str, warnings: Iterable[str] = ()) -> bytes:
    """The answer that refuses, as a policy wants it: forbidden, for a reason that whoever creates the pod is shown."""
    status = {"code": 403, "reason": "Forbidden", "message": f"rightarch: {_cleaned(message)}"}
    response: dict[str, Any] = {"uid": uid, "allowed": False, "status": status}
    if said := _fitted(f"rightarch: {warning}" for warning in warnings):
        response["warnings"] = said
    return orjson.dumps({"apiVersion": API_VERSION, "kind": KIND, "response": response})


def _parse(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"the body is not JSON: {error.msg} at position {error.pos}") from None


def _read(body: bytes, subject_of: Callable[[Mapping[str, Any]], Mapping[str, Any] | None]) -> Review:
    uid, request = _request(body)
    subject, kind = subject_of(request), str(_kind(request)[1])
    return Review(uid, subject, _namespace(request), _name(request, subject), bool(request.get("dryRun")), kind)


def _request(body: bytes) -> tuple[str, Mapping[str, Any]]:
    """The uid of a review, and its request."""
    review = _object(_parse(body), "the body")
    if review.get("apiVersion") != API_VERSION or review.get("kind") != KIND:
        raise Refused(400, f"the body is not an {KIND} of {API_VERSION}")
    request = _object(review.get("request"), "request")
    uid = request.get("uid")
    if not isinstance(uid, str) or not uid:
        raise Refused(400, "request.uid is missing")
    return uid, request


def _namespace(request: Mapping[str, Any]) -> str:
    return str(request.get("namespace") or "")


def _kind(request: Mapping[str, Any]) -> tuple[object, object]:
    """The group and the kind of what a review is about; nothing where that is of another version, or a part of it."""
    given = _object(request.get("kind"), "request.kind")
    if given.get("version") != "v1" or request.get("subResource"):
        return None, None
    return given.get("group"), given.get("kind")


def _workload(request: Mapping[str, Any]) -> Workload | None:
    """The workload that is created or gets another template."""
    form = _WORKLOADS.get(_kind(request))
    if form is None or request.get("operation") not in ("CREATE", "UPDATE"):
        return None
    workload = _of_form(request, "object", form)
    if request["operation"] == "UPDATE":
        old = _of_form(request, "oldObject", form)
        if workload["metadata"].get("deletionTimestamp") or pod_of(workload) == pod_of(old):
            return None
    return workload


def _pod(request: Mapping[str, Any]) -> Pod | None:
    """The pod whose creation is asked about; a rule that matches more may send other things, which pass."""
    if _kind(request) != ("", "Pod") or request.get("operation") != "CREATE":
        return None
    pod = _object(request.get("object"), "request.object")
    if pod.get("kind") != "Pod" or pod.get("apiVersion") != "v1":
        raise Refused(400, "request.object is not a Pod of v1, as request.kind says")
    return _of_form(request, "object", POD)


def _changed(request: Mapping[str, Any]) -> Pod | None:
    """The pod on a node that gets images, with the containers that get them."""
    kind, part = _object(request.get("kind"), "request.kind"), request.get("subResource") or None
    if (kind.get("group"), kind.get("version"), kind.get("kind")) != ("", "v1", "Pod"):
        return None
    if request.get("operation") != "UPDATE" or part not in (None, "ephemeralcontainers"):
        return None
    pod, old = _of_form(request, "object", POD), _of_form(request, "oldObject", POD)
    before = {each.get("name"): each.get("image") for each in _containers(old)}
    changed = [each for each in _containers(pod) if each.get("image") != before.get(each.get("name"))]
    if not changed or not pod["spec"].get("nodeName"):
        return None
    rest = {key: value for key, value in pod["spec"].items() if key not in _CONTAINERS}
    return {**pod, "spec": {**rest, "containers": changed}}


def _containers(pod: Pod) -> list[Mapping[str, Any]]:
    return [each for key in _CONTAINERS for each in pod["spec"].get(key) or ()]


def _name(request: Mapping[str, Any], thing: Mapping[str, Any] | None) -> str:
    metadata = thing["metadata"] if thing else {}
    return str(request.get("name") or metadata.get("name") or metadata.get("generateName") or "")


def _of_form(request: Mapping[str, Any], member: str, form: Object) -> Mapping[str, Any]:
    thing = _object(request.get(member), f"request.{member}")
    if (fault := form.fault(thing)) is not None:
        raise Refused(400, f"request.{member}{fault}")
    return thing


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Refused(400, f"{what} is not a JSON object")
    return value


def _fitted(warnings: Iterable[str]) -> list[str]:
    """Warnings that the API server passes on: printable, each cut to its limit, as many as fit."""
    fitted, left = [], MAX_WARNINGS
    for warning in map(_printable, warnings):
        left -= len(warning.encode())
        if left < 0:
            break
        fitted.append(warning)
    return fitted


def _cleaned(text: str) -> str:
    """Text without what steers a terminal."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def _printable(text: str) -> str:
    text = _cleaned(text)
    return text if len(text) <= MAX_WARNING else f"{text[: MAX_WARNING - 1]}…"
