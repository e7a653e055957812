"""What one credential revealed answers that credential's scope: several keychains, tried in order, tell no other."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from rightarch.errors import ImageError, UnresolvedImage
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry import CLUSTER, Chain, Credential, Keychain, Registry, Scoped
from tests.images import attested, single

from .conftest import ALICE_PASSWORD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rightarch.platforms import ImagePlatforms
    from rightarch.registry import Key
    from tests.images import RegistryServer, TokenServer

    from .conftest import Clock

ALICE = Credential("alice", ALICE_PASSWORD)
BOB = Credential("bob", "password-of-bob")
TAG_SECONDS = 600.0


@dataclass
class Given:
    """A keychain with these credentials, or none for now, that counts how often it is asked."""

    scope: str
    offered: Sequence[Credential] = ()
    failing: bool = False
    asked: int = 0
    serving: bool = True

    def serves(self, reference: Reference) -> bool:  # noqa: ARG002 - the protocol's form
        """As it was made."""
        return self.serving

    async def credentials(self, reference: Reference) -> Sequence[Credential]:
        """What it was given."""
        self.asked += 1
        if self.failing:
            raise UnresolvedImage(Reason.UNRESOLVED, f"nobody knows who may read {reference} now")
        return self.offered


@dataclass
class Told:
    """An observer that remembers whom it was told of."""

    found_: list[tuple[Key, ImagePlatforms | ImageError]] = field(default_factory=list)
    used_: list[Key] = field(default_factory=list)

    def found(self, key: Key, outcome: ImagePlatforms | ImageError) -> None:
        """A look-up ended."""
        self.found_.append((key, outcome))

    def used(self, key: Key, _: ImagePlatforms) -> None:
        """An answer was given."""
        self.used_.append(key)


def pushed(server: RegistryServer, repository: str, salt: str) -> Reference:
    """An image that nobody knows yet; private/app is for alice."""
    server.push(repository, salt, attested("linux/amd64", "linux/arm64", salt=salt))
    server.forget()
    return Reference.parse(f"{server.host}/{repository}:{salt}")


async def reason(registry: Registry, reference: Reference, *keychains: Keychain) -> str:
    """What becomes of a look-up: Found, or the Reason of its failure."""
    try:
        await registry.platforms(reference, Chain(keychains))
    except ImageError as error:
        return error.reason.value
    return "Found"


async def test_keychains_are_tried_in_order_and_answer_in_their_own_scope(
    server: RegistryServer, registry: Registry, tokens: TokenServer
) -> None:
    """What the second finds holds in its scope; the first one's stays without an answer of its own."""
    registry.observer = told = Told()
    reference = pushed(server, "private/app", "order")
    own, cluster = Given("team-a/hub", [BOB]), Given(CLUSTER, [ALICE])
    assert await reason(registry, reference, own, cluster) == "Found"
    assert tokens.requests == ["bob", "alice"]
    assert [key for key, _ in told.found_] == [(CLUSTER, reference.canonical)]
    assert registry.known(reference, Chain((Given("team-b/", ()), Given(CLUSTER)))) is not None
    assert registry.known(reference, Chain((own,))) is None
    assert registry.known(reference, Given("team-b/")) is None


async def test_the_first_that_may_read_ends_the_search(server: RegistryServer, registry: Registry) -> None:
    """Later keychains are not asked: a plugin need not run, no cloud is bothered."""
    reference = pushed(server, "private/app", "first")
    cluster = Given(CLUSTER, [ALICE])
    assert await reason(registry, reference, Given("team-a/hub", [ALICE]), cluster) == "Found"
    assert cluster.asked == 0


async def test_what_is_public_is_found_in_everybodys_scope_and_confirmed_in_it(
    server: RegistryServer, registry: Registry, clock: Clock
) -> None:
    """Confirming it asks no keychain, which would read a Secret, and is done once for all who use it."""
    registry.observer = told = Told()
    reference = pushed(server, "public/confirmed", "1")
    own, other = Given("team-a/hub"), Given("team-b/hub")
    assert await reason(registry, reference, own) == "Found"
    asked = own.asked
    clock.now += TAG_SECONDS + 1
    assert registry.known(reference, own) is not None
    assert registry.known(reference, other) is not None
    await settled(registry)
    assert (own.asked, other.asked) == (asked, 0)
    assert [str(request).split()[0] for request in server.requests() if request.status == 200][-1:] == ["HEAD"]
    assert {key[0] for key, _ in told.found_} == {""}


async def test_a_keychain_that_can_not_tell_now_is_no_denial(server: RegistryServer, registry: Registry) -> None:
    """What others may read is found; what nobody may read is to be tried again, and not denied."""
    failing = Given("team-a/hub", failing=True)
    private, public = pushed(server, "private/app", "failing"), pushed(server, "public/failing", "1")
    assert await reason(registry, private, failing) == "Unresolved"
    assert await reason(registry, private, failing, Given(CLUSTER, [ALICE])) == "Unresolved"  # remembered for seconds
    assert await reason(registry, private, Given("team-b/hub", failing=True), Given(CLUSTER, [ALICE])) == "Found"
    assert await reason(registry, public, failing) == "Found"


