"""The commands ``rightarch policy …``: what policies do."""

from pathlib import Path
from typing import Annotated, Final

import typer

from rightarch.cli.exits import leave
from rightarch.cli.options import PolicyFiles

TEST_EPILOG: Final = """[bold]Examples[/bold]

rightarch policy test tests/cases

rightarch policy test cases/ --policy policies.yaml

[bold]Exit status[/bold]

0: every case came out as it says. 1: an error. 2: wrong usage. 3: a case came out otherwise; the difference is shown.
"""

app = typer.Typer(
    no_args_is_help=True,
    help="Try policies.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _policy() -> None:
    """Try policies."""


@app.command("test", epilog=TEST_EPILOG, no_args_is_help=True)
def run_cases(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", exists=True, readable=True, help="A folder of cases, or one file."),
    ],
    policy: PolicyFiles = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name the cases that came out right, too.")] = False,
) -> None:
    """Run golden cases: pods, what is known of their images, and what must come of them. No cluster is asked.

    Policies stand in the cases themselves, or in the files of --policy, which hold for all of them.
    """
    from rightarch.cli import policy_testing  # noqa: PLC0415 - the engine, which no help and completion needs

    leave(lambda: policy_testing.run(folder, tuple(policy or ()), verbose=verbose))
