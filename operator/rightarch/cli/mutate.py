"""The command ``rightarch mutate``: manifests as Rightarch would have them, for where no webhook can run."""

from typing import Annotated, Final

import typer

from rightarch.cli import options
from rightarch.cli.exits import leave, misused

EPILOG: Final = """[bold]Examples[/bold]

helm template shop charts/shop | rightarch mutate -f - | kubectl apply -f -

rightarch mutate -f deploy/ --in-place --policy policies.yaml

[bold]Exit status[/bold]

0: fine. 1: an error, or an image that could not be looked up: nothing was written in place. 2: wrong usage.
3: a workload that Rightarch warns of, such as NoCommonArchitecture, or refuses; all others are written.
"""


def mutate(  # noqa: PLR0913, PLR0917 - one parameter an option; typer passes them by name
    files: options.Manifests = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Write the files themselves.")] = False,
    policy: options.PolicyFiles = None,
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster", help="Ask the cluster too: for its policies, its nodes, and what it knows of images."
        ),
    ] = False,
    namespace: options.Namespace = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    registry_ca_file: options.CaFile = None,
    token_realm: options.TokenRealm = None,
    timeout: options.Timeout = options.SECONDS,
) -> None:
    """Write the node affinity of pods and of all templates into manifests, and leave every other line as it is.

    What is written is remembered in an annotation, so that a later run with other images replaces it.
    """
    if not files:
        misused("give manifests by -f")
    if in_place and "-" in files:
        misused("--in-place is for files, and -f - is the standard input")
    from rightarch.cli import mutating  # noqa: PLC0415 - all of the engine, which no help and completion needs
    from rightarch.cli.explaining import Wanted  # noqa: PLC0415 - likewise
    from rightarch.cli.registries import Asking  # noqa: PLC0415 - likewise

    wanted = Wanted(
        files=tuple(files),
        namespace=namespace,
        policies=tuple(policy or ()),
        registry_only=not cluster,
        kubeconfig=kubeconfig,
        context=context,
        asking=Asking(ca_file=registry_ca_file, token_realms=options.realms(token_realm or []), timeout=timeout),
        templates=True,
    )
    leave(lambda: mutating.run(wanted, in_place=in_place))
