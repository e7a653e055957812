"""Manifests: workloads from files, as ``helm template`` prints them, in the place of a cluster. Pure.

Whoever wrote the file may have written anything; what could not be read as a pod is told with its place.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rightarch import manifests as files
from rightarch.errors import SettingsError
from rightarch.pod import Pod
from rightarch.report.inventory import Inventory

Object = Mapping[str, Any]

_JOBS: Final = ("spec", "jobTemplate", "spec", "template")
_PODS: Final = ("spec", "template")
_FINISHED: Final = frozenset({"Complete", "Failed"})


def read(text: str, source: str) -> list[Object]:
    """The objects of a file of YAML or JSON, the members of lists each for itself.

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
        _check(workload.thing, f"{workload.place} ({workload.kind})")
    for thing in found.objects:
        _check(thing, f"{source} ({thing.get('kind')})")
    return [*(workload.thing for workload in found.workloads), *found.objects]


def fill(inventory: Inventory, objects: Iterable[Object], namespaces: frozenset[str] = frozenset()) -> None:
    """Have an inventory take all pods and controllers of pods among some objects.

    Args:
        inventory: takes them.
        objects: as ``read`` gives them.
        namespaces: those alone that count; all where none is named.
    """
    for thing in objects:
        namespace = (thing.get("metadata") or {}).get("namespace") or "default"
        if not namespaces or namespace in namespaces:
            add(inventory, thing)


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
    spec: Mapping[str, Any] = thing.get("spec") or {}
    job = (spec.get("jobTemplate") or {}).get("spec") or spec
    wanted = job.get("parallelism") if thing.get("kind") in {"Job", "CronJob"} else spec.get("replicas")
    return wanted if isinstance(wanted, int) and wanted >= 0 else 1


def is_finished(thing: Object) -> bool:
    """Whether a Job will make no more pods."""
    conditions = (thing.get("status") or {}).get("conditions") or ()
    return thing.get("kind") == "Job" and any(
        c.get("type") in _FINISHED and c.get("status") == "True" for c in conditions
    )


def _check(thing: Mapping[str, Any], where: str) -> None:
    """Look at what will be read, so that readers of pods may take for granted what an API server would see to.

    Raises:
        SettingsError: naming the first field that is none.
    """
    _is(thing, ("metadata",), Mapping, where)
    _is(thing, ("spec",), Mapping, where)
    for path in ((), _PODS, _JOBS):
        holder = _at(thing, path)
        if isinstance(holder, Mapping) and (path or thing.get("kind") == "Pod"):
            _check_pod(holder, ".".join(path), where)


def _check_pod(pod: Mapping[str, Any], path: str, where: str) -> None:
    place = f"{where}, {path}" if path else where
    for labels in (("metadata", "labels"), ("metadata", "annotations"), ("spec", "nodeSelector")):
        _is(pod, labels, Mapping, place)
        found = _at(pod, labels) or {}
        for key, value in found.items():
            _wants(isinstance(key, str) and isinstance(value, str), f"{'.'.join(labels)}[{key!r}]", "text", place)
    for kind in ("containers", "initContainers", "tolerations", "imagePullSecrets"):
        _each(pod, ("spec", kind), place)
        for container in _at(pod, ("spec", kind)) or ():
            _check_container(container, f"{place}, spec.{kind}")
    for part in ("resources", "overhead", "os", "affinity"):
        _is(pod, ("spec", part), Mapping, place)
    _is(pod, ("spec", "affinity", "nodeAffinity"), Mapping, place)
    _check_terms(pod, place)


def _check_container(container: Mapping[str, Any], where: str) -> None:
    """Of a container, and of whatever else stands in a list of a pod and has such members."""
    for text in ("name", "image", "restartPolicy"):
        _wants(isinstance(container.get(text), str | None), text, "text", where)
    for amounts in (("resources",), ("resources", "requests"), ("resources", "limits")):
        _is(container, amounts, Mapping, where)


def _check_terms(pod: Mapping[str, Any], where: str) -> None:
    path = ("spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    _is(pod, path, Mapping, where)
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


def _is(thing: Mapping[str, Any], path: tuple[str, ...], kind: type, where: str) -> None:
    found = _at(thing, path)
    _wants(found is None or isinstance(found, kind), ".".join(path), "an object", where)


def _wants(good: bool, field: str, form: str, where: str) -> None:
    if not good:
        raise SettingsError(f"{where}: {field} must be {form}")


def _at(thing: object, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - whatever somebody wrote
    for part in path:
        thing = thing.get(part) if isinstance(thing, Mapping) else None
    return thing
