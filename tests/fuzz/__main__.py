"""Fuzz parsers: ``python -m tests.fuzz [TARGET ...] [--runs N] [--seed N]``."""

import argparse
import secrets

from tests.fuzz import TARGETS, fuzz


def main() -> None:
    """Fuzz what was asked for, and print what became of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Give parsers nonsense.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (default: all)")
    parser.add_argument("--runs", type=int, default=1_000_000, help="inputs for each target (default: 1 000 000)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="makes the same inputs again")
    options = parser.parse_args()
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    print(f"seed {options.seed}")
    for name in options.targets or TARGETS:
        done = fuzz(name, options.runs, options.seed)
        print(f"{name}: {done.runs} inputs, {done.accepted} of them sense, {done.seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
