"""Affinity: what a pod's own constraints say of architecture and operating system, and how they are narrowed.

Node selector terms are ORed; the expressions of a term are ANDed; an empty term matches no node; ``nodeSelector`` is
ANDed with all of it. So a constraint is ANDed into **every** non-empty term: a term of its own would be one more
alternative. Terms are never added beside the user's, dropped or reordered, and expressions are only appended, which is
what the API server allows on gated pods too (KEP-3838).

Source: k8s.io/component-helpers ``scheduling/corev1/nodeaffinity`` and the API reference of NodeSelectorTerm. Pure.
"""

from rightarch.affinity.constraints import Constraints, is_empty
from rightarch.affinity.requirement import ARCH, ARCH_KEYS, OS, OS_KEYS, Expression, Requirement, Term
from rightarch.affinity.values import ANY, Values
from rightarch.affinity.writing import NOTHING, Preference, Writing

__all__ = [
    "ANY",
    "ARCH",
    "ARCH_KEYS",
    "NOTHING",
    "OS",
    "OS_KEYS",
    "Constraints",
    "Expression",
    "Preference",
    "Requirement",
    "Term",
    "Values",
    "Writing",
    "is_empty",
]
