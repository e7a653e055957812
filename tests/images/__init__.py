"""Images and registries for tests and the demo: built as bytes, pushed to the real registry, served on loopback."""

from .images import Content, Entry, Image, artifact, attested, index, push, single
from .registry import RegistryServer, Request
from .samples import LATE, SAMPLES, push_samples
from .tokens import PUSHER, TokenServer

__all__ = [
    "LATE",
    "PUSHER",
    "SAMPLES",
    "Content",
    "Entry",
    "Image",
    "RegistryServer",
    "Request",
    "TokenServer",
    "artifact",
    "attested",
    "index",
    "push",
    "push_samples",
    "single",
]
