"""Images: what is believed of those that a pod names."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from rightarch.errors import InvalidReference
from rightarch.placement.inputs import Failure, Outcome
from rightarch.platforms import ImagePlatforms, Platform
from rightarch.policy import Facts, ImageOverride
from rightarch.reference import Reference

_MAX_MEMOISED: Final = 512


def parse(name: str) -> Reference | Failure:
    """The reference that an image's name stands for, or why it stands for none. Remembered for the common ones."""
    return _memoised(name) if len(name) <= _MAX_MEMOISED else _parse(name)


def _parse(name: str) -> Reference | Failure:
    try:
        return Reference.parse(name)
    except InvalidReference as error:
        return Failure(error.reason, f"that is no image reference: {error.problem}")


_memoised = lru_cache(maxsize=4096)(_parse)


def overridden(reference: Reference | Failure, facts: Facts) -> ImagePlatforms | None:
    """What a policy says that an image runs on, or None where none does; nobody need be asked for it then."""
    if isinstance(reference, Failure) or (override := facts.override(reference)) is None:
        return None
    return _stated(override)


def believed(images: Mapping[str, Outcome], facts: Facts) -> tuple[Mapping[str, Outcome], bool]:
    """What is believed of images, and whether any of it is what a policy says in place of the manifest."""
    if not facts.overrides:
        return images, False
    found = {name: overridden(parse(name), facts) for name in images}
    stated = {name: image for name, image in found.items() if image is not None}
    return ({**images, **stated}, True) if stated else (images, False)


@lru_cache(maxsize=1024)
def _stated(override: ImageOverride) -> ImagePlatforms:
    """The platforms of an override: without variants, since that they run on all such nodes is what it consents to."""
    parsed = (Platform.parse(text) for text in override.platforms)
    platforms = {Platform.of(platform.os, platform.architecture) for platform in parsed}
    return ImagePlatforms("", tuple(sorted(platforms)), indexed=False)
