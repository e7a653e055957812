"""The sample images of the demo: one of each shape that decides differently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .images import Entry, Image, attested, index, single

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .registry import RegistryServer

SAMPLES: Final[Mapping[str, Image]] = {
    "samples/amd64-only:1.0": index(Entry(single("linux/amd64", "amd64-only"), "linux/amd64")),
    "samples/arm64-only:1.0": single("linux/arm64/v8", "arm64-only"),
    "samples/multi-arch:1.0": attested("linux/amd64", "linux/arm64", salt="multi-arch"),
    "samples/pair-amd64:1.0": index(Entry(single("linux/amd64", "pair"), "linux/amd64")),
    "samples/pair-arm64:1.0": index(Entry(single("linux/arm64", "pair"), "linux/arm64/v8")),
    "samples/armv7-only:1.0": index(Entry(single("linux/arm/v7", "armv7-only"), "linux/arm/v7")),
}
"""Images by repository and tag: an amd64-only index, an arm64-only single manifest, a multi-arch index with
attestations, a pair without a common architecture, and one for 32-bit arm alone."""

LATE: Final[Mapping[str, Image]] = {"samples/late-arm64:1.0": single("linux/arm64/v8", "late-arm64")}
"""An image that is pushed only when its workload is there already."""


def push_samples(registry: RegistryServer) -> dict[str, str]:
    """Push all samples; gives the full name, registry and all, by repository and tag."""
    for name, image in SAMPLES.items():
        repository, tag = name.split(":")
        registry.push(repository, tag, image)
    return {name: f"{registry.host}/{name}" for name in SAMPLES}
