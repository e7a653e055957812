"""Keychains: which credentials may be tried for an image, and in whose name the answer is remembered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from rightarch.reference import Reference

ANONYMOUS: Final = ""
"""The scope of answers that need no credential; what is found in it holds for everybody."""


IDENTITY: Final = "<token>"
"""The user name by which Docker's credential helpers say that the password is an identity token."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A user's name and password, or IDENTITY and an identity token; the secret is never printed."""

    username: str
    password: str = field(repr=False)

    @property
    def is_identity(self) -> bool:
        """Whether the password is an identity token, which only a token service takes, as a refresh token."""
        return self.username == IDENTITY


class Keychain(Protocol):
    """Where credentials come from. An implementation does not raise: a credential that can't be had is left out."""

    @property
    def scope(self) -> str:
        """Who is asking: answers found by a credential are given to the same scope only. Anonymous is ``""``."""

    async def credentials(self, reference: Reference) -> Sequence[Credential]:
        """All credentials that match a reference, in the order in which they are to be tried."""


@dataclass(frozen=True, slots=True)
class AnonymousKeychain:
    """The keychain of whoever has no credentials."""

    scope: str = ANONYMOUS

    async def credentials(self, reference: Reference) -> Sequence[Credential]:  # noqa: ARG002 - the protocol's form
        """Nothing: every image is asked for anonymously."""
        return ()


@dataclass(frozen=True, slots=True)
class InMemoryKeychain:
    """Credentials given by hand, per registry as references name it (``docker.io``, ``host:port``)."""

    scope: str
    registries: Mapping[str, Sequence[Credential]]

    async def credentials(self, reference: Reference) -> Sequence[Credential]:
        """Those of the reference's registry."""
        return self.registries.get(reference.domain, ())
