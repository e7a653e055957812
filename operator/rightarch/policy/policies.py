"""Policies: all of a cluster, compiled so that one pod asks for what applies to it in microseconds.

One policy wins; choices of several are never mixed. Facts of all that match hold, whichever won.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Final

from rightarch import pod as pods
from rightarch.pod import Pod
from rightarch.policy.effective import Effective, Facts
from rightarch.policy.globs import literal_length
from rightarch.policy.policy import IGNORE, Kind, Policy
from rightarch.policy.selectors import Labels, Selectors, members
from rightarch.policy.spec import Choices, ClusterArchitecturePolicySpec

ANNOTATION: Final = "rightarch.dev/policy"
"""On a pod or a namespace: ``ignore``, or the name of the policy that is asked for."""

_MEMORY: Final = 4096
_SHOWN: Final = 80


class Policies:
    """What holds where. Nothing of it changes; make one by ``of``.

    Attributes:
        all: every policy that it was made of, those too that can't be obeyed.
    """

    def __init__(self, every: tuple[Policy, ...], default: Choices) -> None:
        self.all = every
        valid = [policy for policy in every if policy.spec is not None]
        self._cluster = _Ranked(policy for policy in valid if policy.kind is Kind.CLUSTER)
        self._own = {
            namespace: _Ranked(each)
            for namespace, each in groupby(
                sorted((policy for policy in valid if policy.kind is Kind.NAMESPACED), key=lambda each: each.namespace),
                key=lambda each: each.namespace,
            )
        }
        self._namespaces = Selectors(_cluster_spec(policy).namespace_selector for policy in self._cluster.policies)
        self._mandatory = self._cluster.those(lambda policy: _cluster_spec(policy).binding == "Mandatory")
        self._factual = self._cluster.those(lambda policy: _states_facts(_cluster_spec(policy)))
        self._built_in = Effective(default)
        self._facts: dict[int, Facts] = {0: self._built_in.facts}
        self._effective: dict[tuple[str, int], Effective] = {}

    @classmethod
    def of(cls, policies: Iterable[Policy], default: Choices | None = None) -> "Policies":
        """Compile policies.

        Args:
            policies: all there are; those that can't be obeyed count as absent.
            default: the choices where no policy matches; those of an empty policy if not given.
        """
        return cls(tuple(policies), default or Choices())

    @property
    def pod_labels(self) -> frozenset[str]:
        """The labels by which any of them selects pods: what differs between pods in others decides nothing."""
        return self._cluster.selectors.keys.union(*(own.selectors.keys for own in self._own.values()))

    def effective(self, namespace: str, labels: Labels, annotations: Labels, pod: Pod) -> Effective:
        """What applies to a pod.

        The winner is found without the annotation first: only what that one allows can be asked for by it.

        Args:
            namespace: the pod's.
            labels: the namespace's.
            annotations: the namespace's.
            pod: the raw pod, or one made of a workload's template.
        """
        there = self._namespaces.matching(labels)
        matching = there & self._cluster.selectors.matching(pods.labels(pod))
        facts = matching & self._factual
        winner, why = self._winner(namespace, matching, pods.labels(pod))
        asked, where = _asked(annotations, pod)
        if not asked:
            return self._made(winner, facts, why)
        return self._by_annotation(_Wish(asked, where, namespace, there), winner, facts, why)

    def _winner(self, namespace: str, matching: int, labels: Labels) -> tuple[Policy | None, str]:
        if mandatory := matching & self._mandatory:
            return self._cluster.first(mandatory), "the first Mandatory policy of the cluster that matches"
        own = self._own.get(namespace)
        if own and (selected := own.selectors.matching(labels)):
            return own.first(selected), "the first policy of its namespace that matches"
        if matching:
            return self._cluster.first(matching), "the first Default policy of the cluster that matches"
        return None, self._built_in.why

    def _by_annotation(self, wish: "_Wish", winner: Policy | None, facts: int, why: str) -> Effective:
        """What applies where an annotation asks for something else."""
        applied = self._made(winner, facts, why)
        if not applied.choices.allow_opt_out:
            return _warned(applied, f"{wish.told} is ignored: {applied.name} does not allow opting out")
        if wish.name == IGNORE:
            return replace(applied, ignored=True, label="", why=wish.told)
        named = self._named(wish)
        if named is None:
            return _warned(applied, f"{wish.told} names no valid policy here: {applied.name} applies")
        return self._made(named, facts, wish.told)

    def _named(self, wish: "_Wish") -> Policy | None:
        """The policy of a name: the namespace's own, else a cluster's that is for this namespace."""
        own = self._own.get(wish.namespace)
        if own and (index := own.by_name.get(wish.name)) is not None:
            return own.policies[index]
        index = self._cluster.by_name.get(wish.name)
        return self._cluster.policies[index] if index is not None and wish.there >> index & 1 else None

    def _made(self, winner: Policy | None, facts: int, why: str) -> Effective:
        key = f"{winner.title} {why}" if winner else "", facts
        made = self._effective.get(key)
        if made is None:
            if len(self._effective) >= _MEMORY:
                self._effective.clear()
            made = self._effective[key] = self._make(winner, self._stated(facts), why)
        return made

    def _make(self, winner: Policy | None, facts: Facts, why: str) -> Effective:
        if winner is None:
            return replace(self._built_in, facts=facts)
        assert winner.spec is not None, "invalid policies are absent"
        return Effective(winner.spec, facts, winner.title, winner.label, why)

    def _stated(self, selected: int) -> Facts:
        facts = self._facts.get(selected)
        if facts is None:
            if len(self._facts) >= _MEMORY:
                self._facts.clear()
            facts = self._facts[selected] = _facts([self._cluster.policies[index] for index in members(selected)])
        return facts


@dataclass(frozen=True, slots=True)
class _Wish:
    """What an annotation asks for.

    Attributes:
        name: ``ignore``, or a policy's.
        where: what has the annotation, for people.
        namespace: the pod's.
        there: the cluster's policies for that namespace.
    """

    name: str
    where: str
    namespace: str
    there: int

    @property
    def told(self) -> str:
        """For people. Pod authors choose the value: not too long, nothing that steers a terminal."""
        shown = "".join(char if char.isprintable() else "?" for char in self.name[:_SHOWN])
        return f"the annotation {ANNOTATION}: {shown} of the {self.where}"


class _Ranked:
    """Policies among which only priority and name decide, in the order in which they are asked."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        self.policies = tuple(sorted(policies, key=_rank))
        self.selectors = Selectors(_spec(policy).pod_selector for policy in self.policies)
        self.by_name = {policy.name: index for index, policy in enumerate(self.policies)}

    def first(self, selected: int) -> Policy:
        """The first of a set that is not empty."""
        return self.policies[(selected & -selected).bit_length() - 1]

    def those(self, condition: Callable[[Policy], bool]) -> int:
        """The set of those that meet a condition."""
        return sum(1 << index for index, policy in enumerate(self.policies) if condition(policy))


