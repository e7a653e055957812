"""Platforms have one spelling, and say on which nodes they run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightarch.platforms import ImagePlatforms, Platform, common_architectures

DIGEST = "sha256:" + "0" * 64

NORMAL = [
    # os, architecture, variant as found; the normal form, by containerd's platforms.Normalize
    ("linux", "amd64", "", "linux/amd64"),
    ("Linux", "X86_64", "", "linux/amd64"),
    ("linux", "x86-64", "", "linux/amd64"),
    ("linux", "amd64", "v1", "linux/amd64"),
    ("linux", "amd64", "v3", "linux/amd64/v3"),
    ("linux", "aarch64", "", "linux/arm64"),
    ("linux", "arm64", "v8", "linux/arm64"),
    ("linux", "arm64", "8", "linux/arm64"),
    ("linux", "arm64", "v9", "linux/arm64/v9"),
    ("linux", "arm", "", "linux/arm/v7"),
    ("linux", "arm", "7", "linux/arm/v7"),
    ("linux", "arm", "v6", "linux/arm/v6"),
    ("linux", "arm", "5", "linux/arm/v5"),
    ("linux", "armhf", "", "linux/arm/v7"),
    ("linux", "armel", "", "linux/arm/v6"),
    ("linux", "i386", "", "linux/386"),
    ("linux", "i386", "sse2", "linux/386"),
    ("linux", "386", "sse2", "linux/386/sse2"),
    ("linux", "arm64", "v8.0", "linux/arm64"),
    ("linux", "arm64", "9.0", "linux/arm64/v9"),
    ("linux", "arm", "8", "linux/arm/v8"),
    ("linux", "arm", "V7", "linux/arm/v7"),
    ("linux", "armhf", "v6", "linux/arm/v7"),
    ("linux", "riscv64", "", "linux/riscv64"),
    ("", "amd64", "", "linux/amd64"),
    ("macos", "arm64", "", "darwin/arm64"),
    ("windows", "amd64", "", "windows/amd64"),
]

NODES = [
    ("linux/amd64", "amd64"),
    ("linux/amd64/v2", None),
    ("linux/arm64", "arm64"),
    ("linux/arm64/v9", None),
    ("linux/arm/v7", "arm"),
    ("linux/arm/v6", "arm"),
    ("linux/386", "amd64"),
    ("linux/386/sse2", None),
    ("linux/s390x", "s390x"),
    ("linux/ppc64le", "ppc64le"),
]


def image(*platforms: str, indexed: bool = True) -> ImagePlatforms:
    """An image for some platforms."""
    return ImagePlatforms(DIGEST, tuple(Platform.parse(text) for text in platforms), indexed)


@pytest.mark.parametrize(("os", "architecture", "variant", "normal"), NORMAL)
def test_spellings(os: str, architecture: str, variant: str, normal: str) -> None:
    """Every spelling that is found in registries has the one that containerd gives it."""
    assert str(Platform.of(os, architecture, variant)) == normal


@given(st.sampled_from(["linux", "windows", "macos", ""]), st.text(max_size=8), st.text(max_size=3))
def test_the_normal_form_is_a_fixed_point(os: str, architecture: str, variant: str) -> None:
    """Normalising twice is normalising once."""
    once = Platform.of(os, architecture, variant)
    assert Platform.of(once.os, once.architecture, once.variant) == once


@pytest.mark.parametrize("text", ["", "linux", "linux/", "/amd64", "linux/arm/", "linux/arm/v7/x"])
def test_what_is_no_platform(text: str) -> None:
    """Text of fewer than two or more than three parts is refused."""
    with pytest.raises(ValueError, match="is not a platform"):
        Platform.parse(text)


@pytest.mark.parametrize(("text", "architecture"), NODES)
def test_node_architectures(text: str, architecture: str | None) -> None:
    """A platform runs on the nodes of one label, or of none where no label tells enough."""
    assert Platform.parse(text).node_architecture == architecture


@pytest.mark.parametrize(
    ("text", "known"), [("linux/amd64", True), ("unknown/unknown", False), ("linux/unknown", False)]
)
def test_known(text: str, known: bool) -> None:
    """What build tools write beside images is no platform."""
    assert Platform.parse(text).known is known


def test_an_image_is_asked_per_operating_system() -> None:
    """Windows entries say nothing about Linux nodes."""
    both = image("linux/amd64", "linux/arm64", "windows/amd64")
    assert both.node_architectures("linux") == {"amd64", "arm64"}
    assert both.node_architectures("windows") == {"amd64"}
    assert both.node_architectures("darwin") == set()


def test_common_architectures() -> None:
    """Containers of a pod share a node: only what all images have counts, and no images have nothing in common."""
    multi = image("linux/amd64", "linux/arm64", "linux/s390x")
    assert common_architectures([multi, image("linux/arm64", "linux/s390x")], "linux") == {"arm64", "s390x"}
    assert common_architectures([image("linux/amd64"), image("linux/arm64")], "linux") == set()
    assert common_architectures([], "linux") == set()


def test_only_386() -> None:
    """An index with 386 and not amd64 is told apart; a single manifest, which no node picks from, is not."""
    assert image("linux/386", "linux/arm64").only_386("linux")
    assert not image("linux/386", "linux/amd64").only_386("linux")
    assert not image("linux/386", indexed=False).only_386("linux")
