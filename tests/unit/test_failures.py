"""Each error of the OCI distribution specification has its Reason, and none repeats what the registry wrote."""

from __future__ import annotations

import httpx
import orjson
import pytest

from rightarch.reasons import Reason
from rightarch.registry import failures

SECRET = "what the registry wrote"  # noqa: S105 - no secret

CODES = [
    # code of the specification, 1.1; status that registries send it with; what it means for a look-up
    ("BLOB_UNKNOWN", 404, Reason.IMAGE_NOT_FOUND),
    ("BLOB_UPLOAD_INVALID", 400, Reason.REGISTRY_FAILED),
    ("BLOB_UPLOAD_UNKNOWN", 404, Reason.IMAGE_NOT_FOUND),
    ("DIGEST_INVALID", 400, Reason.INVALID_REFERENCE),
    ("MANIFEST_BLOB_UNKNOWN", 404, Reason.IMAGE_NOT_FOUND),
    ("MANIFEST_INVALID", 400, Reason.REGISTRY_FAILED),
    ("MANIFEST_UNKNOWN", 404, Reason.IMAGE_NOT_FOUND),
    ("MANIFEST_UNVERIFIED", 400, Reason.REGISTRY_FAILED),
    ("NAME_INVALID", 400, Reason.INVALID_REFERENCE),
    ("NAME_UNKNOWN", 404, Reason.IMAGE_NOT_FOUND),
    ("SIZE_INVALID", 400, Reason.REGISTRY_FAILED),
    ("TAG_INVALID", 400, Reason.INVALID_REFERENCE),
    ("UNAUTHORIZED", 401, Reason.ACCESS_DENIED),
    ("DENIED", 403, Reason.ACCESS_DENIED),
    ("UNSUPPORTED", 405, Reason.REGISTRY_FAILED),
    ("UNSUPPORTED", 415, Reason.REGISTRY_FAILED),
    ("TOOMANYREQUESTS", 429, Reason.RATE_LIMITED),
    ("UNKNOWN", 500, Reason.REGISTRY_FAILED),
    ("UNAVAILABLE", 503, Reason.REGISTRY_FAILED),
]

BODIES = [
    b"",
    b"NAME_INVALID",
    b"[]",
    b'{"errors": "NAME_INVALID"}',
    b'{"errors": ["NAME_INVALID"]}',
    b'{"errors": [{"code": ["NAME_INVALID"]}]}',
]


def answered(status: int, body: bytes) -> httpx.Response:
    """An answer to a look-up."""
    request = httpx.Request("GET", "https://registry.example/v2/team/app/manifests/1")
    return httpx.Response(status, content=body, request=request)


@pytest.mark.parametrize(("code", "status", "reason"), CODES)
def test_codes(code: str, status: int, reason: Reason) -> None:
    """What can't change by itself is permanent; what may is asked for again."""
    body = orjson.dumps({"errors": [{"code": code, "message": SECRET, "detail": SECRET}]})
    error = failures.of_status(answered(status, body))
    assert error is not None
    assert error.reason is reason
    assert "registry.example" in str(error)
    assert SECRET not in str(error)


@pytest.mark.parametrize("body", BODIES)
def test_answers_without_a_code(body: bytes) -> None:
    """What has not the specification's form says no more than its status."""
    error = failures.of_status(answered(400, body))
    assert error is not None
    assert error.reason is Reason.REGISTRY_FAILED


def test_success_is_no_failure() -> None:
    """200 alone."""
    assert failures.of_status(answered(200, b"")) is None
