"""The scheduler's matching rules, transcribed as directly as Python allows: the oracle of the property tests.

Source: k8s.io/component-helpers/scheduling/corev1/nodeaffinity (RequiredNodeAffinity, nodeSelectorTerm) and
k8s.io/apimachinery/pkg/labels (Requirement.Matches). Deliberately written without the code under test.
"""

from collections.abc import Mapping
from typing import Any


def admits(pod: Mapping[str, Any], name: str, labels: Mapping[str, str]) -> bool:
    """Whether the pod's node selector and required node affinity match a node."""
    spec = pod["spec"]
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    return any(_term_matches(term, name, labels) for term in required["nodeSelectorTerms"])


def _term_matches(term: Mapping[str, Any], name: str, labels: Mapping[str, str]) -> bool:
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not fields:
        return False
    return all(_matches(e, labels) for e in expressions) and all(_matches(f, {"metadata.name": name}) for f in fields)


def _matches(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = requirement["key"], requirement.get("values") or []
    match requirement["operator"]:
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case operator:
            return key in labels and _compares(operator, labels[key], values[0])


def _compares(operator: str, label: str, bound: str) -> bool:
    try:
        return int(label) > int(bound) if operator == "Gt" else int(label) < int(bound)
    except ValueError:
        return False
