"""Prints explanations: for people, as a diff, and for programs with keys that stay (docs/explain.md has them)."""

import difflib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

import typer
import yaml

from rightarch import pod as pods
from rightarch.affinity import Constraints, Preference
from rightarch.capacity import Capacity
from rightarch.cli import divisions, reach
from rightarch.cli.engine import Judged
from rightarch.cli.plain import plain
from rightarch.cli.printing import as_json, as_yaml, columns, terminal_width
from rightarch.cli.surroundings import Surroundings
from rightarch.fitting import Node, obstacles
from rightarch.placement import KEY, Decision, Failure, read_record
from rightarch.platforms import ImagePlatforms
from rightarch.reasons import Note
from rightarch.template import written

_SHOWN_NODES: Final = 8
"""Nodes of which people see each; of more, they are counted."""
_MARGIN: Final = 13
_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_WIDTH: Final = 2**31 - 1
"""Lines are not broken: that would make differences of what is none."""
_COLOURS: Final = {"+": typer.colors.GREEN, "-": typer.colors.RED, "@": typer.colors.CYAN}
_ADVICE: Final = "add to the spec of a ClusterArchitecturePolicy:"


def text(judged: Sequence[Judged], around: Surroundings, output: str) -> str:
    """What is printed.

    Args:
        judged: what was decided, in order.
        around: what is known of the cluster.
        output: ``table``, ``json``, ``yaml`` or ``patch``.
    """
    if output == "patch":
        return "".join(_coloured(diff(each)) for each in judged)
    nodes = around.nodes
    capacity = Capacity() if nodes is None else around.capacity
    if output == "table":
        return "\n".join(_block(each, nodes, capacity) for each in judged)
    data = {"workloads": [_data(each, nodes, capacity) for each in judged]}
    return as_yaml(data) if output == "yaml" else as_json(data)


def coloured() -> bool:
    """Whether colours are wanted: on a terminal, unless NO_COLOR says otherwise (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def diff(judged: Judged) -> str:
    """What is changed, as a unified diff of YAML; empty where nothing is."""
    name = plain(str(judged.subject.workload))
    what = name if judged.subject.in_template or not judged.subject.workload.path else f"{name}, {_whose(judged)}"
    before, after = (_dumped(thing).splitlines(keepends=True) for thing in (judged.subject.written_on, judged.after))
    return "".join(difflib.unified_diff(before, after, what, f"{what}, as it is stored"))


def _block(judged: Judged, nodes: Sequence[Node] | None, capacity: Capacity) -> str:
    """A workload, for people."""
    subject, decision = judged.subject, judged.decision
    workload = subject.workload
    head = [f"{workload.kind} {subject.namespace}/{workload.name or '(no name)'}  ({workload.place})"]
    policy = subject.policy
    rows = [("Policy:", f"{policy.name}: {policy.why}; mode {policy.choices.mode}")]
    rows += [("", f"warning: {warning}") for warning in policy.warnings]
    rows += list(_titled("Images:", _images(judged)))
    rows.append(("Constraint:", _constraint(judged)))
    rows.append(("Decision:", f"{decision.reason}: {decision.message}"))
    rows += [("", outcome) for outcome in _outcomes(judged)]
    rows += list(_titled("Notes:", [f"{note}: {_noted(decision, note)}" for note in decision.notes]))
    rows += list(_titled("Recorded:", _recorded(judged)))
    rows += list(_titled("Nodes:", _nodes(judged, nodes)))
    rows += list(_titled("Kept out:", _kept_out(judged, capacity)))
    lines = [f"  {title:<{_MARGIN}}{plain(value)}".rstrip() for title, value in rows]
    changed = diff(judged)
    lines.append(f"  {'Patch:':<{_MARGIN}}{_where(judged) if changed else 'nothing is changed'}")
    return "\n".join([plain(head[0]), *lines, ""]) + (f"\n{_coloured(changed)}" if changed else "")


def _titled(title: str, values: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Several values below one title."""
    for index, value in enumerate(values):
        yield "" if index else title, value


def _images(judged: Judged) -> list[str]:
    images = judged.decision.images
    if not images:
        return ["not looked at"]
    rows = [(name, _platforms(image), _sourced(judged, name)) for name, image in images.items()]
    shown = terminal_width()
    return columns(rows, (), shown - _MARGIN - 2 if shown else None).splitlines()


def _platforms(image: ImagePlatforms | Failure) -> str:
    if isinstance(image, Failure):
        return str(image.reason)
    return ", ".join(dict.fromkeys(map(str, image.platforms))) or "no platform at all"


def _sourced(judged: Judged, name: str) -> str:
    image, source = judged.decision.images[name], judged.sources.get(name)
    if isinstance(image, Failure):
        return image.message
    return f"{source.kind} ({source.detail})" if source else ""


def _own(judged: Judged) -> Constraints:
    """The user's constraints, without what is ours."""
    subject = judged.subject
    recorded = read_record(pods.annotations(subject.pod).get(KEY))[1]
    ours = written(subject.workload.thing) if subject.in_template else recorded
    return pods.constraints(subject.pod).without(ours)


def _constraint(judged: Judged) -> str:
    own = _own(judged)
    if said := own.describe():
        return said
    has = own.selector or own.terms
    return "none on architecture or operating system, though on other labels" if has else "none of its own"


def _outcomes(judged: Judged) -> Iterator[str]:
    """What becomes of it, where that is not only its patch."""
    decision = judged.decision
    if decision.denied:
        yield "it is refused"
    if decision.gate:
        yield "it is held by a scheduling gate until its images are known"
    if decision.audit:
        yield "mode Audit: this is noted on it, and its spec stays as it is"
    yield from _preferred(judged)


