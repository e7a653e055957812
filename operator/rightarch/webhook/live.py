"""Live pods: those that are on a node, and get an image that may not run there. Nothing is changed, only said."""

from collections.abc import Iterator
from time import monotonic

from rightarch.gather import gather
from rightarch.keychains import Keychains
from rightarch.metrics import IGNORED, Metrics
from rightarch.placement import Input
from rightarch.placement.exclusion import left_alone
from rightarch.platforms import ImagePlatforms
from rightarch.policy import Effective
from rightarch.registry import Registry
from rightarch.snapshot import Nodes
from rightarch.webhook import review as reviews
from rightarch.webhook.admission import Answering
from rightarch.webhook.review import Review
from rightarch.webhook.rules import Rules

_SHOWN = 100
"""Characters of an image's name that are repeated; its author chose it."""


class LivePods(Answering):
    """Answers reviews of pods that get other images while they are on a node, or ephemeral containers.

    Attributes:
        warned: how many were told that an image does not run there.
    """

    kind = "live pod"

    def __init__(self, registry: Registry, nodes: Nodes, metrics: Metrics, keychains: Keychains, rules: Rules) -> None:
        super().__init__(metrics)
        self.warned = 0
        self._registry, self._nodes, self._keychains, self._rules = registry, nodes, keychains, rules
        meaning = "Pods on a node that got an image which does not run there; their authors were warned."
        metrics.counter("rightarch_live_warnings", meaning, (), lambda: {(): float(self.warned)})

    def _read(self, body: bytes) -> Review:
        return reviews.read_live(body)

    async def _answer(self, review: Review, begun: float, budget: float) -> tuple[str, bytes]:
        """Warn of what is known to be wrong; of what is not known, nothing is said."""
        pod = review.subject
        platform = self._nodes.platform(pod["spec"]["nodeName"]) if pod is not None else None
        if pod is None or platform is None:
            return IGNORED, reviews.allow(review.uid)
        policy = await self._rules.effective(review.namespace, pod, begun + budget)
        if left_alone(pod, policy):
            return IGNORED, reviews.allow(review.uid)
        budget = min(budget, policy.choices.on_unresolved.lookup_budget_milliseconds / 1000)
        seconds, keys = max(0.0, begun + budget - monotonic()), self._keychains.of_pod(review.namespace, pod)
        record = not review.dry_run
        found = await gather(pod, self._nodes.capacity, self._registry, keys, seconds, policy=policy, record=record)
        warnings = list(_wrong(found, platform, policy))
        self.warned += bool(warnings)
        return IGNORED, reviews.allow(review.uid, warnings=warnings)


def _wrong(found: Input, platform: tuple[str, str], policy: Effective) -> Iterator[str]:
    """A warning for each image that does not run on the pod's node, nor may be emulated there."""
    os, architecture = platform
    emulated = {each.architecture for each in policy.facts.emulation}
    for name, image in found.images.items():
        if not isinstance(image, ImagePlatforms):
            continue
        runs = image.node_architectures(os)
        if architecture not in runs and not emulated & runs:
            shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
            has = ", ".join(sorted(runs)[:8]) or "none of this operating system"
            yield f"rightarch: {shown} does not run on the pod's node, which is {os}/{architecture}: it has {has}"
