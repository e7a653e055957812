"""Run the benchmarks: ``python -m tests.bench [PART ...] [--rounds N] [--json FILE]``."""

import argparse
import json
import os
import platform
from pathlib import Path

from tests.bench import burst, cold, endpoint
from tests.bench.figures import console
from tests.bench.stage import stage

PARTS = {"burst": burst.main, "endpoint": endpoint.main, "cold": cold.main}


def main() -> None:
    """Measure what was asked for, print tables, and write the figures where asked to."""
    options = _options()
    console.print(
        f"{os.cpu_count()} CPUs, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    )
    figures = {}
    with stage() as on:
        for name in options.parts or PARTS:
            console.rule(name)
            figures[name] = PARTS[name](on, options.rounds)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure, side by side in one run.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"what to measure: {', '.join(PARTS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds of each mode (default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the medians here as well")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return options


if __name__ == "__main__":
    main()
