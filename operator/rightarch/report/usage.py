"""Usage: what pods use, as the metrics API tells."""

from collections.abc import Mapping, Sequence
from typing import Final

from rightarch.cluster import ClusterError
from rightarch.report.reading import ABSENT, REFUSED, Reading, said
from rightarch.report.resources import Resources

_USAGE: Final = "/apis/metrics.k8s.io/v1beta1"


async def usage(reading: Reading, scopes: Sequence[str]) -> Mapping[tuple[str, str], Resources]:
    """What pods use, by namespace and name; nothing where no server of metrics is there.

    It is a server beside the API server, which may hang or say anything: it can't end the report, and once it
    fails it is not asked again. Its lists have no pages.
    """
    found: dict[tuple[str, str], Resources] = {}
    try:
        for scope in scopes:
            await _add(found, reading, scope)
    except Exception as error:  # noqa: BLE001 - whatever ends a connection, and whatever is made of the answer
        if not isinstance(error, ClusterError) or error.status != ABSENT:
            reading.note(f"what pods use can't be told, since the metrics API fails: {said(error)}")
    return found


async def _add(found: dict[tuple[str, str], Resources], reading: Reading, scope: str) -> None:
    """Add what the pods of a scope use."""
    try:
        page = await reading.cluster.read(f"{_USAGE}/{scope}pods")
    except ClusterError as error:
        if error.status != REFUSED:
            raise
        if await reading.is_served(_USAGE):
            reading.note("what pods use may not be read, or not in all namespaces")
        return
    for item in page.get("items") or ():
        key = item["metadata"].get("namespace", ""), item["metadata"].get("name", "")
        for container in item.get("containers") or ():
            found[key] = found.get(key, Resources()) + Resources.of(container.get("usage"))
