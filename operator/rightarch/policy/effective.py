"""What applies to one pod: the choices of the policy that won, and the facts of all that match."""

from dataclasses import dataclass, field
from typing import Final

from rightarch.policy.spec import Choices, Emulation, ImageOverride, Toleration


@dataclass(frozen=True, slots=True)
class Facts:
    """What cluster policies say is true, in the order in which it is to be believed.

    Attributes:
        overrides: what images run on; the first whose pattern matches holds.
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


@dataclass(frozen=True, slots=True)
class Effective:
    """What applies to one pod.

    Attributes:
        choices: how it is decided.
        facts: what is true whatever policy won.
        name: the policy that won, for people: ``cap/NAME``, ``ap/NAMESPACE/NAME``, or ``built-in``.
        label: the value of ``rightarch.dev/applied-policy``: ``cap.`` or ``ap.`` and 10 hexadecimal digits of its UID;
            empty for the built-in default.
        why: how it won, for people.
        warnings: what the pod's creator should be told, such as that an opt-out is not allowed.
        ignored: whether the pod, or its namespace, opted out: it is left alone.
    """

    choices: Choices = field(default_factory=Choices)
    facts: Facts = field(default_factory=Facts)
    name: str = "built-in"
    label: str = ""
    why: str = "no policy matches"
    warnings: tuple[str, ...] = ()
    ignored: bool = False


BUILT_IN: Final = Effective()
