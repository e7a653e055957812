"""Manifests: workloads from files, as ``helm template`` prints them, in the place of a cluster. Pure.

Whoever wrote the file may have written anything; what could not be read as a pod is told with its place.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from rightarch import manifests as files
from rightarch.errors import SettingsError
from rightarch.pod import Pod
from rightarch.quantities import parse
from rightarch.report.inventory import Inventory

Object = Mapping[str, Any]

_JOBS: Final = ("spec", "jobTemplate", "spec", "template")
_PODS: Final = ("spec", "template")
_FINISHED: Final = frozenset({"Complete", "Failed"})
_COUNTS: Final = (("spec", "replicas"), ("spec", "parallelism"), ("spec", "jobTemplate", "spec", "parallelism"))
_MAX_COUNT: Final = 2**31 - 1
"""The largest number of pods that the API server takes."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds.

    Attributes:
        objects: the objects, the members of lists each for itself.
        notes: what has containers and is passed over, a sentence each.
    """

    objects: tuple[Object, ...]
    notes: tuple[str, ...] = ()


def read(text: str, source: str) -> Content:
    """Read a file of YAML or JSON.

    Args:
        text: its content.
        source: its name, for messages.

    Raises:
        SettingsError: it is none, or an object in it is none of Kubernetes.
    """
    try:
        found = files.read(text, source)
    except files.Unreadable as error:
        raise SettingsError(str(error)) from None
    for workload in found.workloads:
        where = f"{workload.place} ({workload.kind})"
        _check(workload.thing, where)
        _check_controller(workload.thing, where)
    for thing in found.objects:
        _check(thing, f"{source} ({thing.get('kind')})")
    strange = (thing for thing in found.objects if template_of(thing) is None)
    notes = tuple(note for thing in strange for note in files.passed_over(thing, source))
    _check_json(notes, source)
    return Content((*(workload.thing for workload in found.workloads), *found.objects), notes)


def fill(inventory: Inventory, objects: Iterable[Object], namespaces: Sequence[str] = ()) -> frozenset[str]:
    """Have an inventory take all pods and controllers of pods among some objects.

    Args:
        inventory: takes them.
        objects: as ``read`` gives them; those that name no namespace are in the first that is asked about, as kubectl
            would put them there.
        namespaces: those alone that count; all where none is named.

    Returns:
        The namespaces of pods and controllers that were left out.
    """
    left = set()
    for thing in objects:
        metadata = thing.get("metadata") or {}
        namespace = metadata.get("namespace") or next(iter(namespaces), "default")
        if not namespaces or namespace in namespaces:
            add(inventory, {**thing, "metadata": {**metadata, "namespace": namespace}})
        elif thing.get("kind") == "Pod" or template_of(thing) is not None:
            left.add(namespace)
    return frozenset(left)


def add(inventory: Inventory, thing: Object) -> None:
    """Have an inventory take an object, whatever it is: a pod, a controller of pods, or neither."""
    if thing.get("kind") == "Pod":
        inventory.add_pod(thing)
    elif (template := template_of(thing)) is not None and not is_finished(thing):
        inventory.add_template(thing, template, replicas=replicas_of(thing))
    else:
        inventory.add_owner(thing)


def template_of(thing: Object) -> Pod | None:
    """The pod template of an object of any kind that has one where controllers have it."""
    for path in (_JOBS, _PODS):
        template: Any = thing
        for part in path:
            template = template.get(part) if isinstance(template, Mapping) else None
        if isinstance(template, Mapping) and _at(template, ("spec", "containers")):
            return template
    return None


def replicas_of(thing: Object) -> int:
    """How many pods a controller asks for; of a DaemonSet one, since nobody says how many nodes there will be."""
    wanted = [_at(thing, path) for path in (_COUNTS[1:] if thing.get("kind") in {"Job", "CronJob"} else _COUNTS[:1])]
    return next((each for each in wanted if isinstance(each, int) and 0 <= each <= _MAX_COUNT), 1)


def is_finished(thing: Object) -> bool:
    """Whether a Job will make no more pods."""
    conditions = (_at(thing, ("status", "conditions")) or ()) if thing.get("kind") == "Job" else ()
    return any(c.get("type") in _FINISHED and c.get("status") == "True" for c in conditions)


def _check(thing: Mapping[str, Any], where: str) -> None:
    """Look at what will be read, so that readers of pods may take for granted what an API server would see to.

    Raises:
        SettingsError: naming the first field that is none.
    """
    _check_metadata(thing, where)
    _is(thing, ("spec",), where)
    _wants(thing.get("kind") != "Pod" or thing.get("spec") is not None, "spec", "an object", where)
    for path in ((), _PODS, _JOBS):
        holder = _at(thing, path)
        if isinstance(holder, Mapping) and (path or thing.get("kind") == "Pod"):
            _check_pod(holder, ".".join(path), where)
            _check_json(holder, where)


def _check_metadata(thing: Mapping[str, Any], where: str) -> None:
    _check_json({part: thing.get(part) for part in ("apiVersion", "kind", "metadata")}, where)
    _is(thing, ("metadata",), where)
    _texts(thing, ("metadata",), ("name", "generateName", "namespace", "uid"), where)
    _is(thing, ("metadata", "annotations"), where)
    _each(thing, ("metadata", "ownerReferences"), where)
    for owner in _at(thing, ("metadata", "ownerReferences")) or ():
        said = all(isinstance(owner.get(text), str) for text in ("apiVersion", "kind", "name", "uid"))
        _wants(said, "metadata.ownerReferences", "a list of objects with apiVersion, kind, name and uid", where)


def _check_controller(thing: Mapping[str, Any], where: str) -> None:
    """Of a kind that Kubernetes has itself, beside its pods."""
    _is(thing, ("status",), where)
    _texts(thing, ("status",), ("phase",), where)
    _each(thing, ("status", "conditions"), where)
    for condition in _at(thing, ("status", "conditions")) or ():
        _texts(condition, (), ("type", "status"), f"{where}, status.conditions")
    for path in _COUNTS:
        count = _at(thing, path)
        whole = isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= _MAX_COUNT
        _wants(count is None or whole, ".".join(path), f"a whole number from 0 to {_MAX_COUNT}", where)


def _check_json(value: object, where: str) -> None:
    """YAML has values that JSON lacks, and escapes in JSON may stand for what is no character."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise SettingsError(f"{where}: the API takes nothing like this: {error}") from None


