"""The registry: what is known of images, and how it becomes known. The public face of the package."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from rightarch.errors import ImageError, UnresolvedImage
from rightarch.manifest import Document
from rightarch.platforms import ImagePlatforms
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry import failures
from rightarch.registry.authorization import Authorizer, Flow, Result
from rightarch.registry.client import Client
from rightarch.registry.hosts import Hosts
from rightarch.registry.keychain import ANONYMOUS, Credential, Keychain, Keys, asker, links
from rightarch.registry.memory import Answer, Recent
from rightarch.registry.observer import Key, Observer, Unobserved
from rightarch.registry.options import RegistryOptions
from rightarch.registry.places import Places
from rightarch.registry.sender import Sender
from rightarch.registry.stats import Stats
from rightarch.registry.turns import Turns

_log = logging.getLogger(__name__)
_FOREVER: Final = float("inf")


class Registry:
    """Tells the platforms of images, by asking registries as seldom as can be.

    Parsed content is shared by digest. What a reference stands for, and that it may be read at all, is remembered
    for the scope that asked; found without a credential, it holds for all scopes. Use it in one event loop.

    Attributes:
        stats: counters for metrics.
        observer: who is told of what is learnt and used.
    """

    def __init__(self, options: RegistryOptions, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.stats = Stats()
        self.observer: Observer = Unobserved()
        self._options = options
        self._clock = clock
        self._contents: Recent[str, ImagePlatforms] = Recent(options.max_images)
        self._answers: Recent[Key, Answer] = Recent(options.max_references)
        self._failures: Recent[Key, Answer] = Recent(options.max_failures)  # apart: bogus names must evict nothing
        self._flights: dict[Key, asyncio.Task[ImagePlatforms | ImageError]] = {}
        self._recorded: set[Key] = set()
        self._turns = Turns()
        self._places = Places(options.max_lookups, options.max_lookups_per_registry)
        hosts = Hosts(options.registries, options.hosts_folder)
        self._client = Client(Authorizer(options, clock), self._contents, hosts)
        self._sender = Sender(options, self.stats, clock)

    def known(self, reference: Reference, keys: Keys, *, record: bool = True) -> ImagePlatforms | ImageError | None:
        """What memory holds: the platforms, a failure of the last seconds, or None. Asks nobody, and never waits.

        Using an answer that is due for confirmation starts that in the background (if an event loop is running).
        Without ``record`` the observer is told neither of this use nor of what it starts.
        """
        held = self._held(reference, keys)
        if held is None:
            return None
        asking, scope, answer = held
        self.stats.remembered += 1
        if self._clock() >= answer.fresh_until:
            self._refresh((scope, reference.canonical), reference, asking, asker(keys), record=record)
        self.stats.stale += answer.stale
        if record and isinstance(answer.outcome, ImagePlatforms):
            self.observer.used((scope, reference.canonical), answer.outcome)
        if isinstance(answer.outcome, ImageError) and answer.outcome.transient:
            return failures.again(answer.outcome, answer.fresh_until - self._clock())
        return answer.outcome

    def remembered(self) -> Mapping[str, int]:
        """How much memory holds, by the words of which it is."""
        return {"contents": len(self._contents), "answers": len(self._answers), "failures": len(self._failures)}

    def holds(self, reference: Reference, keys: Keys) -> bool:
        """Whether memory holds the platforms of an image; that is no use of them."""
        held = self._held(reference, keys)
        return held is not None and isinstance(held[2].outcome, ImagePlatforms)

    def stale(self, reference: Reference, keys: Keys) -> bool:
        """Whether the platforms that memory holds are such that the registry failed to confirm when it was asked."""
        held = self._held(reference, keys)
        return held is not None and held[2].stale

    def learn(self, reference: Reference, scope: str, image: ImagePlatforms, age: float) -> ImagePlatforms:
        """Take over what was read elsewhere, in a scope, ``age`` seconds ago. What is known better here stays.

        It answers until it is forgotten, and is due for confirmation when a look-up of our own would be. What a
        registry refuses to confirm is dropped; while the registry fails, it answers as long as any other answer.

        Returns:
            The image as ``observer.used`` will be told of it: content is shared by digest.
        """
        key = (scope, reference.canonical)
        image = self._contents.get(image.digest) or image
        self._contents.put(image.digest, image)
        learnt = Answer(image, self._clock() - age + self._life(key, reference), _FOREVER, kept=True)
        held = self._answers.get(key)
        if held and isinstance(held.outcome, ImagePlatforms) and held.fresh_until >= learnt.fresh_until:
            learnt = Answer(held.outcome, held.fresh_until, held.stale_until if held.kept else _FOREVER, kept=True)
            image = held.outcome
        self._answers.put(key, learnt)
        return image

    def forget(self, reference: Reference, scope: str) -> None:
        """Drop what a reference stands for in a scope, and what its content was read to be: it is read anew."""
        key = (scope, reference.canonical)
        held = self._answers.get(key)
        if held is not None and isinstance(held.outcome, ImagePlatforms):
            self._answers.drop(key)
            self._contents.drop(held.outcome.digest)

    async def platforms(self, reference: Reference, keys: Keys, *, record: bool = True) -> ImagePlatforms:
        """The platforms of an image, from memory or from its registry.

        All who ask for the same at the same time wait for one look-up. Cancelling a wait (``asyncio.timeout``) leaves
        the look-up running for the others, and for the memory. Without ``record`` the observer is not told, unless
        somebody else asks for it as well.

        Raises:
            ImageError: why they can't be told. LookupLimit at once, where too many look-ups are in flight.
        """
        outcome = self.known(reference, keys, record=record)
        outcome = outcome or await self._looked_up(reference, keys, record=record)
        if isinstance(outcome, ImageError):
            raise failures.again(outcome)
        return outcome

    async def confirm(self, reference: Reference, keys: Keys) -> None:
        """Ask whether what is known still holds. The observer is told what is found, since that is no use of it."""
        key = (links(keys, reference)[0].scope, reference.canonical)
        self.stats.waited += 1
        task = self._flights.get(key)
        if task is None:
            if not self._places.free(reference.domain, asker(keys)):
                return
            task = self._start(key, reference, keys, asker(keys), confirm=True)
        self._recorded.add(key)
        await asyncio.wait([task])

    async def document(self, reference: Reference, keys: Keys) -> Document:
        """The manifest or index that a reference stands for, as its registry serves it now; nothing is remembered.

        Raises:
            ImageError: why it can't be had.
        """
        return await self._served(reference, keys, lambda credential: self._client.document(reference, credential))

    async def blob(self, reference: Reference, digest: str, keys: Keys) -> bytes:
        """A configuration, or another small blob of the reference's repository; nothing is remembered.

        Raises:
            ImageError: why it can't be had.
        """
        return await self._served(reference, keys, lambda credential: self._client.blob(reference, digest, credential))

    async def tags(self, reference: Reference, keys: Keys, *, pages: int = 10) -> tuple[str, ...]:
        """The tags of a reference's repository, in the registry's order; nothing is remembered.

        Args:
            reference: any image of the repository.
            keys: in whose name.
            pages: how many pages are read at most: there are repositories with hundreds of thousands of tags.

        Raises:
            ImageError: why they can't be had.
        """
        return await self._served(reference, keys, lambda credential: self._client.tags(reference, credential, pages))

    async def aclose(self) -> None:
        """End the look-ups that are running, and close all connections."""
        running = list(self._flights.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._sender.aclose()

    def _held(self, reference: Reference, keys: Keys) -> tuple[Keys, str, Answer] | None:
        """What is remembered for who asks: of a wider scope, what was found, since what was not says nothing here.

        Returns:
            By whom to confirm it, the scope, and the answer. What was found without a credential is confirmed without
            one: that reads no Secret, and is done once for all who use it.
        """
        now = self._clock()
        for place, link in enumerate(links(keys, reference)):
            key = (link.scope, reference.canonical)
            answer = self._answers.get(key) or (None if place else self._failures.get(key))
            if answer is not None and now < answer.stale_until:
                return link if place else keys, link.scope, answer
        return None

    async def _looked_up(self, reference: Reference, keys: Keys, *, record: bool) -> ImagePlatforms | ImageError:
        key = (links(keys, reference)[0].scope, reference.canonical)
        task = self._flights.get(key)
        if task is None:
            if not self._places.free(reference.domain, asker(keys)):
                self.stats.refused += 1
                return UnresolvedImage(Reason.LOOKUP_LIMIT, "too many images are being looked up; it is tried later")
            task = self._start(key, reference, keys, asker(keys), confirm=False)
        if record:
            self._recorded.add(key)
        await asyncio.wait([task])  # unlike awaiting the task, this leaves it alone when the wait is cancelled
        if task.cancelled():
            return UnresolvedImage(Reason.UNRESOLVED, "Rightarch was stopped while it was looked up")
        return task.result()

    def _refresh(self, key: Key, reference: Reference, keys: Keys, who: str, *, record: bool) -> None:
        if key not in self._flights:
            if not self._places.free(reference.domain, who) or not _in_event_loop():
                return
            self._start(key, reference, keys, who, confirm=True)
            self.stats.refreshes += 1
        if record:
            self._recorded.add(key)

    def _start(
        self, key: Key, reference: Reference, keys: Keys, who: str, *, confirm: bool
    ) -> asyncio.Task[ImagePlatforms | ImageError]:
        task = asyncio.create_task(self._flight(key, reference, keys, who, confirm=confirm))
        self._flights[key] = task
        self._places.take(reference.domain, who)
        self.stats.in_flight += 1
        task.add_done_callback(lambda _: self._landed(key, reference, who))
        return task

    def _landed(self, key: Key, reference: Reference, who: str) -> None:
        del self._flights[key]
        self._recorded.discard(key)
        self.stats.in_flight -= 1
        self._places.leave(reference.domain, who)

    async def _flight(
        self, key: Key, reference: Reference, keys: Keys, who: str, *, confirm: bool
    ) -> ImagePlatforms | ImageError:
        """One look-up: never raises an ImageError, because nobody may be waiting for it any more."""
        outcome: ImagePlatforms | ImageError
        scope = key[0]
        try:
            async with asyncio.timeout(self._options.lookup_timeout):
                await self._turns.wait(who)
                outcome, scope = await self._tried(reference, keys, confirm=confirm)
        except TimeoutError:
            outcome = failures.timed_out(reference.host, self._options.lookup_timeout)
        except ImageError as error:
            outcome = failures.again(error)
        if scope != key[0]:
            self._failures.drop(key)
            self._answers.drop(key)  # else what a credential once found would outlive its confirmation
        valid = (scope, key[1])
        self._remember(valid, reference, outcome)
        if key in self._recorded:
            self.observer.found(valid, outcome)
        word = outcome.reason.value if isinstance(outcome, ImageError) else "Found"
        self.stats.looked_up(reference.domain, word)
        _log.debug("looked up %s: %s", reference, word)
        return outcome

    async def _tried(self, reference: Reference, keys: Keys, *, confirm: bool) -> tuple[ImagePlatforms, str]:
        """The platforms by the first credential that may read the image, and the scope in which that holds."""
        confirm = confirm or (reference.digest is not None and self._contents.get(reference.digest) is not None)
        return await self._by_any(
            reference, keys, lambda credential: self._client.find(reference, credential, confirm=confirm)
        )

    async def _served(
        self, reference: Reference, keys: Keys, flow: Callable[[Credential | None], Flow[Result]]
    ) -> Result:
        """What a flow gives by one of the credentials, within the time of a look-up."""
        try:
            async with asyncio.timeout(self._options.lookup_timeout):
                served, _ = await self._by_any(reference, keys, flow)
        except TimeoutError:
            raise failures.timed_out(reference.host, self._options.lookup_timeout) from None
        return served

    async def _by_any(
        self, reference: Reference, keys: Keys, flow: Callable[[Credential | None], Flow[Result]]
    ) -> tuple[Result, str]:
        """What a flow gives by the first credential that may read the image, at last by none; the scope of that one.

        Raises:
            ImageError: at once what of a registry is transient; else what tells most: that a credential can't be had
                now, and last that one was denied.
        """
        problems: list[ImageError] = []
        for link in links(keys, reference):
            for credential in await _offered(link, reference, problems):
                try:
                    return await self._run(flow(credential)), link.scope
                except ImageError as error:
                    if error.transient:
                        raise
                    problems.append(error)
        raise min(problems, key=lambda problem: (not problem.transient, problem.reason is Reason.ACCESS_DENIED))

    async def _run(self, flow: Flow[Result]) -> Result:
        """Send what a flow asks for until it returns."""
        try:
            request = next(flow)
            while True:
                try:
                    response = await self._sender.send(request)
                except ImageError as error:
                    request = flow.throw(error)
                else:
                    request = flow.send(response)
        except StopIteration as stop:
            found: Result = stop.value
            return found

    def _remember(self, key: Key, reference: Reference, outcome: ImagePlatforms | ImageError) -> None:
        now = self._clock()
        held = self._answers.get(key)
        kept = held is not None and held.kept
        if isinstance(outcome, ImagePlatforms):
            self._failures.drop(key)
            self._contents.put(outcome.digest, outcome)
            end = _FOREVER if kept else self._end(key, reference, now)
            self._answers.put(key, Answer(outcome, now + self._life(key, reference), end, kept))
            return
        wait = outcome.retry_after or self._options.negative_ttl * random.uniform(0.75, 0.9)  # noqa: S311 - no secret
        if outcome.transient and held and isinstance(held.outcome, ImagePlatforms) and now < held.stale_until:
            end = min(held.stale_until, now + self._options.stale_ttl)
            self._answers.put(key, Answer(held.outcome, now + wait, end, kept, stale=True))
        else:
            self._answers.drop(key)
            self._failures.put(key, Answer(outcome, now + wait, now + wait))

    def _life(self, key: Key, reference: Reference) -> float:
        """How long an answer is believed: a tag may move, a digest can't, but a credential may lose its access."""
        if reference.digest is None:
            return self._options.tag_ttl
        return self._options.access_ttl if key[0] else _FOREVER

    def _end(self, key: Key, reference: Reference, now: float) -> float:
        life = self._life(key, reference)
        return now + max(life, self._options.stale_ttl)


async def _offered(link: Keychain, reference: Reference, problems: list[ImageError]) -> Sequence[Credential | None]:
    """A keychain's credentials for an image, None standing for none; why they can't be had joins the problems."""
    if link.scope == ANONYMOUS:
        return (None,)
    try:
        return await link.credentials(reference)
    except ImageError as error:
        problems.append(error)
        return ()


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
