"""Observers: who is told what was learnt and what is used, so that it can outlive the process."""

from typing import Protocol

from rightarch.errors import ImageError
from rightarch.platforms import ImagePlatforms

Key = tuple[str, str]
"""A scope and a canonical reference: what an answer is remembered by."""


class Observer(Protocol):
    """Told within look-ups and admissions: an implementation neither waits nor raises."""

    def found(self, key: Key, outcome: ImagePlatforms | ImageError) -> None:
        """A look-up ended, in the scope for which its outcome holds."""

    def used(self, key: Key, image: ImagePlatforms) -> None:
        """An answer was given from memory. The image is the same object as long as the answer is the same."""


class Unobserved:
    """The observer that forgets."""

    def found(self, key: Key, outcome: ImagePlatforms | ImageError) -> None:
        """Nobody wants to know."""

    def used(self, key: Key, image: ImagePlatforms) -> None:
        """Nobody wants to know."""
