"""Run the benchmarks: ``python -m tests.bench [PART ...] [--rounds N] [--json FILE]``."""

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

from tests.bench import burst, cold, cold_start, controller, endpoint, facts, lookups, policies, report
from tests.bench.figures import console
from tests.bench.stage import stage

ON_STAGE = {"burst": burst.main, "endpoint": endpoint.main, "cold": cold.main}
"""What is measured on one stage, in so many rounds."""
ALONE = {
    "cold-start": cold_start.main,
    "facts": facts.main,
    "controller": controller.main,
    "lookups": lookups.main,
    "policies": policies.main,
    "report": report.main,
}
"""What sets its own stage."""
PARTS = (*ON_STAGE, *ALONE)


def main() -> None:
    """Measure what was asked for, print tables, and write the figures where asked to."""
    options = _options()
    console.print(
        f"{os.cpu_count()} CPUs, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    )
    wanted = options.parts or PARTS
    figures: dict[str, Any] = {}
    if staged := [name for name in wanted if name in ON_STAGE]:
        with stage() as on:
            for name in staged:
                console.rule(name)
                figures[name] = ON_STAGE[name](on, options.rounds)
    for name in wanted:
        if name in ALONE:
            console.rule(name)
            figures[name] = ALONE[name]()
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
