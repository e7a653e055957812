"""Pulling: in whose name images are looked up for a report: the user's own, then the pods'.

Each pull secret is read once, and only where the user's own credentials don't do. None is printed or kept.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from rightarch import pod as pods
from rightarch.cluster import Cluster, ClusterError
from rightarch.keychains import usable
from rightarch.reference import Reference
from rightarch.registry import Chain, Credential, Keychain, Keys, pull_scope
from rightarch.registry.dockerconfig import Entry, Malformed, matching, parse_secret
from rightarch.report.workload import Puller

_REFUSED: Final = 403
_ABSENT: Final = 404


class Pulling:
    """Tells the keychains of images.

    Args:
        own: the user's.
        cluster: where pull secrets are; None for none.
    """

    def __init__(self, own: Keychain, cluster: Cluster | None = None) -> None:
        self._own, self._cluster = own, cluster
        self._reads: dict[str, asyncio.Task[Any]] = {}
        self._refused = self._failed = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be read so far, and what that means, for people."""
        told = {"may not be read": self._refused, "could not be read just now": self._failed}
        return tuple(
            f"pull secrets or ServiceAccounts {why} ({count}): their images may stay unknown"
            for why, count in told.items()
            if count
        )

    def keys(self, pullers: Iterable[Puller]) -> Keys:
        """Those for an image that some pods pull; that of nobody comes last of its own."""
        if self._cluster is None:
            return self._own
        each: list[Keychain] = [self._own]
        checked = sorted(set(map(_checked, pullers)))
        each += [_Secrets(self, puller) for puller in checked if puller.secrets or puller.account]
        return Chain(tuple(each))

    async def entries(self, puller: Puller) -> Sequence[Entry]:
        """The credentials of a puller's secrets, in their order; none of those that may not be read."""
        names = puller.secrets or await self._named(puller)
        found = [await self._read(f"secrets/{name}", puller.namespace, _entries) for name in names]
        return [entry for entries in found for entry in entries]

    async def _named(self, puller: Puller) -> Sequence[str]:
        found: Sequence[str] = await self._read(f"serviceaccounts/{puller.account}", puller.namespace, _secrets)
        return found

    async def _read(self, rest: str, namespace: str, take: Callable[[Mapping[str, Any]], Sequence[Any]]) -> Any:  # noqa: ANN401 - as taken
        path = f"/api/v1/namespaces/{namespace}/{rest}"
        task = self._reads.get(path)
        if task is None:
            task = self._reads[path] = asyncio.create_task(self._fetch(path, take))
        await asyncio.wait([task])
        return task.result()

    async def _fetch(self, path: str, take: Callable[[Mapping[str, Any]], Sequence[Any]]) -> Sequence[Any]:
        assert self._cluster is not None, "there are no pullers without a cluster"
        try:
            return take(await self._cluster.read(path))
        except Exception as error:  # noqa: BLE001 - whatever ends a connection, and whatever the client makes of it
            status = error.status if isinstance(error, ClusterError) else None
            self._refused += status == _REFUSED
            self._failed += status not in {_REFUSED, _ABSENT}
            return ()


class _Secrets:
    """The keychain of the pull secrets of some pods."""

    __slots__ = ("_puller", "_pulling", "scope")

    def __init__(self, pulling: Pulling, puller: Puller) -> None:
        self.scope: str = pull_scope(puller.namespace, puller.secrets or (puller.account,))
        self._pulling, self._puller = pulling, puller

    def serves(self, reference: Reference) -> bool:  # noqa: ARG002 - what they hold is told by reading them alone
        """Every image, for all that is known."""
        return True

    async def credentials(self, reference: Reference) -> Sequence[Credential]:
        """Those that match, as the kubelet orders them."""
        return matching(await self._pulling.entries(self._puller), reference)


def _checked(puller: Puller) -> Puller:
    """A puller whose names lead to nothing but a Secret or a ServiceAccount: authors of pods choose them."""
    account = "".join(usable((puller.account,)))
    return replace(puller, secrets=usable(puller.secrets), account=account)


def _entries(secret: Mapping[str, Any]) -> Sequence[Entry]:
    try:
        return parse_secret(secret)
    except Malformed:
        return ()


def _secrets(account: Mapping[str, Any]) -> Sequence[str]:
    return usable(pods.pull_secrets({"spec": account}))