async def test_a_known_answer_outlives_a_keychain_that_can_not_tell_now(
    server: RegistryServer, registry: Registry, clock: Clock
) -> None:
    """An API server that is away takes nothing from what a Secret revealed; a Secret that is gone does."""
    reference, own = pushed(server, "private/app", "outlives"), Given("team-a/hub", [ALICE])
    assert await reason(registry, reference, own) == "Found"
    for failing, offered, expected in [(True, [ALICE], "Found"), (False, [], "AccessDenied")]:
        own.failing, own.offered = failing, offered
        clock.now += TAG_SECONDS + 1
        registry.known(reference, own)
        await settled(registry)
        assert await reason(registry, reference, own) == expected


async def test_confirming_asks_again_and_is_no_use(server: RegistryServer, registry: Registry) -> None:
    """The observer is told what is found, so that a lost right is written down."""
    registry.observer = told = Told()
    reference, own = pushed(server, "private/app", "confirm"), Given("team-a/hub", [ALICE])
    assert await reason(registry, reference, own) == "Found"
    told.found_.clear()
    own.offered = [BOB]
    await registry.confirm(reference, own)
    [(key, outcome)] = told.found_
    assert key == ("team-a/hub", reference.canonical)
    assert isinstance(outcome, ImageError)
    assert outcome.reason is Reason.ACCESS_DENIED
    assert told.used_ == []
    assert await reason(registry, reference, own) == "AccessDenied"


async def test_an_identity_may_answer_in_each_namespace_apart(server: RegistryServer, registry: Registry) -> None:
    """Then the second namespace finds for itself what the first one found."""
    reference, identity = pushed(server, "private/app", "apart"), Given(CLUSTER, [ALICE])
    assert await reason(registry, reference, Scoped(identity, "team-a/")) == "Found"
    assert registry.known(reference, Scoped(identity, "team-b/")) is None
    assert registry.known(reference, Scoped(identity, "team-a/")) is not None


async def test_whose_keychains_serve_the_image_not_asks_as_everybody(
    server: RegistryServer, registry: Registry
) -> None:
    """One look-up for all namespaces, also of what fails, and no keychain is asked: an identity elsewhere is none."""
    public, private = pushed(server, "public/unserved", "1"), pushed(server, "private/app", "unserved")
    chains = [
        Chain((Scoped(Given(CLUSTER, [ALICE], serving=False), f"team-{n}/"), Given(CLUSTER, serving=False)))
        for n in range(5)
    ]
    for reference, outcome in ((public, "Found"), (private, "AccessDenied")):
        found = await asyncio.gather(*(reason(registry, reference, *chain.keychains) for chain in chains))
        assert set(found) == {outcome}
    assert registry.stats.lookups == {"Found": 1, "AccessDenied": 1}
    assert registry.known(private, Given("team-9/")) is None


async def test_nobody_joins_the_look_up_of_another_scope(server: RegistryServer, registry: Registry) -> None:
    """At the same moment, for the same image: each scope asks for itself."""
    reference = pushed(server, "private/app", "flight")
    outcomes = await asyncio.gather(
        *(reason(registry, reference, Given("team-a/hub", [ALICE])) for _ in range(5)),
        *(reason(registry, reference, Given("team-b/hub", [BOB])) for _ in range(5)),
        *(reason(registry, reference, Given(CLUSTER)) for _ in range(5)),
    )
    assert outcomes == ["Found"] * 5 + ["AccessDenied"] * 10
    assert registry.stats.lookups == {"Found": 1, "AccessDenied": 2}


@pytest.mark.parametrize("by_digest", [False, True])
async def test_the_time_of_a_denial_tells_nothing(
    server: RegistryServer, registry: Registry, clock: Clock, by_digest: bool
) -> None:
    """What team A has read and what nobody has are denied to team B alike: as many requests, in the same time.

    Each is asked for many times in turns, once what a first question leaves behind is there; the medians of the two
    must not differ by more than half of the spread that is there anyway.
    """
    images = {known: single("linux/arm64", f"{known}-{by_digest}") for known in ("known", "unknown")}
    tagged = {
        known: server.push("private/app" if known == "known" else "private/other", "timing", image)
        for known, image in images.items()
    }
    names = {known: full if by_digest else f"{full.partition('@')[0]}:timing" for known, full in tagged.items()}
    references = {known: Reference.parse(name) for known, name in names.items()}
    own, other = Given("team-a/hub", [ALICE]), Given("team-b/hub", [BOB])
    assert await reason(registry, references["known"], own) == "Found"
    seconds: dict[str, list[float]] = {known: [] for known in references}
    requests: dict[str, set[int]] = {known: set() for known in references}
    for turn in range(60):
        for known, reference in references.items():
            clock.now += 10  # the denial of the last turn is forgotten
            sent, begun = registry.stats.requests.total(), time.perf_counter()
            assert await reason(registry, reference, other) == "AccessDenied"
            if turn >= 10:
                seconds[known].append(time.perf_counter() - begun)
                requests[known].add(registry.stats.requests.total() - sent)
    assert requests["known"] == requests["unknown"]
    medians = {known: statistics.median(each) for known, each in seconds.items()}
    quartiles = [statistics.quantiles(each, n=4) for each in seconds.values()]
    spread = max(high - low for low, _, high in quartiles)
    assert abs(medians["known"] - medians["unknown"]) < max(spread, 0.1 * min(medians.values()))


async def settled(registry: Registry) -> None:
    """Let the look-ups in flight end."""
    async with asyncio.timeout(60):
        while registry.stats.in_flight:  # noqa: ASYNC110 - nothing tells of the end but this number
            await asyncio.sleep(0.01)
