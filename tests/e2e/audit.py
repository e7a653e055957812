"""The API server's own record of what accounts asked of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Object = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """A request for objects.

    Attributes:
        account: the ServiceAccount that asked.
        right: what it needed: the verb and the resource with its group, as in "list daemonsets.apps"; of a part of an
            object, with that, as in "patch pods/status".
        status: how it was answered.
    """

    account: str
    right: str
    status: int


class Audit:
    """Records the requests of a namespace's ServiceAccounts.

    Args:
        folder: where the record is.
        namespace: of the accounts.
    """

    def __init__(self, folder: Path, namespace: str) -> None:
        self._log = folder / "audit.log"
        self._policy = folder / "policy.json"
        accounts = [f"system:serviceaccounts:{namespace}"]
        rules = [{"level": "Metadata", "userGroups": accounts}, {"level": "None"}]
        policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": rules}
        self._policy.write_text(json.dumps(policy))  # JSON is YAML

    @property
    def flags(self) -> list[str]:
        """What makes an API server write the record."""
        return [f"--audit-policy-file={self._policy}", f"--audit-log-path={self._log}"]

    def mark(self) -> int:
        """Where the record ends now."""
        return self._log.stat().st_size if self._log.exists() else 0

    def since(self, mark: int) -> Iterator[Request]:
        """The requests recorded since then, but those for no objects, such as discovery."""
        with self._log.open() as file:
            file.seek(mark)
            for line in file:
                if line.endswith("\n") and "resource" in (event := json.loads(line)).get("objectRef", {}):
                    yield _request(event)


def _request(event: Object) -> Request:
    thing = event["objectRef"]
    resource = ".".join(part for part in (thing["resource"], thing.get("apiGroup")) if part)
    resource = "/".join(part for part in (resource, thing.get("subresource")) if part)
    account = event["user"]["username"].rpartition(":")[2]
    return Request(account, f"{event['verb']} {resource}", event["responseStatus"]["code"])
