"""Keychains of pods: in whose name their images are looked up.

First the pull secrets that the pod names, as the kubelet reads them; then Rightarch's own identity, in the place of a
node's; at last nobody. A Secret is read by its name when an image is looked up, and dropped when its credentials are
chosen: none is listed, watched or kept.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Self

from rightarch import pod as pods
from rightarch.cluster import Cluster, ClusterError
from rightarch.crds import DNS_SUBDOMAIN, MAX_SECRETS
from rightarch.errors import ImageError, UnresolvedImage
from rightarch.logs import fields
from rightarch.pod import Pod
from rightarch.reasons import Reason
from rightarch.reference import Reference
from rightarch.registry import CLUSTER, Chain, Credential, Keychain, Keys, Scoped, pull_scope
from rightarch.registry.cloud import CloudKeychain
from rightarch.registry.dockerconfig import Entry, Malformed, matching, parse_secret
from rightarch.registry.plugins import Plugins
from rightarch.registry.providers import check_programs, load
from rightarch.settings import EVERYWHERE, ProcessSettings

_NAME: Final = re.compile(DNS_SUBDOMAIN, re.ASCII)
_ABSENT: Final = frozenset({403, 404})
"""Statuses by which an object is not to be had, until somebody makes it or gives the right to it."""

log = logging.getLogger(__name__)

Known = Callable[[Keys], bool]
"""Whether all that is wanted is known already in the name of these keychains."""


class Keychains:
    """Tells the keychains of pods.

    Args:
        cluster: where Secrets and ServiceAccounts are read, by name.
        namespaces: whose pull secrets may be read; ``EVERYWHERE`` among them stands for all.
        identity: keychains of Rightarch itself.
        shared: whether what the identity finds for one namespace answers the others; otherwise each finds it for
            itself.
    """

    def __init__(
        self, cluster: Cluster, namespaces: Iterable[str], identity: Sequence[Keychain] = (), *, shared: bool = True
    ) -> None:
        self._reader, self._namespaces = _Reader(cluster), frozenset(namespaces)
        self._identity, self._shared = tuple(identity), shared

    @classmethod
    def of(cls, settings: ProcessSettings, cluster: Cluster) -> Self:
        """Those that a process is told of.

        Raises:
            SettingsError: the configuration of credential providers, or the file of authorities, can't be used.
        """
        shared = settings.identity_scope == "cluster"
        return cls(cluster, settings.pull_secrets, list(_identity(settings)), shared=shared)

    async def aclose(self) -> None:
        """End the exchanges with clouds that are running, and close their connections."""
        for each in self._identity:
            if isinstance(each, CloudKeychain):
                await each.aclose()

    def of_pod(self, namespace: str, pod: Pod) -> Keys:
        """Those of a pod as the API server asks about it: it has its ServiceAccount's pull secrets by then."""
        return self.of_names(namespace, pods.pull_secrets(pod))

    async def of_template(self, namespace: str, template: Pod, known: Known) -> Keys:
        """Those that pods of a template will have, as far as that can be told now.

        Its ServiceAccount is read only where that makes a difference.
        """
        names = pods.pull_secrets(template)
        try:
            return await self.of_account(namespace, pods.service_account(template), names, known)
        except UnresolvedImage:
            return self.of_names(namespace, names)

    async def of_account(self, namespace: str, account: str, names: Sequence[str], known: Known) -> Keys:
        """Those of pods that name these pull secrets; if they name none they get those of their ServiceAccount.

        Raises:
            UnresolvedImage: the ServiceAccount can't be read now.
        """
        keys = self.of_names(namespace, names)
        if names or not self._readable(namespace) or not _NAME.fullmatch(account) or known(keys):
            return keys
        return self.of_names(namespace, await self._reader.names(namespace, account))

    def of_scope(self, scope: str) -> Keys:
        """Those of whoever finds answers in a scope other than the anonymous one, if anybody does."""
        namespace, _, names = ("", "", "") if scope == CLUSTER else scope.partition("/")
        return self.of_names(namespace, names.split(",") if names else ())

    def of_names(self, namespace: str, names: Sequence[str]) -> Keys:
        """Those of pods in a namespace that have these pull secrets."""
        own = usable(names) if names and self._readable(namespace) else ()
        scope = pull_scope(namespace, own)
        secrets = (PullSecrets(self._reader, namespace, own, scope),) if own else ()
        identity = (each if self._shared else Scoped(each, scope) for each in self._identity)
        return Chain((*secrets, *identity), asker=namespace)

    def _readable(self, namespace: str) -> bool:
        return namespace in self._namespaces or EVERYWHERE in self._namespaces


