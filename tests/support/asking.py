"""Asking a replica about a pod, as the API server would."""

from __future__ import annotations

import base64
import ssl
from typing import TYPE_CHECKING, Any, Self

import httpx
import orjson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.webhook import WebhookServer


class Asking:
    """A connection to a replica, for the length of a ``with`` block."""

    def __init__(self, webhook: WebhookServer) -> None:
        context = ssl.create_default_context(cafile=webhook.ca)
        self._client = httpx.Client(verify=context, trust_env=False, timeout=60)
        self._url = webhook.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def admit(self, images: Sequence[str], *, dry_run: bool = False) -> bool:
        """Ask about a pod with these images; whether the replica knew them all."""
        body = orjson.dumps(review(images, dry_run=dry_run))
        response = self._client.post(self._url, content=body, headers={"content-type": "application/json"})
        patch = base64.b64decode(response.raise_for_status().json()["response"]["patch"])
        return b'"Constrained"' in patch


def admit(webhook: WebhookServer, *images: str, dry_run: bool = False) -> bool:
    """Ask once, by a connection of its own."""
    with Asking(webhook) as asking:
        return asking.admit(images, dry_run=dry_run)


def review(images: Sequence[str], *, dry_run: bool = False) -> dict[str, Any]:
    """An AdmissionReview of a pod with these images."""
    containers = [{"name": f"c{index}", "image": image} for index, image in enumerate(images)]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers}}
    request = {
        "uid": "u",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "operation": "CREATE",
        "namespace": "default",
        "dryRun": dry_run,
        "object": pod,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
