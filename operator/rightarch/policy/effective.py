"""What applies to one pod: the choices of the policy that won, and the facts of all that match."""

from dataclasses import dataclass, field
from typing import Final

from rightarch.policy import globs
from rightarch.policy.spec import Choices, Emulation, ImageOverride, Toleration
from rightarch.reference import Reference

_BUILT_IN: Final = "built-in"

_MEMORY: Final = 4096
"""Images whose override, or that they have none, is remembered."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What cluster policies say is true, in the order in which it is to be believed.

    Attributes:
        overrides: what images run on; the first whose pattern matches holds, as ``override`` finds it.
        tolerations: those of pods that may run on an architecture.
        emulation: nodes that emulate an architecture; the first that names one holds.
        runtime_classes: those whose pods are left alone.
        assumed: architectures that the cluster can offer beyond what is seen.
    """

    overrides: tuple[ImageOverride, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    emulation: tuple[Emulation, ...] = ()
    runtime_classes: frozenset[str] = frozenset()
    assumed: frozenset[str] = frozenset()
    _found: dict[Reference, ImageOverride | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def override(self, reference: Reference) -> ImageOverride | None:
        """What is true of an image whatever its manifest says, or None: then the manifest tells.

        Remembered, since pods name the same images again and again and there may be thousands of patterns.
        """
        if not self.overrides:
            return None
        if reference not in self._found:
            if len(self._found) >= _MEMORY:
                self._found.clear()
            matching = (each for each in self.overrides if globs.matches(each.pattern, reference))
            self._found[reference] = next(matching, None)
        return self._found[reference]


@dataclass(frozen=True, slots=True)
class Effective:
    """What applies to one pod.

    Attributes:
        choices: how it is decided.
        facts: what is true whatever policy won.
        name: the policy that won, for people: ``cap/NAME``, ``ap/NAMESPACE/NAME``, or ``built-in``.
        label: the value of ``rightarch.dev/applied-policy``: ``cap.`` or ``ap.`` and 10 hexadecimal digits of its UID;
            empty for the built-in default, a policy that is in a file alone, and where the pod opted out.
        why: how it won, for people.
        warnings: what the pod's creator should be told, such as that an opt-out is not allowed; without a prefix.
        ignored: whether the pod, or its namespace, opted out: it is left alone. ``name`` is whom it opted out of.
    """

    choices: Choices = field(default_factory=Choices)
    facts: Facts = field(default_factory=Facts)
    name: str = _BUILT_IN
    label: str = ""
    why: str = "no policy matches"
    warnings: tuple[str, ...] = ()
    ignored: bool = False

    @property
    def decides(self) -> bool:
        """Whether it is a policy by which the pod is decided: it is not the built-in default, and nobody opted out."""
        return self.name != _BUILT_IN and not self.ignored


BUILT_IN: Final = Effective()
