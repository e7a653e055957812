"""One control plane with Karpenter and Rightarch for all tests of this layer."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final, Self

import pytest

from tests.controlplane import ControlPlane
from tests.images import RegistryServer
from tests.images.images import Entry, attested, index, single
from tests.support.installation import PATIENT, Installation
from tests.support.karpenter import Karpenter

from .arena import Arena
from .cases import SIDES, cases
from .probes import probes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.images.images import Image

    from .arena import Outcomes
    from .cases import Case
    from .probes import Probe

WAVE: Final = 45
"""Pods that are played at once, on each side: more would keep two cores from telling Karpenter what has changed."""
SEED: Final = int(os.environ.get("RIGHTARCH_TEST_SEED", "1"))
LINUX: Final = {name: ("linux", name) for name in ("amd64", "arm64", "arm")}
IMAGES: Final[Mapping[str, tuple[Image, frozenset[tuple[str, str]]]]] = {
    "amd64-only": (index(Entry(single("linux/amd64", "amd64"), "linux/amd64")), frozenset({LINUX["amd64"]})),
    "arm64-only": (single("linux/arm64/v8", "arm64"), frozenset({LINUX["arm64"]})),
    "multi-arch": (attested("linux/amd64", "linux/arm64"), frozenset({LINUX["amd64"], LINUX["arm64"]})),
    "armv7-only": (index(Entry(single("linux/arm/v7", "arm"), "linux/arm/v7")), frozenset({LINUX["arm"]})),
    "windows": (index(Entry(single("windows/amd64", "windows"), "windows/amd64")), frozenset({("windows", "amd64")})),
}
"""Images by what the cases call them, and where each runs."""


@pytest.fixture(scope="session")
def registry() -> Iterator[RegistryServer]:
    """A registry with the images of the cases."""
    with RegistryServer() as running:
        for name, (image, _) in IMAGES.items():
            running.push(f"cases/{name}", "1.0", image)
        yield running


@pytest.fixture(scope="session")
def late() -> Iterator[Late]:
    """A registry that nobody has started yet."""
    with Late() as given:
        yield given


class Late:
    """A registry that is away until it is started: what asks for its images is told to come again."""

    def __init__(self) -> None:
        self._registry, self._stack = RegistryServer(), contextlib.ExitStack()
        self.image = f"{self._registry.host}/cases/late:1.0"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self) -> None:
        """Be there, with an image for amd64 alone."""
        self._stack.enter_context(self._registry)
        self._registry.push("cases/late", "1.0", IMAGES["amd64-only"][0])


@pytest.fixture(scope="session")
def arena(registry: RegistryServer, late: Late, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """Karpenter beside a control plane, and Rightarch, which leaves the namespace `without` alone."""
    folder = tmp_path_factory.mktemp("karpenter")
    images = {name: f"{registry.host}/cases/{name}:1.0" for name in IMAGES} | {"late": late.image}
    runs = {name: platforms for name, (_, platforms) in IMAGES.items()} | {"late": IMAGES["amd64-only"][1]}
    values = {"webhook": {"excludedNamespaces": ["without"]}}
    with ControlPlane() as plane, plane.client() as client:
        plane.apply(*({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": side}} for side in SIDES))
        with (
            Karpenter(plane, folder) as karpenter,
            Installation(plane, values=values, webhook_options=PATIENT) as installed,
        ):
            yield Arena(plane, client, karpenter, installed.webhook, images=images, runs=runs)


@pytest.fixture(scope="session")
def outcomes(arena: Arena, late: Late, probed: list[Probe]) -> Outcomes:
    """What became of all cases, by name and side; the probes were played after them."""
    outcomes: Outcomes = {}
    for wave in waves(cases()):
        outcomes |= arena.play(wave, spoken=late.start if any(map(is_late, wave)) else lambda: None)
    arena.play([], probed)
    return outcomes


def waves(given: list[Case]) -> Iterator[list[Case]]:
    """The cases in their order, a few at a time; one that is too large goes alone."""
    wave: list[Case] = []
    for case in given:
        if wave and sum(each.count() for each in wave) + case.count() > WAVE:
            yield wave
            wave = []
        wave.append(case)
    yield wave


def is_late(case: Case) -> bool:
    """Whether one of its images is pushed only when its pods are there."""
    return any("late" in each["image"] for each in case.raw["pods"])


@pytest.fixture(scope="session")
def probed() -> list[Probe]:
    """Random Nodes and NodePools, each with a pod."""
    return probes(SEED)
