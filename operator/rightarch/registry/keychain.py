"""Keychains: which credentials may be tried for an image, and in whose name the answer is remembered."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from rightarch.reference import Reference

ANONYMOUS: Final = ""
"""The scope of answers that need no credential; what is found in it holds for everybody."""
CLUSTER: Final = "cluster"
"""The scope of what Rightarch's own identity found: like a node's role, it holds for every pod of the cluster."""
IDENTITY: Final = "<token>"
"""The user name by which Docker's credential helpers say that the password is an identity token."""
BEARER: Final = "<bearer>"
"""The user name by which we say that the password is a token for the registry itself."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A user's name and password, or IDENTITY or BEARER and a token; the secret is never printed."""

    username: str
    password: str = field(repr=False)

    @property
    def is_identity(self) -> bool:
        """Whether the password is an identity token, which only a token service takes, as a refresh token."""
        return self.username == IDENTITY

    @property
    def is_bearer(self) -> bool:
        """Whether the password is what token services give, which the registry takes and nobody else must see."""
        return self.username == BEARER


def is_token(text: str) -> bool:
    """Whether a text can be sent as a token, and as nothing else."""
    return text.isascii() and text.isprintable() and " " not in text


class Keychain(Protocol):
    """Where credentials come from.

    A credential that can't be had is left out. Where it can't be told *now* whether there is one, an implementation
    raises an UnresolvedImage: the other keychains are tried nevertheless, and only if none of them may read the
    image, that is what is told, and not that access is denied.
    """

    @property
    def scope(self) -> str:
        """Who is asking: answers found by a credential are given to the same scope only. Anonymous is ``""``."""

    def serves(self, reference: Reference) -> bool:
        """Whether it may have credentials for an image; tells at once, and asks nobody.

        Where it has none for certain, it is as if it were not there: the image is looked up, remembered and shared
        in the scopes of the others, or in everybody's.
        """

    async def credentials(self, reference: Reference) -> Sequence[Credential]:
        """All credentials that match a reference, in the order in which they are to be tried.

        Raises:
            UnresolvedImage: whether there are any can't be told now.
        """


@dataclass(frozen=True, slots=True)
class AnonymousKeychain:
    """The keychain of whoever has no credentials."""

    scope: str = ANONYMOUS

    def serves(self, reference: Reference) -> bool:  # noqa: ARG002 - the protocol's form
        """Every image."""
        return True

    async def credentials(self, reference: Reference) -> Sequence[Credential]:  # noqa: ARG002 - the protocol's form
        """Nothing: every image is asked for anonymously."""
        return ()


@dataclass(frozen=True, slots=True)
class InMemoryKeychain:
    """Credentials given by hand, per registry as references name it (``docker.io``, ``host:port``)."""

    scope: str
    registries: Mapping[str, Sequence[Credential]]

    def serves(self, reference: Reference) -> bool:
        """The images of these registries."""
        return reference.domain in self.registries

    async def credentials(self, reference: Reference) -> Sequence[Credential]:
        """Those of the reference's registry."""
        return self.registries.get(reference.domain, ())


@dataclass(frozen=True, slots=True)
class Scoped:
    """A keychain whose answers are remembered in a narrower scope than its own."""

    keychain: Keychain
    scope: str

    def serves(self, reference: Reference) -> bool:
        """What the keychain does."""
        return self.keychain.serves(reference)

    async def credentials(self, reference: Reference) -> Sequence[Credential]:
        """Those of the keychain."""
        return await self.keychain.credentials(reference)


@dataclass(frozen=True, slots=True)
class Chain:
    """Keychains that are tried one after the other. What one of them finds is remembered in its own scope.

    The first scope is the narrowest, that of who asks: look-ups are shared, and failures remembered, in that of the
    first that serves the image.

    Attributes:
        keychains: in the order in which they are tried.
        asker: whose share of the look-ups in flight is used: a namespace; empty for ourselves.
    """

    keychains: tuple[Keychain, ...]
    asker: str = ""


Keys: TypeAlias = Keychain | Chain
"""One keychain or several."""

_ANYBODY: Final = AnonymousKeychain()


def links(keys: Keys, reference: Reference) -> tuple[Keychain, ...]:
    """The keychains to try for an image, in order; at last nobody's, without a credential."""
    chained = keys.keychains if isinstance(keys, Chain) else (keys,)
    given = tuple(link for link in chained if link.serves(reference))
    return given if given and given[-1].scope == ANONYMOUS else (*given, _ANYBODY)


def asker(keys: Keys) -> str:
    """Whose share of the look-ups in flight is used."""
    return keys.asker if isinstance(keys, Chain) else ""


def pull_scope(namespace: str, names: Iterable[str]) -> str:
    """The scope of pods in a namespace that name these pull secrets, in whatever order."""
    return f"{namespace}/{','.join(sorted(set(names)))}"
