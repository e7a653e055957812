"""Retries: when to try again what could not be done. Pure."""

from rightarch.cluster import ClusterError
from rightarch.controller.queue import Within, soon
from rightarch.placement import Decision, Failure


def again(decision: Decision) -> float | Within:
    """When to look up images again that were not known: soon those whose registry fails, ever later all others."""
    failures = [image for image in decision.images.values() if isinstance(image, Failure) and image.reason.transient]
    return min((soon(failure.retry_after) for failure in failures), key=lambda each: each.most, default=0.0)


def after(error: ClusterError) -> float | None:
    """When to try again what the API server refused: at once where somebody was first, never where nothing is left.

    Raises:
        ClusterError: any other refusal.
    """
    if error.status not in {404, 409}:
        raise error
    return 0.0 if error.status == 409 else None
