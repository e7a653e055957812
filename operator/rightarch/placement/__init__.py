"""Placement: from a pod, the platforms of its images and what policies say, to what is written on the pod.

Pure: no input and output, no clock, no logging. Admission, the controller and the command line gather an ``Input``,
call ``decide``, and ``apply`` the ``Decision``. Failures of the world enter as data; what they mean is the policy's
choice.
"""

from rightarch.placement.application import APPLIED, AUDITED, GATED, apply, release
from rightarch.placement.contradiction import HOPELESS
from rightarch.placement.decide import decide
from rightarch.placement.decision import DEFAULT_OS, Decision
from rightarch.placement.exclusion import skip
from rightarch.placement.images import overridden, parse
from rightarch.placement.inputs import Failure, Input, Outcome
from rightarch.placement.record import KEY, read_record, record
from rightarch.placement.shares import SHARE

__all__ = [
    "APPLIED",
    "AUDITED",
    "DEFAULT_OS",
    "GATED",
    "HOPELESS",
    "KEY",
    "SHARE",
    "Decision",
    "Failure",
    "Input",
    "Outcome",
    "apply",
    "decide",
    "overridden",
    "parse",
    "read_record",
    "record",
    "release",
    "skip",
]
