"""A policy: what was read of one object, or why it can't be obeyed."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

import orjson
from pydantic import ValidationError

from rightarch.api import API_VERSION
from rightarch.errors import RightarchError
from rightarch.policy.spec import ArchitecturePolicySpec, Choices, ClusterArchitecturePolicySpec

IGNORE: Final = "ignore"
"""What the annotation ``rightarch.dev/policy`` says to opt out, and so no policy's name."""

_DIGITS: Final = 10
_MAX_PROBLEMS: Final = 5


class Kind(StrEnum):
    """The two kinds of policies, as people abbreviate them."""

    CLUSTER = "cap"
    NAMESPACED = "ap"

    @property
    def full(self) -> str:
        """As manifests spell it."""
        return "ClusterArchitecturePolicy" if self is Kind.CLUSTER else "ArchitecturePolicy"

    @property
    def model(self) -> type[Choices]:
        """What its spec may hold."""
        return ClusterArchitecturePolicySpec if self is Kind.CLUSTER else ArchitecturePolicySpec


class InvalidPolicy(RightarchError):
    """An object that is no policy, or whose spec breaks a rule; its text says which object, where, and what."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One object of either kind.

    Attributes:
        kind: which.
        namespace: where; empty for a cluster's.
        name: its name.
        uid: what the API server knows it by; empty where it comes from a file.
        generation: of the spec that was read.
        spec: what it says, or None where that can't be obeyed: the policy then counts as absent.
        problem: why not; empty if it can.
    """

    kind: Kind
    namespace: str
    name: str
    uid: str
    generation: int
    spec: Choices | None
    problem: str = ""

    @classmethod
    def of(cls, kind: Kind, thing: Mapping[str, Any]) -> "Policy":
        """Read an object that the API server has taken. One with a spec that can't be obeyed says why."""
        return cls._of(kind, thing, *_read(kind, thing.get("spec")))

    @classmethod
    def of_manifest(cls, thing: Mapping[str, Any], namespace: str = "default") -> "Policy":
        """Read a manifest of a file: fields that nobody knows are faults there, since the API server has not seen it.

        Args:
            thing: the manifest.
            namespace: of a namespaced policy that names none.

        Raises:
            InvalidPolicy: with each fault.
        """
        kind = _kind(thing)
        metadata = thing.get("metadata")
        if not isinstance(metadata, Mapping) or not isinstance(metadata.get("name"), str):
            raise InvalidPolicy(f"a manifest of kind {kind.full} has no metadata.name")
        place = {} if kind is Kind.CLUSTER else {"namespace": metadata.get("namespace") or namespace}
        policy = cls._of(kind, {"metadata": {**metadata, **place}}, *_read(kind, thing.get("spec"), strangers="forbid"))
        if policy.problem:
            raise InvalidPolicy(f"{policy.title}: {policy.problem}")
        return policy

    @classmethod
    def _of(cls, kind: Kind, thing: Mapping[str, Any], spec: Choices | None, problem: str) -> "Policy":
        metadata = thing["metadata"]
        place = "" if kind is Kind.CLUSTER else metadata["namespace"]
        generation = metadata.get("generation") or 0
        if metadata["name"] == IGNORE:
            spec, problem = None, f"metadata.name: {IGNORE} is what the annotation says to opt out; choose another name"
        return cls(kind, place, metadata["name"], metadata.get("uid") or "", generation, spec, problem)

    @property
    def title(self) -> str:
        """For people: ``cap/NAME`` or ``ap/NAMESPACE/NAME``."""
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)

    @property
    def label(self) -> str:
        """The value of the label ``rightarch.dev/applied-policy`` of its pods; empty until it is applied."""
        if not self.uid:
            return ""
        digits = "".join(digit for digit in self.uid if digit in "0123456789abcdef")
        return f"{self.kind}.{digits[:_DIGITS]:0>{_DIGITS}}"


def _kind(thing: Mapping[str, Any]) -> Kind:
    for kind in Kind:
        if (thing.get("apiVersion"), thing.get("kind")) == (API_VERSION, kind.full):
            return kind
    kinds = " nor ".join(kind.full for kind in Kind)
    raise InvalidPolicy(f"a manifest is neither {kinds} of {API_VERSION}: it says {thing.get('kind')!r}")


def _read(kind: Kind, spec: object, strangers: Literal["ignore", "forbid"] = "ignore") -> tuple[Choices | None, str]:
    """What a spec says, or None and what is wrong with it. As strictly as the API server: "5" is no number."""
    try:
        return kind.model.model_validate_json(orjson.dumps(spec), strict=True, extra=strangers), ""
    except ValidationError as error:
        return None, _told(error)
    except orjson.JSONEncodeError as error:  # YAML has keys and numbers that JSON has not
        return None, f"spec: this can't be said in JSON: {error}"


def _told(error: ValidationError) -> str:
    """Each fault with the path of its field, as many as people read."""
    faults = [f"{_path(each['loc'])}: {_message(each['msg'])}" for each in error.errors(include_url=False)]
    more = f"; and {len(faults) - _MAX_PROBLEMS} more" if len(faults) > _MAX_PROBLEMS else ""
    return "; ".join(faults[:_MAX_PROBLEMS]) + more


def _path(location: tuple[int | str, ...]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "spec" + "".join(steps)


def _message(text: str) -> str:
    return text.removeprefix("Value error, ")
