"""Knowledge: what a cluster knows of images already, in its ImagePlatforms."""

from dataclasses import dataclass
from datetime import UTC, datetime

from rightarch import pod as pods
from rightarch.cli.clusters import UNAUTHORIZED, read
from rightarch.cli.registries import tell
from rightarch.cluster import Cluster, ClusterError
from rightarch.facts.fact import Fact, name_of
from rightarch.facts.fact import read as read_fact
from rightarch.facts.memory import PATH
from rightarch.gather import parse
from rightarch.pod import Pod
from rightarch.reference import Reference
from rightarch.registry import ANONYMOUS, CLUSTER, Registry, pull_scope


@dataclass(frozen=True, slots=True)
class Source:
    """Where what is known of an image comes from.

    Attributes:
        kind: ``ImagePlatforms``, ``registry``, ``override``, or ``none``.
        detail: which, for people.
        name: of the object, if it is one.
        learned_at: when that was learnt, seconds since 1970; None of others.
    """

    kind: str
    detail: str
    name: str = ""
    learned_at: int | None = None


class Knowledge:
    """Reads ImagePlatforms by their names: listing those of a whole cluster for one workload would be too much."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._refused = False
        self._secrets: dict[tuple[str, str], tuple[str, ...]] = {}

    async def learn(self, registry: Registry, key: tuple[str, str], pod: Pod) -> Source | None:
        """Have a registry's memory know, in a scope, what the cluster knows of an image for a pod.

        Args:
            registry: told.
            key: the scope in which it is to know it, and the image's name.
            pod: whose image it is.

        Returns:
            Where it comes from, or None where the cluster knows nothing.
        """
        scope, name = key
        reference = parse(name)
        if not isinstance(reference, Reference):
            return None
        fact = await self._fact(reference, await self._scopes(pod))
        if fact is None:
            return None
        registry.learn(reference, scope, fact.image, 0.0)
        return _source(fact)

    async def _fact(self, reference: Reference, scopes: tuple[str, ...]) -> Fact | None:
        for scope in scopes:
            if self._refused:
                return None
            key = scope, reference.canonical
            try:
                found = read_fact(await read(self._cluster, f"{PATH}/{name_of(key)}"))
            except ClusterError as error:
                self._refuse(error)
                continue
            if isinstance(found, Fact) and found.answers:
                return found
        return None

    def _refuse(self, error: ClusterError) -> None:
        if error.status == 403:
            refused, self._refused = self._refused, True
            if not refused:
                tell(f"ImagePlatforms can't be read, so registries are asked instead: {error.reason}")
        elif error.status != 404:
            raise error

    async def _scopes(self, pod: Pod) -> tuple[str, ...]:
        """The scopes in which the webhook looks for what a pod may know, the narrowest first."""
        namespace = pod["metadata"]["namespace"]
        secrets = pods.pull_secrets(pod) or await self._account_secrets(namespace, pods.service_account(pod))
        return pull_scope(namespace, secrets), CLUSTER, ANONYMOUS

    async def _account_secrets(self, namespace: str, account: str) -> tuple[str, ...]:
        """The pull secrets that a ServiceAccount gives to pods that name none."""
        key = namespace, account
        if key not in self._secrets:
            try:
                found = await read(self._cluster, f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}")
                self._secrets[key] = pods.pull_secrets({"spec": found})
            except ClusterError as error:
                if error.status == UNAUTHORIZED:
                    raise
                self._secrets[key] = ()
        return self._secrets[key]


def _source(fact: Fact) -> Source:
    when = datetime.fromtimestamp(fact.learned_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    failed = f", not confirmed since: {fact.last_failure}" if fact.last_failure else ""
    name = name_of(fact.key)
    return Source("ImagePlatforms", f"{name[:10]}…, learned {when}{failed}", name, fact.learned_at)
