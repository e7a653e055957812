"""The engine of webhook and controller in a command: gather, decide, apply, for workloads of files or of a cluster."""

import asyncio
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import jsonpatch

from rightarch import pod as pods
from rightarch import template
from rightarch.capacity import Capacity
from rightarch.cli.knowledge import Knowledge, Source
from rightarch.cli.progress import Progress
from rightarch.errors import RightarchError
from rightarch.gather import gather
from rightarch.manifests import Object, Workload
from rightarch.patches import GATE, Patch
from rightarch.placement import Decision, Failure, Input, Outcome, apply, decide, overridden, parse
from rightarch.pod import Pod
from rightarch.policy import Effective
from rightarch.reference import Reference
from rightarch.registry import Keychain, Registry, Scoped, pull_scope
from rightarch.rulebook import Rulebook
from rightarch.webhook.form import POD
from rightarch.webhook.form import Object as Form

AT_A_TIME: Final = 16
"""Images that are asked for at the same time."""
Key = tuple[str, str]
"""A scope, and the name of an image."""
_NAMED: Final = Form({"metadata": POD.members["metadata"]}, needed=("metadata",))


class Malformed(RightarchError):
    """A workload whose pod can't be read; says where."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A workload, and what is decided about.

    Attributes:
        workload: as it was read.
        namespace: its own, or the one that it goes to.
        pod: as it is created: the pod itself, or one made of the template.
        policy: what applies to it.
        written_on: what is patched: the workload whose template is written, else the pod.
    """

    workload: Workload
    namespace: str
    pod: Pod
    policy: Effective
    in_template: bool

    @property
    def written_on(self) -> Object:
        """What is patched: the workload, where its template is written, else the pod."""
        return self.workload.thing if self.in_template else self.pod


@dataclass(frozen=True, slots=True)
class Judged:
    """What was decided about a workload.

    Attributes:
        subject: about what.
        decision: what.
        patch: that carries it out.
        after: what is patched, after it.
        sources: per image, where what is known of it comes from.
    """

    subject: Subject
    decision: Decision
    patch: Patch
    after: Object
    sources: Mapping[str, Source]

    @property
    def placed(self) -> Pod:
        """The pod as it is scheduled."""
        if not self.subject.in_template:
            return self.after
        written = replace(self.subject.workload, thing=self.after).pod
        return {**self.subject.pod, "spec": written["spec"]}


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Decides.

    Attributes:
        registry: asked for images that are not known.
        login: with whose credentials.
        rulebook: which policies and namespaces there are.
        capacity: which nodes.
        knowledge: what the cluster knows of images; None without a cluster.
        namespace: of workloads that name none.
        seconds: that an image is waited for.
        templates: whether every template is written, whatever policies say of when.
    """

    registry: Registry
    login: Keychain
    rulebook: Rulebook
    capacity: Capacity = field(default_factory=Capacity)
    knowledge: Knowledge | None = None
    namespace: str = "default"
    seconds: float = 30.0
    templates: bool = False

    async def judge(self, workloads: Sequence[Workload]) -> list[Judged]:
        """Decide about workloads, in their order.

        Raises:
            Malformed: one is not of the form of its kind.
        """
        subjects = [self._subject(workload) for workload in workloads]
        wanted = {(_scope(subject), name): subject.pod for subject in subjects for name in _wanted(subject)}
        known = await self._known(wanted)
        outcomes = await self._outcomes(wanted, known)
        return [self._judged(subject, known, outcomes) for subject in subjects]

    def _subject(self, workload: Workload) -> Subject:
        namespace = workload.namespace or self.namespace
        pod = _created(workload, namespace)
        _check(workload, pod)
        policy = self.rulebook.effective(namespace, pod)
        return Subject(workload, namespace, pod, policy, self._is_written(workload, policy))

    def _is_written(self, workload: Workload, policy: Effective) -> bool:
        """Whether the template is written, and not only its pods."""
        if not workload.path:
            return False
        return self.templates or template.when(workload.kind, workload.thing, policy) != "Never"

    async def _known(self, wanted: Mapping[Key, Pod]) -> Mapping[Key, Source]:
        """What the cluster knows of images, told to the registry's memory; the source of each."""
        if self.knowledge is None:
            return {}
        slots, knowledge = asyncio.Semaphore(AT_A_TIME), self.knowledge

        async def learn(key: Key, pod: Pod) -> Source | None:
            async with slots:
                return await knowledge.learn(self.registry, key, pod)

        found = await asyncio.gather(*(learn(key, pod) for key, pod in wanted.items()))
        return {key: source for key, source in zip(wanted, found, strict=True) if source is not None}

    async def _outcomes(self, wanted: Iterable[Key], known: Container[Key]) -> Mapping[Key, Outcome]:
        """What is known of all images; those of which the cluster knows nothing are asked for, each once."""
        keys, slots = list(wanted), asyncio.Semaphore(AT_A_TIME)

        async def ask(scope: str, name: str, progress: Progress) -> Outcome:
            async with slots:
                pod = {"spec": {"containers": [{"image": name}]}}
                own = Scoped(self.login, scope)
                given = await gather(pod, self.capacity, self.registry, own, self.seconds, record=False)
            if (scope, name) not in known:
                progress.done(name)
            return given.images[name]

        async with Progress([name for scope, name in keys if (scope, name) not in known]) as progress:
            return dict(zip(keys, await asyncio.gather(*(ask(*key, progress) for key in keys)), strict=True))

    def _judged(self, subject: Subject, known: Mapping[Key, Source], outcomes: Mapping[Key, Outcome]) -> Judged:
        scope, thing = _scope(subject), _templated(subject.workload)
        images = {name: _outcome(subject, name, outcomes) for name in pods.image_names(subject.pod)}
        given = Input(subject.pod, images, self.capacity, policy=subject.policy, namespace=subject.namespace)
        if subject.in_template:
            decision = decide(replace(given, written=template.written(thing, subject.policy)))
            patch = _own_paths(subject.workload, template.apply(decision, thing))
        else:
            decision = decide(given)
            patch = apply(decision, subject.pod)
        after = patched(subject.written_on, patch)
        sources = {name: _source(subject, name, images[name], known.get((scope, name))) for name in images}
        return Judged(subject, decision, patch, after, sources)


