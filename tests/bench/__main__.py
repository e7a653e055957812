"""Run the benchmarks: ``python -m tests.bench [--rounds N] [--json FILE]``."""

import argparse
import json
import os
import platform
from pathlib import Path

from tests.bench import burst
from tests.bench.figures import console
from tests.bench.stage import stage


def main() -> None:
    """Measure all there is, print tables, and write the figures where asked to."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure, side by side in one run.")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds of each mode (default: 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the medians here as well")
    options = parser.parse_args()
    console.print(
        f"{os.cpu_count()} CPUs, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    )
    with stage() as on:
        figures = {"burst": burst.main(on, options.rounds)}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
