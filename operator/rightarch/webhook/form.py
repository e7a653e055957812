"""Forms: which JSON the fields have that are read, so that what reads them need not look.

Only those: what else is in an object is none of our business, and may be of a version that nobody knows yet. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from rightarch.pod import PREFERRED, REQUIRED


class Form(Protocol):
    """What a value may look like; null, as everywhere in the Kubernetes API, is as good as none."""

    def fault(self, value: Any) -> str | None:  # noqa: ANN401 - JSON
        """Where a value is wrong, as a path with what it should be there, or None where it is right."""


@dataclass(frozen=True, slots=True)
class Text:
    """A string."""

    def fault(self, value: Any) -> str | None:  # noqa: ANN401 - JSON
        """Where a value is wrong."""
        return None if value is None or isinstance(value, str) else " is not a JSON string"


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number."""

    def fault(self, value: Any) -> str | None:  # noqa: ANN401 - JSON
        """Where a value is wrong."""
        right = value is None or (isinstance(value, int) and not isinstance(value, bool))
        return None if right else " is not a JSON integer"


@dataclass(frozen=True, slots=True)
class Array:
    """An array of one form; none of its items is null."""

    items: Form

    def fault(self, value: Any) -> str | None:  # noqa: ANN401 - JSON
        """Where a value is wrong."""
        if value is None:
            return None
        if not isinstance(value, list):
            return " is not a JSON array"
        fault = self.items.fault
        for index, item in enumerate(value):
            found = " is null" if item is None else fault(item)
            if found is not None:
                return f"[{index}]{found}"
        return None


@dataclass(frozen=True, slots=True)
class Texts:
    """An object whose members are strings."""

    def fault(self, value: Any) -> str | None:  # noqa: ANN401 - JSON
        """Where a value is wrong."""
        if value is None:
            return None
        if not isinstance(value, dict):
            return " is not a JSON object"
        for name, member in value.items():
            if not isinstance(member, str):
                return f"[{name[:100]!r}] is not a JSON string"
        return None


@dataclass(frozen=True, slots=True)
class Object:
    """An object some of whose members have a form.

    Attributes:
        members: those that are read; others may be anything.
        needed: those that must be there.
    """

    members: Mapping[str, Form] = field(default_factory=dict)
    needed: tuple[str, ...] = ()

    def fault(self, value: Any) -> str | None:  # noqa: ANN401 - JSON
        """Where a value is wrong."""
        if value is None:
            return None
        if not isinstance(value, dict):
            return " is not a JSON object"
        for name, form in self.members.items():
            member = value.get(name)
            if member is not None and (found := form.fault(member)) is not None:
                return f".{name}{found}"
        for name in self.needed:
            if value.get(name) is None:
                return f".{name} is missing"
        return None


_TEXT: Final = Text()
_NAMED: Final = Object({"name": _TEXT})
_EXPRESSIONS: Final = Array(
    Object({"key": _TEXT, "operator": _TEXT, "values": Array(_TEXT)}, needed=("key", "operator"))
)
_TERM: Final = Object({"matchExpressions": _EXPRESSIONS, "matchFields": _EXPRESSIONS})
_NODE_AFFINITY: Final = Object(
    {
        REQUIRED: Object({"nodeSelectorTerms": Array(_TERM)}),
        PREFERRED: Array(Object({"weight": Integer(), "preference": _TERM})),
    }
)
_CONTAINERS: Final = Array(Object({"name": _TEXT, "image": _TEXT}))
_METADATA: Final = Object(
    {
        "name": _TEXT,
        "generateName": _TEXT,
        "labels": Texts(),
        "annotations": Texts(),
        "ownerReferences": Array(Object()),
    }
)
_SPEC: Final = Object(
    {
        "containers": _CONTAINERS,
        "initContainers": _CONTAINERS,
        "ephemeralContainers": _CONTAINERS,
        "nodeSelector": Texts(),
        "nodeName": _TEXT,
        "affinity": Object({"nodeAffinity": _NODE_AFFINITY}),
        "os": _NAMED,
        "imagePullSecrets": Array(_NAMED),
        "serviceAccountName": _TEXT,
        "runtimeClassName": _TEXT,
        "schedulingGates": Array(_NAMED),
        "tolerations": Array(Object()),
    }
)
POD: Final = Object({"metadata": _METADATA, "spec": _SPEC}, needed=("metadata", "spec"))
"""A pod, as far as it is read."""
_TEMPLATED: Final = Object(
    {"template": Object({"metadata": _METADATA, "spec": _SPEC}, needed=("spec",))}, needed=("template",)
)
WORKLOAD: Final = Object({"metadata": _METADATA, "spec": _TEMPLATED}, needed=("metadata", "spec"))
"""A Deployment, StatefulSet or DaemonSet, as far as it is read."""
CRON_JOB: Final = Object(
    {
        "metadata": _METADATA,
        "spec": Object({"jobTemplate": Object({"spec": _TEMPLATED}, needed=("spec",))}, needed=("jobTemplate",)),
    },
    needed=("metadata", "spec"),
)
"""A CronJob, as far as it is read."""