def patched(thing: Object, patch: Patch) -> dict[str, Any]:
    """An object after a JSON Patch."""
    after: dict[str, Any] = jsonpatch.apply_patch(thing, patch)
    return after


def _templated(workload: Workload) -> Object:
    """An object with its template where workloads have it: a PodTemplate has it one level higher."""
    thing = workload.thing
    return thing if workload.kind != "PodTemplate" else {**thing, "spec": {"template": thing.get("template")}}


def _own_paths(workload: Workload, patch: Patch) -> Patch:
    """A patch of what ``_templated`` gave, as one of the object itself."""
    if workload.kind != "PodTemplate":
        return patch
    return [{**each, "path": each["path"].removeprefix("/spec")} for each in patch]


def _check(workload: Workload, pod: Pod) -> None:
    """Raises Malformed where a workload is not of the form that is read."""
    outer, inner = _NAMED.fault(workload.thing), POD.fault(pod)
    if outer is None and inner is None:
        return
    where = "".join(f".{key}" for key in workload.path) if outer is None else ""
    raise Malformed(f"{workload.place}: {workload}: {where}{outer or inner}".replace(": .", ": "))


def _created(workload: Workload, namespace: str) -> Pod:
    """The pod as it is created: one that is stored is looked at as if it were to be created anew."""
    pod = workload.pod
    spec, metadata = pod.get("spec"), pod.get("metadata") or {}
    if not isinstance(spec, dict) or not isinstance(metadata, dict):
        return pod
    created = {"metadata": {**metadata, "namespace": namespace}, "spec": _unplaced(spec) if "uid" in metadata else spec}
    return created if workload.path else {"apiVersion": "v1", "kind": "Pod", **created}


def _unplaced(spec: Object) -> Object:
    """The spec of a stored pod without what came after its creation, and without our gate."""
    gates = [gate for gate in spec.get("schedulingGates") or () if gate.get("name") != GATE]
    left = {key: value for key, value in spec.items() if key not in {"nodeName", "schedulingGates"}}
    return left | ({"schedulingGates": gates} if gates else {})


def _wanted(subject: Subject) -> list[str]:
    """The images that are to be looked up: not those of which a policy knows better, nor names that can't be right."""
    return [
        name
        for name in pods.image_names(subject.pod)
        if not isinstance(parse(name), Failure) and _override(subject.policy, name) is None
    ]


def _override(policy: Effective, name: str) -> Source | None:
    """What a policy says of an image, if one does."""
    reference = parse(name)
    if not isinstance(reference, Reference):
        return None
    found = policy.facts.override(reference)
    if found is None:
        return None
    why = f": {found.reason}" if found.reason else ""
    return Source("override", f"imageOverrides {found.pattern}{why}")


def _outcome(subject: Subject, name: str, outcomes: Mapping[Key, Outcome]) -> Outcome:
    """What is known of an image: of one that was not wanted, what a policy says, or why its name is none."""
    reference = parse(name)
    if isinstance(reference, Failure):
        return reference
    return overridden(reference, subject.policy.facts) or outcomes[_scope(subject), name]


def _scope(subject: Subject) -> str:
    """Who may read the pod's images: its namespace, and the pull secrets that it names, or gets by its account."""
    names = pods.pull_secrets(subject.pod) or (f"@{pods.service_account(subject.pod)}",)
    return pull_scope(subject.namespace, names)


def _source(subject: Subject, name: str, outcome: Outcome, known: Source | None) -> Source:
    if override := _override(subject.policy, name):
        return override
    if known is not None:
        return known
    return Source("none", "") if isinstance(outcome, Failure) else Source("registry", "asked just now")
