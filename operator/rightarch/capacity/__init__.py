"""Capacity: which operating systems and architectures the cluster can offer a pod, and why not.

The answer is **yes** (a Node is there, or a NodePool names it), **no** (nothing can), or **unknown**: a NodePool that
names no architecture, or names machines, may have either until a Node or NodeClaim of it shows which. Nothing is ever
denied for it: what a cluster can offer changes, and Pending heals. Resources are not looked at, nor is what a pod says
of other pods.
"""

from rightarch.capacity.answer import Answer, toleration_lines
from rightarch.capacity.capacity import Capacity, Platform, sighting
from rightarch.capacity.demand import Demand, current
from rightarch.capacity.nodes import POOL, NodeKind, stated
from rightarch.capacity.offer import Offer, Verdict
from rightarch.capacity.pools import NodePool

__all__ = [
    "POOL",
    "Answer",
    "Capacity",
    "Demand",
    "NodeKind",
    "NodePool",
    "Offer",
    "Platform",
    "Verdict",
    "current",
    "sighting",
    "stated",
    "toleration_lines",
]
