"""A second opinion on names and platforms: the Go libraries that the kubelet and containerd read them by."""

import functools
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.bench.noop import OurOwn
from tests.controlplane.workshop import Workshop

_NAMES = OurOwn(
    name="names",
    group="names",
    module="rightarch.dev/tests/names",
    package="",
    seconds=10,
    first=(1, 0, 0),
    stamps=("main.version",),
)


def references(texts: Iterable[str]) -> list[list[str] | None]:
    """For each text: the canonical reference, its domain and its path; None for what is no reference."""
    return _answers(texts)


def platforms(given: Iterable[tuple[str, str, str]]) -> list[list[str]]:
    """For each operating system, architecture and variant: the normal form."""
    names = ("os", "architecture", "variant")
    return [each for each in _answers(dict(zip(names, each, strict=True)) for each in given) if each]


def _answers(questions: Iterable[object]) -> list[list[str] | None]:
    lines = "".join(f"{json.dumps(question)}\n" for question in questions)
    done = subprocess.run([_program()], input=lines, capture_output=True, text=True, check=True, timeout=120)
    return [json.loads(line) for line in done.stdout.splitlines()]


@functools.cache
def _program() -> Path:
    with Workshop() as workshop:
        return workshop.provide(_NAMES)
