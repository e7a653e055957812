"""The census: pods that Rightarch never saw, and those of them that are where their images do not run.

Counted by lists every few minutes, a page at a time: no pod is kept, and none is watched.
"""

from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any, Final

from rightarch import pod as pods
from rightarch.cluster import ALIVE, Cluster
from rightarch.controller.workloads import Puller, Wanted
from rightarch.placement import KEY
from rightarch.platforms import ImagePlatforms
from rightarch.pod import Pod
from rightarch.snapshot import Nodes

PODS: Final = "/api/v1/pods"
UNSEEN: Final = f"!{KEY}"
PLACED: Final = ("spec.nodeName!=", ALIVE)
NEVER_ASKED: Final = ("kube-system",)
"""Namespaces that the webhook leaves alone wherever it is installed, beside its own."""
MAX_IMAGES: Final = 10_000
"""Images of unseen pods that are remembered, so that they are looked up: their authors may name any number."""

Known = Callable[[Wanted], ImagePlatforms | None]
"""What memory holds of an image for whoever pulls it."""


class Census:
    """Counts.

    Args:
        cluster: whose pods.
        nodes: tells the platform of each Node.
        known: tells the platforms of images; those that are not known prove nothing.
        namespace: our own, which the webhook leaves alone: its pods are not counted, nor those of kube-system.

    Attributes:
        unseen: pods without our label, as last counted; None before the first count.
        misplaced: those of them that run on a node whose architecture one of their images lacks.
        images: of unseen pods that are placed.
    """

    def __init__(self, cluster: Cluster, nodes: Nodes, known: Known, namespace: str) -> None:
        self.unseen: int | None = None
        self.misplaced: int | None = None
        self.images: frozenset[Wanted] = frozenset()
        self._cluster, self._nodes, self._known = cluster, nodes, known
        self._elsewhere = tuple(f"metadata.namespace!={each}" for each in dict.fromkeys((*NEVER_ASKED, namespace)))

    async def take(self) -> None:
        """Count anew.

        Raises:
            ClusterError: what the API server answered.
        """
        self.unseen = await self._count()
        self.misplaced, self.images = await self._placed() if self.unseen else (0, frozenset())

    async def _count(self) -> int:
        count = 0
        async with aclosing(self._cluster.pages(PODS, self._selectors(), metadata=True)) as pages:
            async for page, _ in pages:
                count += len(page)
        return count

    async def _placed(self) -> tuple[int, frozenset[Wanted]]:
        """How many of the unseen pods are misplaced, and the images of those that have a node."""
        count, images = 0, set[Wanted]()
        async with aclosing(self._cluster.pages(PODS, self._selectors(*PLACED))) as pages:
            async for page, _ in pages:
                for pod in page:
                    count += self._is_misplaced(pod)
                    if len(images) < MAX_IMAGES:
                        images.update(_wanted(pod))
        return count, frozenset(images)

    def _selectors(self, *fields: str) -> Mapping[str, object]:
        """Those of unseen pods that the webhook would be asked about."""
        return {"labelSelector": UNSEEN, "fieldSelector": ",".join((*self._elsewhere, *fields))}

    def _is_misplaced(self, pod: Pod) -> bool:
        platform = self._nodes.platform(pod["spec"]["nodeName"])
        found = map(self._known, _wanted(pod))
        return platform is not None and is_misplaced(platform, [image for image in found if image])


def _wanted(pod: Pod) -> list[Wanted]:
    puller = Puller.of_pod(pod)
    return [Wanted(image, puller) for image in pods.image_names(pod)]


def is_misplaced(platform: tuple[str, str], images: list[ImagePlatforms]) -> bool:
    """Whether one of the images does not run on a node of an operating system and an architecture."""
    os, architecture = platform
    return any(architecture not in image.node_architectures(os) for image in images)


def counted(value: int | None) -> Mapping[tuple[str, ...], Any]:
    """A count as a metric takes it: none before the first."""
    return {} if value is None else {(): float(value)}