class PullSecrets:
    """The keychain of pull secrets of a namespace; made by ``Keychains``.

    Attributes:
        scope: of the namespace and their names.
    """

    __slots__ = ("_names", "_namespace", "_reader", "scope")

    def __init__(self, reader: "_Reader", namespace: str, names: tuple[str, ...], scope: str) -> None:
        self.scope: str = scope
        self._reader, self._namespace, self._names = reader, namespace, names

    def serves(self, reference: Reference) -> bool:  # noqa: ARG002 - what they hold is told by reading them alone
        """Every image, for all that is known."""
        return True

    async def credentials(self, reference: Reference) -> Sequence[Credential]:
        """Those of all the secrets that match, as the kubelet orders them.

        Raises:
            UnresolvedImage: a secret can't be read now.
        """
        reads = (self._reader.entries(self._namespace, name) for name in self._names)
        found: list[tuple[Entry, ...]] = await asyncio.gather(*reads)
        return matching((entry for entries in found for entry in entries), reference)


class _Reader:
    """Reads objects by name. Who wants the same at the same time gets the same; nothing is kept afterwards."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._reads: dict[str, asyncio.Task[Any]] = {}

    async def entries(self, namespace: str, name: str) -> tuple[Entry, ...]:
        """The credentials of a pull secret; none where it is not there, not to be read, or no pull secret.

        Raises:
            UnresolvedImage: it can't be read now.
        """
        path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
        found: tuple[Entry, ...] | ImageError = await self._once(path, partial(self._entries, path))
        if isinstance(found, ImageError):
            raise UnresolvedImage(found.reason, str(found))
        return found

    async def names(self, namespace: str, account: str) -> tuple[str, ...]:
        """The pull secrets that a ServiceAccount gives to pods; none where it is not there, or not to be read.

        Raises:
            UnresolvedImage: it can't be read now.
        """
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}"
        found: tuple[str, ...] | ImageError = await self._once(path, partial(self._names, path))
        if isinstance(found, ImageError):
            raise UnresolvedImage(found.reason, str(found))
        return found

    async def _once(self, path: str, read: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the path is read as
        task = self._reads.get(path)
        if task is None:
            task = self._reads[path] = asyncio.create_task(read())
            task.add_done_callback(lambda _: self._reads.pop(path))
        await asyncio.wait([task])  # unlike awaiting the task, this leaves it to the others when it is cancelled
        return task.result()

    async def _entries(self, path: str) -> tuple[Entry, ...] | ImageError:
        try:
            secret = await self._read(path)
            return () if secret is None else parse_secret(secret)
        except Malformed as error:
            log.debug("left out a pull secret", extra=fields(path=path, problem=str(error)))
            return ()
        except Exception as error:  # noqa: BLE001 - whatever ends a connection, and whatever the client makes of it
            log.debug("could not read a pull secret", extra=fields(path=path, error=_text(error)))
            return UnresolvedImage(Reason.UNRESOLVED, "a pull secret of the pod can't be read now; it is tried again")

    async def _names(self, path: str) -> tuple[str, ...] | ImageError:
        try:
            account = await self._read(path)
        except Exception as error:  # noqa: BLE001 - likewise
            log.debug("could not read a ServiceAccount", extra=fields(path=path, error=_text(error)))
            return UnresolvedImage(Reason.UNRESOLVED, "the pods' ServiceAccount can't be read now; it is tried again")
        return () if account is None else pods.pull_secrets({"spec": account})

    async def _read(self, path: str) -> Mapping[str, Any] | None:
        """The object at a path; None where it is not to be had."""
        try:
            return await self._cluster.read(path)
        except ClusterError as error:
            if error.status not in _ABSENT:
                raise
            log.debug("left out what can't be read", extra=fields(path=path, problem=f"status {error.status}"))
            return None


def _identity(settings: ProcessSettings) -> Iterator[Keychain]:
    """The keychains of Rightarch itself, in the order in which they are tried."""
    configuration, programs = settings.image_credential_provider_config, settings.image_credential_provider_bin_dir
    if configuration is not None and programs is not None:
        providers = load(configuration)
        check_programs(providers, programs)
        yield Plugins(providers, programs)
    if settings.cloud_credentials:
        yield CloudKeychain.of(settings.cloud_credentials, settings.registry_ca_file)


def usable(names: Sequence[str]) -> tuple[str, ...]:
    """Names that a Secret or a ServiceAccount can have, and no more than anybody needs: authors of pods choose them."""
    return tuple(name for name in names if _NAME.fullmatch(name))[:MAX_SECRETS]


def _text(error: Exception) -> str:
    return str(error) or type(error).__name__
