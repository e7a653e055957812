"""Asking a replica about a pod, as the API server would."""

from __future__ import annotations

import base64
import ssl
from typing import TYPE_CHECKING, Any, Self

import httpx
import orjson

from tests.controlplane import wait_for

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
        return b'"Constrained"' in self._patch(images, dry_run=dry_run)

    def admit_in_time(self, images: Sequence[str], *, dry_run: bool = False) -> bool:
        """Ask likewise, and again as long as a registry is too slow to be heard."""
        return b'"Constrained"' in wait_for(lambda: self._in_time(images, dry_run=dry_run))

    def _in_time(self, images: Sequence[str], *, dry_run: bool) -> bytes:
        """The patch; nothing where an image was not known in time."""
        patch = self._patch(images, dry_run=dry_run)
        return b"" if b'"TimedOut"' in patch else patch

    def _patch(self, images: Sequence[str], *, dry_run: bool) -> bytes:
        """What is to be done to a pod with these images, as JSON."""
        body = orjson.dumps(review(images, dry_run=dry_run))
        response = self._client.post(self._url, content=body, headers={"content-type": "application/json"})
        return base64.b64decode(response.raise_for_status().json()["response"]["patch"])


def admit(webhook: WebhookServer, *images: str, dry_run: bool = False) -> bool:
    """Ask by a connection of its own, and again where a registry was too slow to be heard; whether all are known."""
    with Asking(webhook) as asking:
        return asking.admit_in_time(images, dry_run=dry_run)


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
