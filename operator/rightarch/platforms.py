"""Platforms: what an image was built for, and the node architectures that run it.

Source of the normal form: containerd's ``platforms.Normalize``. Source of the names: Go's GOOS and GOARCH, which the
OCI image specification and the node labels ``kubernetes.io/os`` and ``kubernetes.io/arch`` share.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MAX_PLATFORMS: Final = 128
"""Different platforms of one image that are read: memories are bounded by the size of what they hold, too."""

_ARCHITECTURES: Final = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386"}
_ARM_SPELLINGS: Final = {"armhf": "v7", "armel": "v6"}
_VARIANTS: Final = {
    ("amd64", "v1"): "",
    ("arm64", "8"): "",
    ("arm64", "v8"): "",
    ("arm64", "v8.0"): "",
    ("arm64", "9"): "v9",
    ("arm64", "9.0"): "v9",
    ("arm64", "v9.0"): "v9",
    ("arm", ""): "v7",
    ("arm", "5"): "v5",
    ("arm", "6"): "v6",
    ("arm", "7"): "v7",
    ("arm", "8"): "v8",
}
_LABEL_VALUE: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?", re.ASCII)
_BASELINE_ONLY: Final = frozenset({"amd64", "arm64", "386"})


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """An operating system, an architecture and a variant of it, in normal form; make one by ``of`` or ``parse``."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    @classmethod
    def of(cls, os: str, architecture: str, variant: str = "", os_version: str = "") -> "Platform":
        """The platform in its one normal form, whatever spelling a manifest used."""
        os, architecture, variant = os.lower() or "linux", architecture.lower(), variant.lower()
        os = "darwin" if os == "macos" else os
        if architecture in _ARM_SPELLINGS:
            architecture, variant = "arm", _ARM_SPELLINGS[architecture]
        variant = "" if architecture == "i386" else variant
        architecture = _ARCHITECTURES.get(architecture, architecture)
        variant = _VARIANTS.get((architecture, variant), variant)
        return cls(os, architecture, variant, os_version)

    @classmethod
    def parse(cls, text: str) -> "Platform":
        """Read ``os/architecture[/variant]``.

        Raises:
            ValueError: if there are not two or three parts.
        """
        parts = text.split("/")
        if len(parts) not in {2, 3} or not all(parts):
            raise ValueError(f"{text!r} is not a platform: write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT")
        return cls.of(*parts)

    @property
    def known(self) -> bool:
        """Whether it can be a node's: its parts are fit for label values, and none is ``unknown``.

        Build tools write ``unknown/unknown`` for entries that are no image for a platform. Whoever makes an image
        can write anything; what is no label value must never reach a pod, which the API server would refuse.
        """
        named = {self.os, self.architecture}
        return "unknown" not in named and all(map(_LABEL_VALUE.fullmatch, named | ({self.variant} - {""})))

    @property
    def node_architecture(self) -> str | None:
        """The value of the label ``kubernetes.io/arch`` on the nodes that run this platform.

        None where no standard label tells which nodes can: variants of amd64 and arm64 above the baseline, and of 386,
        which containerd runs on no node. 32-bit arm never maps to arm64: arm64 nodes accept such images, but many of
        their CPUs can't run them.
        """
        if self.variant and self.architecture in _BASELINE_ONLY:
            return None
        return "amd64" if self.architecture == "386" else self.architecture

    def __str__(self) -> str:
        variant = f"/{self.variant}" if self.variant else ""
        return f"{self.os}/{self.architecture}{variant}"


@dataclass(frozen=True, slots=True)
class ImagePlatforms:
    """What is known of an image's content: true for as long as its digest, which is for ever.

    Attributes:
        digest: what the reference resolved to: an index or a manifest.
        platforms: normalised, sorted, without doubles; empty for an index that has no image.
        indexed: whether the platforms were read from an index, from which a node picks one.
    """

    digest: str
    platforms: tuple[Platform, ...]
    indexed: bool

    def node_architectures(self, os: str) -> frozenset[str]:
        """The node architectures on which the image runs under an operating system."""
        return frozenset([each for p in self.platforms if p.os == os and (each := p.node_architecture) is not None])

    def only_386(self, os: str) -> bool:
        """Whether its index has 386 and not amd64: one of containerd's two ways to pull refuses it on amd64 nodes."""
        if not self.indexed or not any(p.architecture == "386" for p in self.platforms):
            return False
        return {p.architecture for p in self.platforms if p.os == os and p.node_architecture == "amd64"} == {"386"}


def common_architectures(images: Iterable[ImagePlatforms], os: str) -> frozenset[str]:
    """The node architectures on which every one of the images runs; of no images, none."""
    sets = [image.node_architectures(os) for image in images]
    return frozenset.intersection(*sets) if sets else frozenset()