def _preferred(judged: Judged) -> Iterator[str]:
    """What it prefers: all of its pods, or each part of them."""
    if parts := divisions.division(judged):
        yield divisions.told(parts)
        return
    for preference in judged.decision.preferences:
        yield f"it prefers {', '.join(preference.architectures)} (weight {preference.weight})"
    if judged.decision.share:
        yield f"its share is {judged.decision.share}"


def _noted(decision: Decision, note: Note) -> str:
    return decision.lacking if note is Note.NO_CAPACITY and decision.lacking else note.meaning


def _recorded(judged: Judged) -> list[str]:
    """What was decided when a pod of the cluster was created, and where it is."""
    subject = judged.subject
    if subject.workload.path:
        return []
    record, _ = read_record(pods.annotations(subject.workload.thing).get(KEY))
    said = [f"{record.get('reason')}: {record.get('message')}, when it was created"] if record.get("reason") else []
    node = (subject.workload.thing.get("spec") or {}).get("nodeName")
    return [*said, *([f"it is bound to the node {node}"] if node else [])]


def _nodes(judged: Judged, nodes: Sequence[Node] | None) -> list[str]:
    if nodes is None:
        return []
    found = [(_name(node), obstacles(judged.placed, node)) for node in nodes]
    fits = [name for name, why in found if not why]
    more = f", and {len(fits) - _SHOWN_NODES} more" if len(fits) > _SHOWN_NODES else ""
    listed = f": {', '.join(sorted(fits)[:_SHOWN_NODES])}{more}" if fits else ""
    lines = [f"{len(fits)} of {len(found)} could run it, by labels and taints{listed}"]
    others = sorted((name, " and ".join(why)) for name, why in found if why)
    lines += [f"{name} {why}" for name, why in others[:_SHOWN_NODES]]
    return lines + ([f"and {len(others) - _SHOWN_NODES} more that could not"] if len(others) > _SHOWN_NODES else [])


def _kept_out(judged: Judged, capacity: Capacity) -> list[str]:
    """Which architectures taints keep it from, and the lines that a policy needs."""
    found = reach.kept_out(judged, capacity)
    added = reach.lines(found).splitlines()
    return [f"of {each.architecture}: {each.cause}" for each in found] + ([_ADVICE] if added else []) + added


def _where(judged: Judged) -> str:
    if judged.subject.in_template:
        return "of the workload, whose template is written"
    return f"of {_whose(judged)}, when it is created"


def _whose(judged: Judged) -> str:
    """Whose patch it is, where no template is written."""
    if not judged.subject.workload.path:
        return "the pod"
    if not divisions.division(judged):
        return "each of its pods"
    preferred = ", ".join(name for each in judged.decision.preferences for name in each.architectures)
    return f"one of its pods that prefer {preferred}"


def _data(judged: Judged, nodes: Sequence[Node] | None, capacity: Capacity) -> dict[str, Any]:
    """A workload, for programs."""
    subject, decision, workload = judged.subject, judged.decision, judged.subject.workload
    policy, found = subject.policy, reach.kept_out(judged, capacity)
    return {
        "kind": workload.kind,
        "namespace": subject.namespace,
        "name": workload.name,
        "place": workload.place,
        "policy": {
            "name": policy.name,
            "why": policy.why,
            "mode": policy.choices.mode,
            "ignored": policy.ignored,
            "warnings": list(policy.warnings),
        },
        "images": [_image(judged, name) for name in decision.images],
        "constraint": _own(judged).describe() or None,
        "decision": {
            "reason": decision.reason.value,
            "message": decision.message,
            "os": decision.os,
            "architectures": list(decision.architectures),
            "notes": [note.value for note in decision.notes],
            "warnings": list(decision.warnings),
            "denied": decision.denied,
            "gate": decision.gate,
            "audit": decision.audit,
            "lacking": decision.lacking or None,
            "preferences": [_preference(each) for each in decision.preferences],
            "share": decision.share,
        },
        "shares": [asdict(part) for part in divisions.division(judged)],
        "patched": "template" if subject.in_template else "pod",
        "patch": judged.patch,
        "diff": diff(judged),
        "nodes": None if nodes is None else [_node(judged, node) for node in nodes],
        "keptOut": None if nodes is None else [asdict(each) for each in found],
        "policyLines": [lines] if (lines := reach.lines(found)) else [],
    }


def _preference(preference: Preference) -> dict[str, Any]:
    return {"weight": preference.weight, "architectures": list(preference.architectures)}


def _image(judged: Judged, name: str) -> dict[str, Any]:
    image, source = judged.decision.images[name], judged.sources.get(name)
    if isinstance(image, Failure):
        return {"image": name, "platforms": None, "reason": image.reason.value, "message": image.message}
    told = {"kind": source.kind, "detail": source.detail, "name": source.name or None} if source else None
    platforms = list(dict.fromkeys(map(str, image.platforms)))
    return {"image": name, "platforms": platforms, "digest": image.digest or None, "source": told}


def _node(judged: Judged, node: Node) -> dict[str, Any]:
    why = obstacles(judged.placed, node)
    return {"name": _name(node), "fits": not why, "obstacles": list(why)}


def _name(node: Node) -> str:
    name: str = node["metadata"]["name"]
    return name


def _coloured(text: str) -> str:
    """A diff with the colours of its lines; without any where it goes to no terminal."""
    if not coloured():
        return text
    lines = text.splitlines(keepends=True)
    return "".join(typer.style(line, fg=_COLOURS.get(line[:1])) for line in lines)


def _dumped(thing: object) -> str:
    dumped: str = yaml.dump(thing, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return "".join(f"{plain(line)}\n" for line in dumped.splitlines())
