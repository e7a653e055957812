"""Manifests: what files hold for ``kubectl apply``, and the pod templates in it. Pure.

Read as kubectl reads it: YAML of several documents, or JSON, with Lists in it; what ``helm template`` and
``kubectl get -o yaml`` print is of that form.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from rightarch.errors import RightarchError
from rightarch.extent import TOO_DEEP, Excessive, check, is_shallow

Object = Mapping[str, Any]

_TEMPLATE: Final = ("spec", "template")
KINDS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("", "Pod"): (),
    ("", "PodTemplate"): ("template",),
    ("", "ReplicationController"): _TEMPLATE,
    ("apps", "DaemonSet"): _TEMPLATE,
    ("apps", "Deployment"): _TEMPLATE,
    ("apps", "ReplicaSet"): _TEMPLATE,
    ("apps", "StatefulSet"): _TEMPLATE,
    ("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
    ("batch", "Job"): _TEMPLATE,
}
"""Where an object of a group and kind has its pod template; a pod is one itself."""
_MAX_DEPTH: Final = 12
"""How deep a kind that nobody knows is searched for containers."""


class Unreadable(RightarchError):
    """A file that holds no manifests; says where and why."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file.

    Attributes:
        content: as JSON has it; None where it is empty.
        line: on which it begins, from 1.
    """

    content: Any
    line: int


@dataclass(frozen=True, slots=True)
class Workload:
    """An object with a pod template, or a pod.

    Attributes:
        kind: as the object says.
        name: its own, or the beginning of one that is to be generated.
        namespace: that it states; empty where it states none.
        thing: the object.
        path: where the pod is in it; empty where it is one.
        place: file and line, for people.
        pointer: where the object is in its file: the index of its document, then keys and indices.
    """

    kind: str
    name: str
    namespace: str
    thing: Object
    path: tuple[str, ...]
    place: str
    pointer: tuple[str | int, ...] = (0,)

    @property
    def pod(self) -> Object:
        """The pod, or the template, which reads like one."""
        pod = self.thing
        for key in self.path:
            pod = pod.get(key) or {}
        return pod

    def __str__(self) -> str:
        return f"{self.kind.lower()}/{self.name}"


@dataclass(frozen=True, slots=True)
class Manifests:
    """What a file holds.

    Attributes:
        documents: all of them, in order.
        workloads: objects with a pod template that is known.
        objects: the other objects, such as Namespaces and policies.
        notes: what has containers and is passed over, a sentence each.
    """

    documents: tuple[Document, ...]
    workloads: tuple[Workload, ...]
    objects: tuple[Object, ...]
    notes: tuple[str, ...]


def read(text: str, file: str) -> Manifests:
    """Read a file.

    Args:
        text: its content.
        file: its name, for people.

    Raises:
        Unreadable: it is neither YAML nor JSON, or something in it is no object of Kubernetes.
    """
    documents = tuple(load(text, file))
    workloads, objects, notes = list[Workload](), list[Object](), list[str]()
    for index, document in enumerate(documents):
        if document.content is None:
            continue
        for pointer, thing in _objects(document.content, (index,), f"{file}:{document.line}"):
            place = f"{file}:{document.line}"
            if (found := workload(thing, place, pointer)) is not None:
                workloads.append(found)
                continue
            objects.append(thing)
            notes += passed_over(thing, place)
    return Manifests(documents, tuple(workloads), tuple(objects), tuple(notes))


def workload(thing: Object, place: str, pointer: tuple[str | int, ...] = (0,)) -> Workload | None:
    """What an object is as a workload; None for one of a kind that has no pod template, or none that is known."""
    path = KINDS.get((_group(thing), str(thing.get("kind"))))
    if path is None:
        return None
    metadata = _mapping(thing.get("metadata"))
    name = metadata.get("name") or metadata.get("generateName") or ""
    return Workload(str(thing["kind"]), str(name), str(metadata.get("namespace") or ""), thing, path, place, pointer)


def load(text: str, file: str) -> Iterator[Document]:
    """The documents of a file.

    Raises:
        Unreadable: it is neither YAML nor JSON.
    """
    if is_json(text):
        if not is_shallow(content := json.loads(text)):
            raise Unreadable(f"{file}: {TOO_DEEP}")
        yield Document(content, 1)
        return
    try:
        loader = Loader(text)
        try:
            while loader.check_node():
                node = loader.get_node()
                yield Document(loader.construct_document(node), node.start_mark.line + 1)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        what = "" if isinstance(error, Excessive) else "this is no YAML: "
        raise Unreadable(f"{where}: {what}{error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unreadable(f"{file}: this is no YAML: {' '.join(str(error).split())}") from None


def is_json(text: str) -> bool:
    """Whether a text is one JSON document, which YAML's parsers read too, but not with all of its white space."""
    if text.lstrip()[:1] not in {"{", "["}:
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):  # what is nested too deep for one is told of by the other
        return False
    return True


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # chosen at run time
    """Reads YAML as kubectl does: what looks like a time is text, since JSON has no times; so are all keys."""

    yaml_implicit_resolvers: Mapping[str, Any] = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        check(text)
        super().__init__(text)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        """A mapping whose keys are text, as JSON has them."""
        found: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return {key if isinstance(key, str) else json.dumps(key): value for key, value in found.items()}


def _objects(
    content: object, pointer: tuple[str | int, ...], place: str
) -> Iterator[tuple[tuple[str | int, ...], Object]]:
    """The objects of a document, those of Lists one by one, with where they are.

    Raises:
        Unreadable: something is no object.
    """
    if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
        raise Unreadable(f"{place}: this is no object of Kubernetes: it has no kind; give what kubectl apply takes")
    kind = content["kind"]
    items = content.get("items")
    if not (kind.endswith("List") and isinstance(items, list)):
        yield pointer, content
        return
    inherited = {"apiVersion": content.get("apiVersion"), "kind": kind.removesuffix("List")}
    for index, item in enumerate(items):
        named = {**inherited, **item} if kind != "List" and isinstance(item, dict) else item
        yield from _objects(named, (*pointer, "items", index), place)


def _group(thing: Object) -> str:
    group, slash, _ = str(thing.get("apiVersion")).partition("/")
    return group if slash else ""


def passed_over(thing: Object, place: str) -> tuple[str, ...]:
    """What to tell of an object of a kind that is not known: a sentence where it has containers, else nothing."""
    where = _containers(thing)
    if not where:
        return ()
    name = _mapping(thing.get("metadata")).get("name")
    what = f"{place}: {thing['kind']} {name} ({thing.get('apiVersion')})"
    why = f"{where} has containers, but the kind is not known; its pods are decided on creation"
    return (f"{what} is passed over: {why}",)


def _containers(value: object, path: str = "", depth: int = 0) -> str:
    """Where an object of any kind has containers with images; empty where it has none."""
    if depth > _MAX_DEPTH:
        return ""
    if isinstance(value, list):
        found = (_containers(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value))
        return next(filter(None, found), "")
    if not isinstance(value, dict):
        return ""
    containers = value.get("containers")
    if isinstance(containers, list) and any(isinstance(each, dict) and each.get("image") for each in containers):
        return path
    found = (_containers(member, f"{path}.{key}".lstrip("."), depth + 1) for key, member in value.items())
    return next(filter(None, found), "")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
