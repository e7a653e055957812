"""The errors of Rightarch.

::

    RightarchError                says where, what, and what to do
    ├── SettingsError             a setting is wrong; the process does not start
    └── ImageError                an image's platforms can't be told; ``reason`` says why
        ├── UnreadableImage       permanently: asking again changes nothing until somebody acts
        │   └── InvalidReference  the name does not parse; shows where
        └── UnresolvedImage       for now: a later look-up may succeed
"""

from typing import Self

from rightarch.reasons import Reason


class RightarchError(Exception):
    """Anything that Rightarch reports on purpose; its text is fit for people."""


class SettingsError(RightarchError):
    """A setting is missing or wrong."""


class ImageError(RightarchError):
    """An image whose platforms can't be told.

    Attributes:
        reason: the constant that names the cause.
        retry_after: seconds that the registry asked to wait before the next request, if it did.
    """

    def __init__(self, reason: Reason, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after

    @property
    def transient(self) -> bool:
        """Whether asking again may help."""
        return self.reason.transient

    @staticmethod
    def of(reason: Reason, message: str, *, retry_after: float | None = None) -> "ImageError":
        """The error of the class that fits the reason."""
        kind = UnresolvedImage if reason.transient else UnreadableImage
        return kind(reason, message, retry_after=retry_after)


class UnreadableImage(ImageError):
    """Permanent: the name is wrong, the image is not there, or it may not be read."""


class UnresolvedImage(ImageError):
    """Transient: the registry is slow, failing, out of reach or busy."""


class InvalidReference(UnreadableImage):
    """An image name that does not parse.

    Attributes:
        text: the name as it was given.
        position: index of the first character that can't be right.
    """

    def __init__(self, text: str, position: int, problem: str) -> None:
        super().__init__(Reason.INVALID_REFERENCE, f"invalid image reference {_shown(text)}: {problem}")
        self.text = text
        self.position = position
        self.problem = problem

    def pointed(self) -> str:
        """The name, with a caret under the character that can't be right, for terminals."""
        return f"{self.text}\n{' ' * self.position}^ {self.problem}"

    def __reduce__(self) -> tuple[type[Self], tuple[str, int, str]]:
        return type(self), (self.text, self.position, self.problem)


def _shown(text: str, limit: int = 120) -> str:
    """The text quoted, without control characters, and cut: pod authors choose it."""
    return repr(text if len(text) <= limit else f"{text[:limit]}…")
