"""The cluster of whoever runs a command: by a kubeconfig, as kubectl finds it."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from rightarch import kubeconfig
from rightarch.cluster import Cluster, ClusterError
from rightarch.errors import RightarchError, SettingsError
from rightarch.kubeconfig import Unusable

UNAUTHORIZED: Final = 401
"""The status by which an API server says that it does not know who asks, whatever they may do."""


class Unreachable(RightarchError):
    """The API server can't be talked to."""


class Unaccepted(RightarchError):
    """The API server does not take the credentials of the kubeconfig."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which cluster.

    Attributes:
        kubeconfig: the file.
        context: of the file; None for the current one.
        namespace: of what names none.
    """

    kubeconfig: Path
    context: str | None
    namespace: str


def place(
    given: Path | None,
    context: str | None,
    namespace: str | None,
    *,
    otherwise: str = "; or --registry-only, which needs no cluster",
) -> Place:
    """The cluster that options and environment name; ``otherwise`` is what else can be done where they name none.

    Raises:
        SettingsError: there is no kubeconfig, or none that can be used.
    """
    paths = [given] if given else [path for path in _usual(os.environ, Path.home()) if path.is_file()]
    if not paths:
        raise SettingsError(f"there is no kubeconfig: give --kubeconfig, or KUBECONFIG{otherwise}")
    try:
        path = kubeconfig.choose(paths, context)
        return Place(path, context, namespace or kubeconfig.namespace(path, context))
    except (Unusable, OSError) as error:
        raise SettingsError(f"{paths[0]}: {error}; name a kubeconfig with a usable context") from None


@asynccontextmanager
async def connected(where: Place) -> AsyncIterator[Cluster]:
    """A connection, closed at the end.

    Raises:
        SettingsError: the kubeconfig can't be used.
        Unaccepted: what was asked failed for want of valid credentials, which no right would mend.
    """
    cluster = await Cluster.connect(where.kubeconfig, where.context)
    try:
        yield cluster
    except ClusterError as error:
        if error.status != UNAUTHORIZED:
            raise
        raise Unaccepted(
            f"the API server does not accept your credentials of context {context_of(where)} (have they expired?): "
            "log in again, or name another --context"
        ) from None
    finally:
        await cluster.aclose()


def context_of(where: Place) -> str:
    """The name of the context. The file was read already, so that it can be."""
    return where.context or str(yaml.safe_load(where.kubeconfig.read_bytes()).get("current-context"))


async def read(cluster: Cluster, path: str) -> dict[str, Any]:
    """The object at a path.

    Raises:
        ClusterError: the API server refuses.
        Unreachable: it does not answer.
    """
    try:
        return await cluster.read(path)
    except ClusterError:
        raise
    except Exception as error:  # whatever ends a connection, and whatever the client makes of it
        raise Unreachable(unreachable(error)) from error


async def listed(cluster: Cluster, path: str) -> list[Mapping[str, Any]]:
    """All objects of a collection.

    Raises:
        ClusterError: the API server refuses.
        Unreachable: it does not answer.
    """
    try:
        return [thing async for page, _ in cluster.pages(path) for thing in page]
    except ClusterError:
        raise
    except Exception as error:  # likewise
        raise Unreachable(unreachable(error)) from error


def unreachable(error: Exception, remedy: str = "check the kubeconfig, or --registry-only") -> str:
    """What to tell of an API server that is not talked to, given whatever ended the connection."""
    said = "it does not answer in time" if isinstance(error, asyncio.TimeoutError) else str(error)
    return f"the API server can't be reached: {said or type(error).__name__}; {remedy}"


def _usual(environment: Mapping[str, str], home: Path) -> list[Path]:
    """The files that kubectl looks at."""
    named = environment.get("KUBECONFIG")
    return [Path(each) for each in named.split(os.pathsep) if each] if named else [home / ".kube/config"]
