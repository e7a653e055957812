"""`python -m tests.kind`: the demo's workloads on a cluster of kind, with Rightarch installed by its chart.

The cluster stays up; `--down` removes it. Exit status: 0 if all came out as it must, 1 if not, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from rich.console import Console

from tests.controlplane import ApiError, BuildError, KubectlError
from tests.demo.judge import Row, problems
from tests.demo.play import play
from tests.demo.progress import Progress
from tests.demo.run import show
from tests.demo.scene import WITH, WITHOUT
from tests.support.helm import HelmError

from . import docker
from .stage import KindStage

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path(__file__).parents[2] / ".kind"
FAILURES = (docker.ToolError, BuildError, ApiError, KubectlError, HelmError, TimeoutError, httpx.HTTPError, OSError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the cluster and check what comes of the workloads, or remove it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.kind", description="Rightarch on a cluster of kind.")
    parser.add_argument("--down", action="store_true", help="remove the cluster and what runs beside it")
    options = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 120)
    try:
        docker.check()
        return down() if options.down else up(console)
    except FAILURES as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted. `make kind-down` removes what there is.", highlight=False)
        return 130


def up(console: Console) -> int:
    """Make everything, play the scenario, and say whether all came out as it must."""
    progress = Progress(console)
    stage = KindStage(FOLDER, progress)
    stage.start()
    stage.install()
    with progress.step("Creating the workloads in a namespace that Rightarch leaves alone") as tell:
        without = play(stage, WITHOUT, tell)
    with progress.step("Creating the same workloads with Rightarch") as tell:
        with_ = play(stage, WITH, tell)
    rows = [Row(*pair) for pair in zip(without, with_, strict=True)]
    wrong = problems(rows)
    show(rows, wrong, console)
    lines = (f"export KUBECONFIG={stage.kubeconfig}", "make kind-down   # when you have seen enough")
    console.print(*lines, sep="\n", markup=False, highlight=False, soft_wrap=True)
    return 1 if wrong else 0


def down() -> int:
    """Remove everything."""
    docker.delete_cluster()
    shutil.rmtree(FOLDER, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
