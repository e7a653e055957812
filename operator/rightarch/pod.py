"""Pods: readers of raw objects. Nothing is changed, and what is not known is passed over."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rightarch.affinity import Constraints, Term, is_empty

Pod = Mapping[str, Any]
"""A pod as the API server sent it. Typed models would drop the fields of newer API versions."""

MIRROR: Final = "kubernetes.io/config.mirror"
REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"


def image_names(pod: Pod) -> tuple[str, ...]:
    """The images that must run on the pod's node: of containers and init containers (sidecars are among them).

    Image volumes are data, and don't constrain. In the pod's order, each once.
    """
    spec = _mapping(pod, "spec")
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    return tuple(dict.fromkeys(container["image"] for container in containers if container.get("image")))


def pull_secrets(pod: Pod) -> tuple[str, ...]:
    """The names of its pull secrets, in its order, each once. A pod has those of its ServiceAccount from admission on.

    The API server takes entries without a name, and the kubelet passes them over.
    """
    entries = _mapping(pod, "spec").get("imagePullSecrets") or ()
    return tuple(dict.fromkeys(entry["name"] for entry in entries if entry.get("name")))


def service_account(pod: Pod) -> str:
    """The name of its ServiceAccount; a template may leave it to the API server to say that it is ``default``."""
    spec = _mapping(pod, "spec")
    name: str = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    return name


def constraints(pod: Pod) -> Constraints:
    """The pod's node selector and required node affinity."""
    spec = _mapping(pod, "spec")
    return Constraints(spec.get("nodeSelector") or {}, required_terms(pod))


def required_terms(pod: Pod) -> Sequence[Term] | None:
    """The required node selector terms; None where the pod requires nothing."""
    required = _node_affinity(pod).get(REQUIRED)
    return None if required is None else required.get("nodeSelectorTerms") or []


def preferred_terms(pod: Pod) -> Sequence[Mapping[str, Any]]:
    """The preferred scheduling terms of its node affinity: each a weight and a term."""
    return _node_affinity(pod).get(PREFERRED) or ()


def tolerations(pod: Pod) -> Sequence[Mapping[str, Any]]:
    """Its tolerations."""
    return _mapping(pod, "spec").get("tolerations") or ()


def runtime_class(pod: Pod) -> str | None:
    """The name of its RuntimeClass, if it names one."""
    return _mapping(pod, "spec").get("runtimeClassName") or None


def namespace(pod: Pod) -> str:
    """Its namespace; empty where its metadata don't tell, as of a pod about to be created."""
    return _mapping(pod, "metadata").get("namespace") or ""


def uid(pod: Pod) -> str:
    """Its UID; empty before it is stored."""
    return _mapping(pod, "metadata").get("uid") or ""


def os_name(pod: Pod) -> str | None:
    """The operating system that ``spec.os.name`` states, if it does."""
    return _mapping(_mapping(pod, "spec"), "os").get("name") or None


def gates(pod: Pod) -> tuple[str, ...]:
    """The names of the scheduling gates that hold it, in its order."""
    return tuple(gate.get("name", "") for gate in _mapping(pod, "spec").get("schedulingGates") or ())


def labels(pod: Pod) -> Mapping[str, str]:
    """The labels of the pod."""
    return _mapping(_mapping(pod, "metadata"), "labels")


def annotations(pod: Pod) -> Mapping[str, str]:
    """The annotations of the pod."""
    return _mapping(_mapping(pod, "metadata"), "annotations")


def is_mirror(pod: Pod) -> bool:
    """Whether a kubelet made it as the image of a static pod."""
    return MIRROR in annotations(pod)


def is_bound(pod: Pod) -> bool:
    """Whether it names its node already: the scheduler will not be asked."""
    return bool(_mapping(pod, "spec").get("nodeName"))


def is_pinned(pod: Pod) -> bool:
    """Whether every way to schedule it names one node, as DaemonSet controllers write it."""
    terms = [term for term in required_terms(pod) or () if not is_empty(term)]
    return bool(terms) and all(_names_node(term) for term in terms)


def _node_affinity(pod: Pod) -> Mapping[str, Any]:
    return _mapping(_mapping(_mapping(pod, "spec"), "affinity"), "nodeAffinity")


def _names_node(term: Term) -> bool:
    fields = term.get("matchFields") or ()
    return any(field["key"] == "metadata.name" and field["operator"] == "In" for field in fields)


def _mapping(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A member that is an object; an absent one and a null are both empty."""
    value: Mapping[str, Any] = parent.get(key) or {}
    return value
