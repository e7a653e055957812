"""Certificates: the leader keeps the webhook's Secret filled, and the API server's trust in it."""

import asyncio
import base64
import binascii
import logging
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from rightarch.bell import Bell
from rightarch.certificates import Held, Hold, Issue, Plan, State, Step, Trust, Wait, authorities, decide, issue
from rightarch.cluster import Cluster, ClusterError
from rightarch.errors import RightarchError
from rightarch.following import follow
from rightarch.logs import fields
from rightarch.metrics import ProcessMetrics

CONFIGURATIONS: Final = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"

log = logging.getLogger(__name__)


class CertificateTrouble(RightarchError):
    """The Secret or the configuration can't be read or written; tried again for ever."""


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

    Attributes:
        steps: how many writes were done, by kind: Issue, Hold and Trust.
        failures: how many steps failed.
        expires: when the certificate that is served ends to be valid, as far as known.
    """

    def __init__(self, cluster: Cluster, target: Target) -> None:
        self.steps: Counter[str] = Counter(Issue=0, Hold=0, Trust=0)
        self.failures = 0
        self.expires: datetime | None = None
        self._cluster, self._target = cluster, target
        self._trusted: tuple[str, datetime] | None = None

    async def step(self) -> float:
        """Read, decide, and write once.

        Returns:
            Seconds until the next step is due; 0 after a write.

        Raises:
            CertificateTrouble: something is missing, or the API server refuses.
        """
        configuration = await self._read(f"{CONFIGURATIONS}/{self._target.configuration}")
        secret = await self._read(f"{self._target.secrets}/{self._target.secret}")  # never older than what it is for
        state, now = self._state(configuration, secret), datetime.now(UTC)
        step = decide(state, self._target.plan, now)
        if isinstance(step, Wait):
            log.debug("certificates wait", extra=fields(why=step.why, seconds=step.seconds))
            return step.seconds
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

    def failed(self) -> None:
        """Count a failure."""
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
        self, step: Issue | Hold | Trust, held: Held, configuration: dict[str, Any], secret: dict[str, Any], now: datetime
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
        if all((secret.get("data") or {}).get(key) == value for key, value in data.items()):
            raise CertificateTrouble("the Secret does not keep what is written to it")
        change = {"metadata": {"resourceVersion": secret["metadata"]["resourceVersion"]}, "data": data}
        await self._write(f"{self._target.secrets}/{self._target.secret}", "merge-patch", change)

    async def _trust(self, trusted: tuple[str, ...], configuration: dict[str, Any]) -> None:
        """Write every bundle, unless somebody has changed the configuration since it was read."""
        bundle, version = _encoded("".join(trusted)), configuration["metadata"]["resourceVersion"]
        change: list[dict[str, str]] = [{"op": "test", "path": "/metadata/resourceVersion", "value": version}]
        for index, webhook in enumerate(configuration["webhooks"]):
            change.append({"op": "test", "path": f"/webhooks/{index}/name", "value": webhook["name"]})
            change.append({"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle})
        await self._write(f"{CONFIGURATIONS}/{self._target.configuration}", "json-patch", change)