def _rank(policy: Policy) -> tuple[bool, int, str]:
    spec = _spec(policy)
    default = isinstance(spec, ClusterArchitecturePolicySpec) and spec.binding == "Default"
    return default, -spec.priority, policy.name


def _spec(policy: Policy) -> Choices:
    assert policy.spec is not None, "invalid policies are absent"
    return policy.spec


def _cluster_spec(policy: Policy) -> ClusterArchitecturePolicySpec:
    assert isinstance(policy.spec, ClusterArchitecturePolicySpec), "of the cluster's kind"
    return policy.spec


def _states_facts(spec: ClusterArchitecturePolicySpec) -> bool:
    stated = spec.image_overrides, spec.tolerations, spec.emulation, spec.runtime_classes, spec.capacity.assume
    return any(stated)


def _facts(policies: Iterable[Policy]) -> Facts:
    """The facts of policies, in the order in which they are believed."""
    specs = [_cluster_spec(policy) for policy in sorted(policies, key=lambda policy: policy.name)]
    overrides = (override for spec in specs for override in spec.image_overrides)
    return Facts(
        overrides=tuple(sorted(overrides, key=lambda each: -literal_length(each.pattern))),
        tolerations=tuple(each for spec in specs for each in spec.tolerations),
        emulation=tuple(each for spec in specs for each in spec.emulation),
        runtime_classes=frozenset(each for spec in specs for each in spec.runtime_classes),
        assumed=frozenset(each for spec in specs for each in spec.capacity.assume),
    )


def _asked(annotations: Mapping[str, Any], pod: Pod) -> tuple[str, str]:
    """What is asked for, by the pod or else by its namespace, and which of them asks."""
    if asked := pods.annotations(pod).get(ANNOTATION):
        return asked, "pod"
    return annotations.get(ANNOTATION) or "", "namespace"


def _warned(applied: Effective, warning: str) -> Effective:
    return replace(applied, warnings=(*applied.warnings, warning))
