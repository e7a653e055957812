"""Judging: the verdict on a workload, the worst on any of its pods. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from rightarch.capacity import toleration_lines
from rightarch.placement import Failure
from rightarch.platforms import ImagePlatforms
from rightarch.reasons import Reason
from rightarch.report.case import Case, Image, Question, lacks
from rightarch.report.pin import pinned
from rightarch.report.risk import risk
from rightarch.report.verdict import SEVERITY, Judgement, Verdict
from rightarch.report.workload import Workload

_MAX_SHOWN: Final = 6


def judge(workload: Workload, asked: Question) -> Judgement:
    """The verdict on a workload: the worst on any of its pods, and all that keeps them."""
    cases = [Case.of(shape, workload.owner.namespace, asked) for shape in workload.shapes]
    each = [_judge(case) for case in cases]
    return replace(_together(each, asked.architecture), risk=risk(workload, cases, each))


def _together(each: Sequence[Judgement], architecture: str) -> Judgement:
    """What is said of a workload whose pods differ: the worst first, and each thing once."""
    if len(each) == 1:
        return each[0]
    ranked = sorted(each, key=lambda judgement: SEVERITY.index(judgement.verdict), reverse=True)
    fitting = _tolerations(judgement for judgement in ranked if judgement.lines)
    return Judgement(
        ranked[0].verdict,
        _listed(_joined((judgement.cause,) for judgement in ranked if judgement.cause), "; "),
        _joined(judgement.blocking for judgement in ranked),
        _joined(judgement.unknown for judgement in ranked),
        _joined(judgement.fields for judgement in ranked),
        _tolerations(ranked),
        toleration_lines((architecture, toleration) for toleration in fitting),
        {old: new for judgement in ranked for old, new in judgement.updates.items()},
    )


def _judge(case: Case) -> Judgement:
    images, architecture = case.images, case.asked.architecture
    lacking = tuple(name for name, image in images.items() if lacks(image, architecture, case.os))
    unknown = tuple((name, image.reason) for name, image in images.items() if isinstance(image, Failure))
    if lacking:
        return _emulated(case, lacking) or _blocked(case, lacking, unknown)
    if unknown or not images:
        return Judgement(Verdict.UNKNOWN, case.decision.message, unknown=unknown)
    return pinned(case) or Judgement(Verdict.READY)


def _emulated(case: Case, lacking: tuple[str, ...]) -> Judgement | None:
    """Whether a policy has what the images lack emulated on nodes of the architecture."""
    decision = case.decision
    if case.foreign:
        return Judgement(Verdict.EMULATED, decision.message, lacking)
    if decision.reason is Reason.EMULATED and case.asked.architecture in decision.architectures:
        return Judgement(Verdict.EMULATED, decision.message, lacking)
    return None


def _blocked(case: Case, lacking: tuple[str, ...], unknown: tuple[tuple[str, Reason], ...]) -> Judgement:
    updates = {name: case.asked.updates[name] for name in lacking if name in case.asked.updates}
    if len(updates) == len(lacking) and not unknown:
        cause = "; ".join(f"{old} has it as {new}" for old, new in updates.items())
        return Judgement(Verdict.READY_WITH_UPDATE, cause, lacking, updates=updates)
    each = "; ".join(f"{name} has {_platforms(case.images[name])}" for name in lacking)
    cause = f"no {case.os}/{case.asked.architecture}: {each}"
    return Judgement(Verdict.BLOCKED, cause, lacking, unknown, updates=updates)


def _platforms(image: Image) -> str:
    names = sorted({str(each) for each in image.platforms}) if isinstance(image, ImagePlatforms) else []
    return _listed(names, ", ") or "nothing"


def _listed(each: Sequence[str], between: str) -> str:
    return between.join([*each[:_MAX_SHOWN], *(["…"] if len(each) > _MAX_SHOWN else [])])


def _joined(each: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(item for items in each for item in items))


def _tolerations(each: Iterable[Judgement]) -> tuple[Mapping[str, str], ...]:
    """The tolerations that are lacked, each once."""
    return tuple(map(dict, dict.fromkeys(tuple(t.items()) for judgement in each for t in judgement.tolerations)))
