"""The command ``rightarch release``: scheduling gates of ours, ended by hand."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from rightarch.cli.exits import leave, misused
from rightarch.cli.options import Context, Kubeconfig

EPILOG: Final = """[bold]Examples[/bold]

rightarch release web-7d4b9-x2x5k -n shop

rightarch release --all -n shop

rightarch release --all

[bold]Exit status[/bold]

0: every pod that was asked for is released, or was not held. 1: a pod could not be released, or there is none of that
name, or the API server is not in reach. 2: wrong usage.
"""


class Output(StrEnum):
    """The forms of output."""

    TABLE = "table"
    JSON = "json"


def release(  # noqa: PLR0913, PLR0917 - one parameter an option; typer passes them by name
    pods: Annotated[
        list[str] | None, typer.Argument(metavar="[POD...]", help="Pods of the namespace.", show_default=False)
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All pods that are held, of the namespace if one is named, or of all.")
    ] = False,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", metavar="NAME", help="The namespace; else the context's.")
    ] = None,
    unregister: Annotated[
        str | None,
        typer.Option(
            envvar="RIGHTARCH_UNREGISTER",
            metavar="NAME",
            help="With --all: first delete this MutatingWebhookConfiguration, and go on until no pod is held that was "
            "admitted before that was known everywhere. So nothing is left behind when Rightarch is removed.",
        ),
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="For people, or for programs.")] = Output.TABLE,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
) -> None:
    """End the scheduling gate of pods that wait for their images, at once: they are scheduled as they are.

    Other gates stay, and so does what the pods require of their nodes. Without a kubeconfig, in a pod, its account is
    used.
    """
    if every == bool(pods):
        misused("name pods, or give --all; not both")
    if unregister is not None and (not every or namespace is not None):
        misused("--unregister goes with --all, for all namespaces")
    from rightarch.cli import releasing  # noqa: PLC0415 - the client, which no help and completion needs

    asked = releasing.Asked(
        names=tuple(dict.fromkeys(pods or ())),
        namespace=namespace,
        unregister=unregister,
        output=output.value,
        kubeconfig=kubeconfig,
        context=context,
    )
    leave(lambda: releasing.run(asked))
