"""The programs that the demo starts: found, or built once, which takes minutes and is told about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.controlplane.binaries import find
from tests.controlplane.components import COMPONENTS
from tests.controlplane.report import say
from tests.controlplane.workshop import Workshop

if TYPE_CHECKING:
    from .progress import Progress

CONTROL_PLANE: Final = frozenset({"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"})
NEEDED: Final = CONTROL_PLANE | {"kubectl", "registry", "helm", "karpenter-kwok"}


def provide_programs(progress: Progress) -> None:
    """Have all programs at hand; says nothing if they are."""
    wanted = [component for name, component in COMPONENTS.items() if name in NEEDED]
    missing = [component for component in wanted if not find(component)]
    if not missing:
        return
    names = ", ".join(component.name for component in missing)
    minutes = max(1, round(sum(component.seconds for component in missing) / 60))
    with progress.step("Building programs of the control plane, once", chatty=True), Workshop() as workshop:
        say(f"{names}: usually {minutes} min in all on 2 cores; they are kept for the next run")
        for component in missing:
            find(component, say)  # tells why what is there does not do
            workshop.provide(component)
