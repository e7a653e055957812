"""Runs ``rightarch mutate``: decides about the workloads of files, and puts what is decided into their text."""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from copy import deepcopy
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from rightarch import pod as pods
from rightarch import template
from rightarch.cli import clusters
from rightarch.cli.engine import Judged, patched
from rightarch.cli.exits import FAILURE
from rightarch.cli.explaining import Wanted, engine, status_of
from rightarch.cli.registries import tell
from rightarch.cli.targets import STDIN, of_files
from rightarch.errors import RightarchError
from rightarch.manifests import Manifests
from rightarch.placement import KEY
from rightarch.rewriting import rewritten


class Unwritten(RightarchError):
    """A file that can't be written."""


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it was read."""

    name: str
    text: str
    manifests: Manifests


def run(wanted: Wanted, *, in_place: bool) -> int:
    """Write, and return the exit status.

    Raises:
        RightarchError: nothing can be decided, or a file can't be written.
    """
    files = [_File(*each) for each in of_files(wanted.files)]
    judged = asyncio.run(_judged(wanted, files))
    for note in (note for file in files for note in file.manifests.notes):
        tell(note)
    for each in (each for some in judged for each in some):
        _warn(each)
    status = status_of([each.decision for some in judged for each in some])
    texts = [_mutated(file, some) for file, some in zip(files, judged, strict=True)]
    if not in_place:
        _print(texts)
    elif status != FAILURE:
        _write(files, texts)
    return status


async def _judged(wanted: Wanted, files: Sequence[_File]) -> list[list[Judged]]:
    """What is decided, per file."""
    place = None if wanted.registry_only else clusters.place(wanted.kubeconfig, wanted.context, wanted.namespace)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(clusters.connected(place)) if place else None
        manifests = [file.manifests for file in files]
        judge, _ = await stack.enter_async_context(engine(wanted, manifests, place, cluster))
        workloads = [each for one in manifests for each in one.workloads]
        judged = iter(await judge.judge(workloads))
        return [[next(judged) for _ in one.workloads] for one in manifests]


def _mutated(file: _File, judged: Iterable[Judged]) -> str:
    """The text of a file with what was decided."""
    contents: Any = [deepcopy(document.content) for document in file.manifests.documents]
    for each in filter(_is_written, judged):
        *way, last = each.subject.workload.pointer
        holder: Any = reduce(lambda thing, key: thing[key], way, contents)
        holder[last] = patched(holder[last], each.patch)
    return rewritten(file.text, contents, file.name)


def _is_written(judged: Judged) -> bool:
    """Whether there is something to write: a constraint, or a record that is there already and has become wrong."""
    decision = judged.decision
    if decision.denied or not template.is_decided(decision.reason):
        return False
    there = {KEY, template.KEY} & pods.annotations(judged.subject.workload.thing).keys()
    return bool(there) or any(not operation["path"].startswith("/metadata/") for operation in judged.patch)


def _warn(judged: Judged) -> None:
    for warning in judged.decision.warnings:
        workload = judged.subject.workload
        tell(f"{workload.place}: {workload}: {warning.removeprefix('rightarch: ')}")


def _print(texts: Sequence[str]) -> None:
    """All files as one stream of documents."""
    for index, text in enumerate(texts):
        if index and not text.startswith("---"):
            sys.stdout.write("---\n")
        sys.stdout.write(text if text.endswith("\n") or len(texts) == 1 else f"{text}\n")
    sys.stdout.flush()


def _write(files: Sequence[_File], texts: Sequence[str]) -> None:
    for file, text in zip(files, texts, strict=True):
        if text == file.text or file.name == STDIN:
            continue
        try:
            with Path(file.name).open("w", encoding="utf-8", newline="") as opened:
                opened.write(text)
        except OSError as error:
            raise Unwritten(f"{file.name}: it can't be written: {error.strerror}") from None
        tell(f"{file.name}: written")
