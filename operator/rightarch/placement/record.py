"""Records: the annotation that tells why a pod is as it is, and what of it is ours."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from rightarch.affinity import NOTHING, Writing
from rightarch.placement.decision import Decision
from rightarch.placement.inputs import Failure, Outcome
from rightarch.placement.words import MAX_NAMES
from rightarch.policy import BUILT_IN, Effective
from rightarch.reasons import Reason

KEY: Final = "rightarch.dev/decision"
"""The label, which carries the Reason, and the annotation, which carries why."""

_MAX_BYTES: Final = 8 * 1024
_MAX_IMAGES: Final = 100


def record(decision: Decision, writing: Writing | None = None) -> str:
    """Compact JSON of a decision.

    Args:
        decision: whose reason, operating system, architectures, policy and notes are told, with the platforms of each
            image or why they are not known.
        writing: what is ours on the spec; that which the decision itself leaves there if not given.
    """
    content: dict[str, Any] = {"reason": decision.reason, "message": decision.message}
    if decision.reason is not Reason.SKIPPED:
        content |= {"os": decision.os, "architectures": decision.architectures}
    if decision.images:
        content["images"] = {name: _image(image) for name, image in decision.images.items()}
    if decision.notes:
        content["notes"] = decision.notes
    if decision.policy.decides:
        content["policy"] = decision.policy.name
    return orjson.dumps(content | _needed(decision, decision.written if writing is None else writing)).decode()


def short(decision: Decision) -> str:
    """The record, without the images where they are too many for people or too long."""
    if len(decision.images) <= _MAX_IMAGES and len((text := record(decision)).encode()) <= _MAX_BYTES:
        return text
    return record(replace(decision, images={}))


def shortest(decision: Decision) -> str:
    """What a second invocation needs, for pods whose own annotations leave little room."""
    content = {"reason": decision.reason, "message": "", "os": decision.os, "architectures": ()}
    return orjson.dumps(content | _needed(decision, decision.written)).decode()


def read_record(text: str | None, policy: Effective = BUILT_IN) -> tuple[Mapping[str, Any], Writing]:
    """A record, empty where it can't be read, and what it says was written. It may be copied or forged.

    Args:
        text: the annotation, if there is one.
        policy: what applies now: labels of nodes that it does not name were never ours.
    """
    if not text:
        return {}, NOTHING
    try:
        content = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}, NOTHING
    if not isinstance(content, dict):
        return {}, NOTHING
    labels = {label for each in policy.facts.emulation for label in each.node_selector.items()}
    return content, Writing.read(content.get("wrote"), labels) or NOTHING


def _needed(decision: Decision, writing: Writing) -> dict[str, Any]:
    """What a second invocation goes by, and what an audit would have written."""
    content: dict[str, Any] = {}
    if decision.audit:
        content["audit"] = True
    if decision.would is not None and decision.would.changes:
        content["would"] = decision.would.raw()
    if decision.share is not None:
        content["share"] = decision.share
    if writing.changes:
        content["wrote"] = writing.raw()
    return content


def _image(image: Outcome) -> list[str] | str:
    if isinstance(image, Failure):
        return str(image.reason)
    return list(dict.fromkeys(map(str, image.platforms)))[:MAX_NAMES]
