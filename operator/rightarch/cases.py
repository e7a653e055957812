"""Golden cases: a pod, what is known of its images, nodes and policies, and what must come of it. Pure.

One format for the tests of Rightarch itself and for ``rightarch policy test``; tests/cases/README.md documents it.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

import jsonpatch
import yaml

from rightarch import pod as pods
from rightarch.api import API_VERSION
from rightarch.capacity import Capacity
from rightarch.errors import RightarchError
from rightarch.manifests import Loader
from rightarch.placement import Decision, Failure, Input, apply, decide
from rightarch.platforms import ImagePlatforms, Platform
from rightarch.policy import Effective, InvalidPolicy, Policies, Policy
from rightarch.policy.spec import Choices
from rightarch.reasons import Reason

Object = Mapping[str, Any]

_GIVEN: Final = frozenset(
    {"name", "spec", "metadata", "images", "nodes", "nodePools", "policies", "namespace", "default"}
    | {"gating", "gated", "overdue", "counts"}
)
_DIGEST: Final = "sha256:" + "0" * 64
_EXPECTED: Final[Mapping[str, Any]] = {
    "reason": None,
    "architectures": [],
    "os": "linux",
    "terms": None,
    "notes": [],
    "warnings": [],
    "gate": False,
    "denied": False,
    "audit": False,
    "preferences": [],
    "tolerations": [],
    "share": None,
    "policy": None,
}
"""What a case may expect, and what is meant where it is left out; None of ``terms`` means: as they were."""


class BadCase(RightarchError):
    """A case that can't be read; says where, and what is wrong."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        name: a sentence that says what must be true.
        place: file and line, for people.
        raw: its fields.
    """

    name: str
    place: str
    raw: Object

    def given(self, policies: Sequence[Policy] = ()) -> Input:
        """The input of the decision.

        Args:
            policies: that hold beside those of the case.

        Raises:
            BadCase: a field can't be read.
        """
        raw, pod = self.raw, self.pod
        pools = raw.get("nodePools") or ()
        try:
            images = {name: _known(image) for name, image in (raw.get("images") or {}).items()}
            capacity = _capacity(raw.get("nodes", ("linux/amd64", "linux/arm64")), pools)
            return Input(
                pod,
                images,
                capacity,
                policy=self._effective(pod, policies),
                counts=raw.get("counts") or {},
                gating=raw.get("gating", False),
                gated=raw.get("gated", False),
                overdue=raw.get("overdue", False),
                namespace=self._namespace["name"],
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadCase(f"{self.place}: {self.name}: {error}") from None

    @property
    def pod(self) -> Object:
        """The pod as it is before."""
        return {"metadata": self.raw.get("metadata") or {}, "spec": self.raw["spec"]}

    @property
    def expected(self) -> dict[str, Any]:
        """What must come of it, field by field."""
        found = {field: self.raw.get(field, default) for field, default in _EXPECTED.items()}
        if found["terms"] is None:
            found["terms"] = _terms(self.pod)
        return {field: value for field, value in found.items() if field != "policy" or value is not None}

    @property
    def _namespace(self) -> Object:
        stated = self.raw.get("namespace") or {}
        return {"name": "default"} | ({"name": stated} if isinstance(stated, str) else stated)

    def _effective(self, pod: Object, policies: Sequence[Policy]) -> Effective:
        own = [_policy(raw, self._namespace["name"]) for raw in self.raw.get("policies") or ()]
        named = {(each.kind, each.namespace, each.name): each for each in (*policies, *own)}
        default = Choices.model_validate(self.raw.get("default") or {}, strict=False)
        there = self._namespace
        labels = {"kubernetes.io/metadata.name": there["name"]} | (there.get("labels") or {})
        found = Policies.of(named.values(), default)
        return found.effective(there["name"], labels, there.get("annotations") or {}, pod)


def read(text: str, file: str) -> list[Case]:
    """The cases of a file.

    Raises:
        BadCase: it holds none, or one has a field that cases don't have.
    """
    try:
        node = yaml.compose(text, Loader=Loader)
        raws = yaml.load(text, Loader=Loader)  # noqa: S506 - a loader that makes nothing but data
    except yaml.YAMLError as error:
        raise BadCase(f"{file}: this is no YAML: {' '.join(str(error).split())}") from None
    if raws is None:
        return []
    if not isinstance(raws, list) or not isinstance(node, yaml.SequenceNode):
        raise BadCase(f"{file}: this is no list of cases")
    return [_case(raw, f"{file}:{item.start_mark.line + 1}") for raw, item in zip(raws, node.value, strict=True)]


def outcome(case: Case, policies: Sequence[Policy] = ()) -> tuple[dict[str, Any], Decision, Object]:
    """What comes of a case: in its own fields, as the decision, and as the pod afterwards.

    Args:
        case: the case.
        policies: that hold beside those of the case.

    Raises:
        BadCase: a field can't be read.
    """
    given = case.given(policies)
    decision = decide(given)
    after: Object = jsonpatch.apply_patch(dict(given.pod), apply(decision, given.pod))
    return _told(decision, after), decision, after


def differences(case: Case, policies: Sequence[Policy] = ()) -> str:
    """How what comes of a case differs from what must come of it: lines of YAML, as a diff has them; empty if not.

    Raises:
        BadCase: a field can't be read.
    """
    expected, (got, _, _) = case.expected, outcome(case, policies)
    expected["warnings"] = _matched(expected["warnings"], got["warnings"])
    differing = [field for field, value in expected.items() if got[field] != value]
    wanted, there = (_lines({field: side[field] for field in differing}) for side in (expected, got))
    return "".join(difflib.unified_diff(wanted, there, "what the case says", "what is decided"))


def _told(decision: Decision, after: Object) -> dict[str, Any]:
    """A decision, in the fields of cases."""
    return {
        "reason": decision.reason.value,
        "architectures": list(decision.architectures),
        "os": decision.os,
        "terms": _terms(after),
        "notes": [note.value for note in decision.notes],
        "warnings": list(decision.warnings),
        "gate": decision.gate,
        "denied": decision.denied,
        "audit": decision.audit,
        "preferences": [
            {"weight": each.weight, "architectures": list(each.architectures)} for each in decision.preferences
        ],
        "tolerations": [dict(each) for each in decision.tolerations],
        "share": decision.share,
        "policy": decision.policy.name,
    }


def _matched(wanted: Sequence[str], got: Sequence[str]) -> list[str]:
    """Warnings in full where they have the words that are wanted of them, so that they compare equal."""
    return [
        given if given is not None and words in given else words
        for words, given in zip_longest(wanted, got[: len(wanted)])
    ]


def _case(raw: object, place: str) -> Case:
    if not isinstance(raw, dict) or not isinstance(raw.get("name"), str):
        raise BadCase(f"{place}: this is no case: it has no name")
    name = raw["name"]
    if unknown := sorted(raw.keys() - _GIVEN - _EXPECTED.keys()):
        raise BadCase(f"{place}: {name}: there is no field {', '.join(unknown)}; see the documentation of cases")
    if not isinstance(raw.get("spec"), dict) or not isinstance(raw.get("reason"), str):
        raise BadCase(f"{place}: {name}: a case has the spec of a pod, and the reason of the decision")
    return Case(name, place, raw)


def _known(image: str | list[str]) -> ImagePlatforms | Failure:
    """What a case says of an image: an index, a single manifest, or why nothing is known."""
    if isinstance(image, list):
        return ImagePlatforms(_DIGEST, tuple(map(Platform.parse, image)), indexed=True)
    if "/" in image:
        return ImagePlatforms(_DIGEST, (Platform.parse(image),), indexed=False)
    return Failure(Reason(image), "as the case says")


def _capacity(nodes: Iterable[str | Object], pools: Iterable[Object]) -> Capacity:
    """What a case says of nodes: their platforms alone, or whole objects."""
    stated = list(nodes)
    if all(isinstance(node, str) for node in stated) and not pools:
        platforms = (Platform.parse(node) for node in stated if isinstance(node, str))
        return Capacity(frozenset((each.os, each.architecture) for each in platforms))
    return Capacity.of([_node(node) for node in stated], pools)


def _node(node: str | Object) -> Object:
    if not isinstance(node, str):
        return node
    platform = Platform.parse(node)
    labels = {"kubernetes.io/os": platform.os, "kubernetes.io/arch": platform.architecture}
    return {"metadata": {"name": node.replace("/", "-"), "labels": labels}}


def _policy(raw: Object, namespace: str) -> Policy:
    try:
        return Policy.of_manifest({"apiVersion": API_VERSION, **raw}, namespace)
    except InvalidPolicy as error:
        raise ValueError(str(error)) from None


def _terms(pod: Object) -> list[Any]:
    """The required terms of a pod; none is an empty list."""
    return list(pods.required_terms(pod) or [])


def _lines(fields: Object) -> list[str]:
    dumped: str = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=float("inf")) if fields else ""
    return dumped.splitlines(keepends=True)
