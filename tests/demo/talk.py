"""How to talk to a demo that was left up."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from tests.controlplane import binary

from .scenario import ARM64_ONLY, PAIR_AMD64, PAIR_ARM64
from .scene import DECISION, WITH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .folder import Hold


def talk(hold: Hold, references: Mapping[str, str]) -> list[str]:
    """What to type, ready to be copied."""
    kubectl = binary("kubectl")
    image = references[ARM64_ONLY.sample]
    other = {"spec": {"containers": [{"name": "other", "image": references[PAIR_ARM64.sample]}]}}
    return [
        "",
        "The demo is up. In a shell:",
        f"  export KUBECONFIG={shlex.quote(str(hold.kubeconfig))}",
        f"  export PATH={shlex.quote(str(kubectl.parent))}:$PATH   # {kubectl.name}",
        "What there is, and where it runs:",
        "  kubectl get nodes -L kubernetes.io/arch",
        f"  kubectl get pods -n {WITH} -L {DECISION} -o wide",
        "What was decided for each DaemonSet, whose constraint stands in its template:",
        f"  kubectl describe daemonsets -n {WITH}",
        "An image for arm64 alone: no word about it in the command, and the pod has the affinity.",
        f"  kubectl run try -n {WITH} --image={image}",
        f"  kubectl get pod try -n {WITH} -o jsonpath='{{.spec.affinity}}{{\"\\n\"}}'",
        f"  kubectl get pod try -n {WITH} -o jsonpath='{{.metadata.annotations.rightarch\\.dev/decision}}{{\"\\n\"}}'",
        "Two images that share no architecture: the pod stays as it is, and you are warned.",
        f"  kubectl run pair -n {WITH} --image={references[PAIR_AMD64.sample]} --override-type=strategic \\",
        f"    --overrides={shlex.quote(json.dumps(other))}",
        "What is known of the images, by all replicas:",
        "  kubectl get imageplatforms",
        "",
        "`make demo-down` ends it.",
    ]
