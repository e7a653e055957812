"""The command line: ``rightarch``, also installed as ``kubectl-rightarch``. One module a command or group.

Exit statuses: 0 all is well, 1 an error, 2 wrong usage or settings, 3 findings of a command that checks. What a
command needs is imported when it runs.
"""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from rightarch.cli import completion, explain, image, mutate, policy, release
from rightarch.cli import report as reports

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Every option is also an environment variable: --lookup-budget is RIGHTARCH_LOOKUP_BUDGET.",
)


def main() -> None:
    """Run the command that the arguments name, and exit with its status."""
    from rightarch.cli.processes import register  # noqa: PLC0415 - with the settings, which import pydantic

    register(app)
    app.command(epilog=completion.EPILOG)(completion.completion)
    kubectl_plugin = Path(sys.argv[0]).name == "kubectl-rightarch"
    app(prog_name="kubectl rightarch" if kubectl_plugin else "rightarch")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rightarch {version('rightarch')}")
        raise typer.Exit


@app.callback()
def rightarch(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Pods land only on nodes whose architecture all of their images support."""


app.add_typer(image.app, name="image")
app.command(epilog=release.EPILOG)(release.release)
app.command(epilog=explain.EPILOG)(explain.explain)
app.command(epilog=mutate.EPILOG)(mutate.mutate)
app.add_typer(policy.app, name="policy")
app.command(epilog=reports.EPILOG)(reports.report)
