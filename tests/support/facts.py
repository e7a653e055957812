"""Facts about images, as tests and benchmarks put them into a cluster."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rightarch.facts.fact import name_of
from rightarch.registry import pull_scope
from tests.generate import files

if TYPE_CHECKING:
    from collections.abc import Sequence

CRD = "imageplatforms.rightarch.dev"
COLLECTION = "/apis/rightarch.dev/v1alpha1/imageplatforms"
DEFINITION = next(text for path, text in files().items() if path.name == "imageplatforms.yaml")


def object_of(
    reference: str,
    digest: str,
    platforms: Sequence[str],
    hours_ago: float = 0,
    *,
    puller: tuple[str, Sequence[str]] | None = None,
    days_unused: int = 0,
) -> dict[str, Any]:
    """The object that a replica would have written, having read an image some time ago.

    Args:
        reference: of the image.
        digest: of the image.
        platforms: of the image.
        hours_ago: when it was read.
        puller: the namespace, and the pull secrets with which it was read; None for anonymously.
        days_unused: when it was used last.
    """
    when = time.gmtime(time.time() - hours_ago * 3600)
    used = time.gmtime(time.time() - days_unused * 86400)
    scope: dict[str, Any] = {"scope": "Anonymous"}
    if puller:
        scope = {"scope": "Namespace", "namespace": puller[0], "pullSecrets": sorted(puller[1])}
    return {
        "apiVersion": "rightarch.dev/v1alpha1",
        "kind": "ImagePlatforms",
        "metadata": {"name": name_of((pull_scope(*puller) if puller else "", reference))},
        "spec": scope | {"reference": reference},
        "status": {
            "digest": digest,
            "platforms": list(platforms),
            "indexed": len(platforms) != 1,
            "source": "registry.example",
            "learnedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", when),
            "lastUsed": time.strftime("%Y-%m-%d", used),
        },
    }
