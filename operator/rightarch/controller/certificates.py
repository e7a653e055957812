"""Certificates: the leader keeps the webhook's Secret filled, and the API server's trust in it."""

import asyncio
import base64
import binascii
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from rightarch.bell import Bell
from rightarch.certificates import Held, Hold, Issue, Plan, State, Step, Trust, Wait, authorities, decide, issue
from rightarch.cluster import Cluster, ClusterError
from rightarch.following import follow
from rightarch.logs import fields
from rightarch.metrics import ProcessMetrics

CONFIGURATIONS: Final = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"

UNHURRIED: Final = 8
"""Writes at full speed: a rotation is five."""
LONGEST_PAUSE: Final = 30.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Target:
    """Where certificates are kept, and what they are to be.

    Attributes:
        namespace: of the Secret.
        secret: its name.
        configuration: the name of the MutatingWebhookConfiguration.
        plan: which certificate is wanted.
    """

    namespace: str
    secret: str
    configuration: str
    plan: Plan

    @property
    def secrets(self) -> str:
        """The path of the collection that the Secret is in."""
        return f"/api/v1/namespaces/{self.namespace}/secrets"


class Certificates:
    """Takes one step of a rotation at a time. What it remembers between two of them may be lost without harm.

    Args:
        cluster: whose Secret and configuration.
        target: which.
        watch_failed: called when the watch of either breaks off, to count that.

    Attributes:
        steps: how many writes were done, by kind: Issue, Hold and Trust.
        failures: how many steps failed.
        expires: when the certificate that is served ends to be valid, as far as known.
    """

    def __init__(self, cluster: Cluster, target: Target, watch_failed: Callable[[], None] = lambda: None) -> None:
        self.steps: Counter[str] = Counter(Issue=0, Hold=0, Trust=0)
        self.failures = 0
        self.expires: datetime | None = None
        self._cluster, self._target, self._watch_failed = cluster, target, watch_failed
        self._configuration = f"{CONFIGURATIONS}/{target.configuration}"
        self._secret = f"{target.secrets}/{target.secret}"
        self._trusted: tuple[str, datetime] | None = None
        self._pace = _Pace(2 * target.plan.settling.total_seconds())

    async def keep(self) -> NoReturn:
        """Keep Secret and bundles as they should be, for ever: at each change of them, and when a step is due."""
        bell, target = Bell(), self._target
        async with asyncio.TaskGroup() as group:
            group.create_task(follow(self._cluster, target.secrets, bell, self._watch_failed, target.secret))
            group.create_task(follow(self._cluster, CONFIGURATIONS, bell, self._watch_failed, target.configuration))
            await bell.heed(self.step, self._failed, "keep the webhook's certificate")

    async def step(self) -> float:
        """Read, decide, and write once.

        Returns:
            Seconds until the next step is due; 0 after a write.

        Raises:
            ClusterError: something is missing or was changed meanwhile, or the API server refuses.
        """
        await asyncio.sleep(self._pace.pause())
        configuration = await self._cluster.read(self._configuration)
        secret = await self._read_secret()  # read last: what it holds is never older than the bundles
        state, now = self._state(configuration, secret), datetime.now(UTC)
        step = decide(state, self._target.plan, now)
        if isinstance(step, Wait):
            log.debug("certificates wait", extra=fields(why=step.why, seconds=step.seconds))
            return step.seconds
        self._pace.count()
        await self._take(step, state.held, configuration, secret, now)
        return 0

    def expose(self, metrics: ProcessMetrics) -> None:
        """Show the end of the certificate, and what is done."""
        metrics.gauge(
            "rightarch_certificate_expiration_timestamp_seconds",
            "When the webhook's certificate in the Secret ends to be valid; only the leader tells.",
            (),
            lambda: {(): self.expires.timestamp()} if self.expires else {},
        )
        metrics.counter(
            "rightarch_certificate_steps",
            "Writes of a rotation: Issue and Hold change the Secret, Trust the configuration.",
            ("step",),
            lambda: {(step,): count for step, count in self.steps.items()},
        )
        metrics.counter(
            "rightarch_certificate_failures",
            "Steps of a rotation that failed, and are tried again.",
            (),
            lambda: {(): self.failures},
        )

    async def _read_secret(self) -> dict[str, Any]:
        """The Secret, which is the chart's: the right to create one could not be for this one alone."""
        try:
            return await self._cluster.read(self._secret)
        except ClusterError as error:
            if error.status != 404:
                raise
            where = f"{self._target.namespace}/{self._target.secret}"
            raise ClusterError(404, f"{error.reason}; `helm upgrade` makes the Secret {where} again") from error

    def _failed(self) -> None:
        self.failures += 1

    def _state(self, configuration: dict[str, Any], secret: dict[str, Any]) -> State:
        held = Held.parse({key: _decoded(value) for key, value in (secret.get("data") or {}).items()})
        self.expires = held.current.leaf.not_valid_after_utc if held.current else None
        bundles = (each["clientConfig"].get("caBundle", "") for each in configuration.get("webhooks") or [])
        trusted = tuple(frozenset(authorities(_decoded(bundle).decode("ascii", "replace"))) for bundle in bundles)
        return self._timed(State(held, trusted))

    def _timed(self, state: State) -> State:
        """The state with the time since which the next certificate was seen to be trusted without interruption."""
        if state.held.next is None or not state.trusts_next:
            self._trusted = None
            return state
        if self._trusted is None or self._trusted[0] != state.held.next.authority:
            self._trusted = (state.held.next.authority, datetime.now(UTC))
        return replace(state, trusted_since=self._trusted[1])

    async def _take(
        self,
        step: Issue | Hold | Trust,
        held: Held,
        configuration: dict[str, Any],
        secret: dict[str, Any],
        now: datetime,
    ) -> None:
        match step:
            case Issue():
                await self._hold(replace(held, next=issue(self._target.plan, now)), secret)
            case Hold():
                await self._hold(step.held, secret)
            case Trust():
                await self._trust(step.authorities, configuration)
        self._count(step)

    def _count(self, step: Step) -> None:
        kind = type(step).__name__
        self.steps[kind] += 1
        log.info("took a step for the webhook's certificate", extra=fields(step=kind, why=step.why))

    async def _hold(self, held: Held, secret: dict[str, Any]) -> None:
        """Write the Secret, unless somebody has changed it since it was read."""
        data = {key: None if text is None else _encoded(text) for key, text in held.data().items()}
        change = {"metadata": {"resourceVersion": secret["metadata"]["resourceVersion"]}, "data": data}
        await self._cluster.patch(self._secret, "merge-patch", change)

    async def _trust(self, trusted: tuple[str, ...], configuration: dict[str, Any]) -> None:
        """Write every bundle, unless somebody has changed the configuration since it was read."""
        bundle, version = _encoded("".join(trusted)), configuration["metadata"]["resourceVersion"]
        change: list[dict[str, str]] = [{"op": "test", "path": "/metadata/resourceVersion", "value": version}]
        for index, webhook in enumerate(configuration["webhooks"]):
            change.append({"op": "test", "path": f"/webhooks/{index}/name", "value": webhook["name"]})
            change.append({"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle})
        await self._cluster.patch(self._configuration, "json-patch", change)


class _Pace:
    """Slows down who writes again and again: somebody else may be undoing each write at once.

    Args:
        quiet: seconds without a write after which all is well.
    """

    def __init__(self, quiet: float) -> None:
        self._quiet, self._writes, self._last = quiet, 0, time.monotonic()

    def pause(self) -> float:
        """Seconds to wait before looking: none for the writes of a rotation, then more with each."""
        self._forgive()
        if self._writes < UNHURRIED:
            return 0
        return min(LONGEST_PAUSE, 0.1 * 2.0 ** min(self._writes - UNHURRIED, 20))

    def count(self) -> None:
        """Count a write."""
        self._forgive()
        self._writes, self._last = self._writes + 1, time.monotonic()

    def _forgive(self) -> None:
        if time.monotonic() > self._last + self._quiet:
            self._writes = 0


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value)
    except binascii.Error:
        return b""
