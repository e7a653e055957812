"""Events: what is said about an object where ``kubectl describe`` shows it."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from rightarch.cluster import Cluster, ClusterError
from rightarch.controller.workloads import Kind
from rightarch.logs import fields

CONTROLLER: Final = "rightarch.dev/controller"
MAX_NOTE: Final = 1024
"""Bytes that the API server takes of a note."""
_MAX_NAME: Final = 200

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """What is to be said.

    Attributes:
        action: what was done about it, one word.
        reason: why, one word.
        note: the reason in the object's own terms, for people.
        warns: whether somebody should act.
    """

    action: str
    reason: str
    note: str
    warns: bool = False


class Events:
    """Writes Events. That one can't be written is logged, and is no failure of what it tells about.

    Args:
        cluster: where.
        instance: of the controller, which is named in each.

    Attributes:
        written: how many were.
    """

    def __init__(self, cluster: Cluster, instance: str) -> None:
        self.written = 0
        self._cluster, self._instance = cluster, instance

    async def tell(self, kind: Kind, thing: Mapping[str, Any], event: Event) -> None:
        """Say something about an object; what was said lately in the same words is not said again."""
        namespace = thing["metadata"]["namespace"]
        try:
            await self._cluster.create(
                f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", self._raw(kind, thing, event)
            )
        except ClusterError as error:
            if error.status != 409:
                log.warning("could not write an Event", extra=fields(namespace=namespace, error=str(error)))
        except Exception as error:  # noqa: BLE001 - whatever ends a connection, and whatever the client makes of it
            log.warning("could not write an Event", extra=fields(namespace=namespace, error=type(error).__name__))
        else:
            self.written += 1

    def _raw(self, kind: Kind, thing: Mapping[str, Any], event: Event) -> dict[str, Any]:
        metadata = thing["metadata"]
        regarding = {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": _name(metadata, event), "namespace": metadata["namespace"]},
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance[:128],
            "action": event.action,
            "reason": event.reason,
            "regarding": regarding,
            "note": event.note.encode()[:MAX_NOTE].decode(errors="ignore"),
            "type": "Warning" if event.warns else "Normal",
        }


def _name(metadata: Mapping[str, Any], event: Event) -> str:
    """The same for the same words about the same object, so that they are there once."""
    words = "\n".join((metadata["uid"], event.action, event.reason, event.note))
    name = metadata["name"][:_MAX_NAME].rstrip("-.")  # what was within a name may not end a part of one
    return f"{name}.{hashlib.sha256(words.encode()).hexdigest()[:16]}"