def _check_pod(pod: Mapping[str, Any], path: str, where: str) -> None:
    place = f"{where}, {path}" if path else where
    for part in ("metadata", "spec"):
        _is(pod, (part,), place)
    _texts(pod, ("spec",), ("nodeName", "runtimeClassName", "serviceAccount", "serviceAccountName"), place)
    for labels in (("metadata", "labels"), ("metadata", "annotations"), ("spec", "nodeSelector")):
        _is(pod, labels, place)
        found = _at(pod, labels) or {}
        for key, value in found.items():
            _wants(isinstance(key, str) and isinstance(value, str), f"{'.'.join(labels)}[{key!r}]", "text", place)
    for kind in ("containers", "initContainers", "tolerations", "imagePullSecrets"):
        _each(pod, ("spec", kind), place)
        for container in _at(pod, ("spec", kind)) or ():
            _check_container(container, f"{place}, spec.{kind}")
    for part in ("os", "affinity"):
        _is(pod, ("spec", part), place)
    _amounts(pod, ("spec", "overhead"), place)
    _texts(pod, ("spec", "os"), ("name",), place)
    _is(pod, ("spec", "affinity", "nodeAffinity"), place)
    _check_amounts(pod, ("spec",), place)
    _check_terms(pod, place)


def _check_container(container: Mapping[str, Any], where: str) -> None:
    """Of a container, and of whatever else stands in a list of a pod and has such members."""
    _texts(container, (), ("name", "image", "restartPolicy", "key", "operator", "value", "effect"), where)
    _check_amounts(container, (), where)


def _check_amounts(thing: Mapping[str, Any], path: tuple[str, ...], where: str) -> None:
    _is(thing, (*path, "resources"), where)
    for amounts in ("requests", "limits"):
        _amounts(thing, (*path, "resources", amounts), where)


def _check_terms(pod: Mapping[str, Any], where: str) -> None:
    path = ("spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    _is(pod, path, where)
    _each(pod, (*path, "nodeSelectorTerms"), where)
    for term in _at(pod, (*path, "nodeSelectorTerms")) or ():
        for kind in ("matchExpressions", "matchFields"):
            _each(term, (kind,), f"{where}, nodeSelectorTerms")
            for expression in term.get(kind) or ():
                said = isinstance(expression.get("key"), str) and isinstance(expression.get("operator"), str)
                _wants(said, kind, "a list of a key, an operator and values", where)
                values = expression.get("values") or []
                texts = isinstance(values, list) and all(isinstance(value, str) for value in values)
                _wants(texts, f"{kind} of {expression['key']}", "a list of texts as values", where)


def _each(thing: Mapping[str, Any], path: tuple[str, ...], where: str) -> None:
    """A list of objects, or nothing."""
    found = _at(thing, path)
    good = found is None or (isinstance(found, list) and all(isinstance(each, Mapping) for each in found))
    _wants(good, ".".join(path), "a list of objects", where)


def _amounts(thing: Mapping[str, Any], path: tuple[str, ...], where: str) -> None:
    """Quantities by the names of resources, or nothing."""
    _is(thing, path, where)
    for name, amount in (_at(thing, path) or {}).items():
        _wants(
            _is_amount(amount), f"{'.'.join(path)}[{name!r}]", "a quantity of at least 0, such as 250m or 2Gi", where
        )


def _is_amount(value: object) -> bool:
    """Whether the API takes it for an amount; null is none of it."""
    try:
        return value is None or parse(str(value)) >= 0
    except ValueError:
        return False


def _is(thing: Mapping[str, Any], path: tuple[str, ...], where: str) -> None:
    """An object, or nothing."""
    _wants(isinstance(_at(thing, path), Mapping | None), ".".join(path), "an object", where)


def _texts(thing: Mapping[str, Any], path: tuple[str, ...], names: Iterable[str], where: str) -> None:
    """Members of an object that are text, or not there."""
    for name in names:
        _wants(isinstance(_at(thing, (*path, name)), str | None), ".".join((*path, name)), "text", where)


def _wants(good: bool, field: str, form: str, where: str) -> None:
    if not good:
        raise SettingsError(f"{where}: {field} must be {form}")


def _at(thing: object, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - whatever somebody wrote
    for part in path:
        thing = thing.get(part) if isinstance(thing, Mapping) else None
    return thing
