"""A bare ASGI endpoint: the floor under Rightarch's own server. Reads a review and returns a fixed patch.

Run by uvicorn, as Rightarch's is: ``python -m uvicorn tests.bench.bare:endpoint``.
"""

from base64 import b64encode
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

_PATCH = b64encode(orjson.dumps([{"op": "add", "path": "/metadata/labels/seen", "value": "yes"}])).decode()


async def endpoint(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    """Answer one review."""
    assert scope["type"] == "http"
    parts = []
    while True:
        message = await receive()
        parts.append(message["body"])
        if not message.get("more_body"):
            break
    uid = orjson.loads(b"".join(parts))["request"]["uid"]
    response = {"uid": uid, "allowed": True, "patchType": "JSONPatch", "patch": _PATCH}
    answer = orjson.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
