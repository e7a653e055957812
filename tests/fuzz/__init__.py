"""Fuzzing: parsers of what strangers write are given nonsense that is nearly sense, and must stay calm.

``python -m tests.fuzz [TARGET ...] [--runs N] [--seed N]``; a part of it is in the tests. A failure says the seed and
the number of the run, which make it again.
"""

from .targets import TARGETS, Fuzzed, fuzz

__all__ = ["TARGETS", "Fuzzed", "fuzz"]
