"""The command ``rightarch explain``: what Rightarch decides about workloads, and why."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from rightarch.cli import options
from rightarch.cli.exits import leave, misused

EPILOG: Final = """[bold]Examples[/bold]

helm template shop charts/shop | rightarch explain -f - --registry-only

rightarch explain deployment/web -n shop

rightarch explain -f deploy/ -f more.yaml --policy prefer-arm64.yaml

rightarch explain billing-7c9d6f-x2x8q -n shop -o json | jq -r '.workloads\\[].decision.reason'

[bold]Exit status[/bold]

0: every workload runs where its images do. 1: an error, or an image that could not be looked up. 2: wrong usage.
3: a workload that Rightarch warns of, such as NoCommonArchitecture, or refuses.
"""


class Output(StrEnum):
    """The forms of output."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    PATCH = "patch"


def explain(  # noqa: PLR0913, PLR0917 - one parameter an option; typer passes them by name
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[POD|KIND/NAME]...", help="Workloads of the cluster.", show_default=False),
    ] = None,
    files: options.Manifests = None,
    namespace: options.Namespace = None,
    output: Annotated[
        Output, typer.Option("--output", "-o", envvar="RIGHTARCH_OUTPUT", help="For people, or for programs.")
    ] = Output.TABLE,
    policy: options.PolicyFiles = None,
    registry_only: Annotated[
        bool,
        typer.Option(
            "--registry-only", help="Ask registries alone, and no cluster: no policies but those of --policy."
        ),
    ] = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    registry_ca_file: options.CaFile = None,
    token_realm: options.TokenRealm = None,
    timeout: options.Timeout = options.SECONDS,
) -> None:
    """Explain what Rightarch decides: policy, images with their platforms, constraint, patch, nodes that fit.

    Nothing is changed. Images of which the cluster knows are not asked for again; others are looked up with the
    credentials of docker login and podman login.
    """
    if not names and not files:
        misused("name workloads of the cluster, such as deployment/web, or give manifests by -f")
    if names and registry_only:
        misused("--registry-only is for manifests (-f): workloads are read from a cluster")
    from rightarch.cli import explaining  # noqa: PLC0415 - all of the engine, which no help and completion needs
    from rightarch.cli.registries import Asking  # noqa: PLC0415 - likewise

    wanted = explaining.Wanted(
        names=tuple(names or ()),
        files=tuple(files or ()),
        namespace=namespace,
        output=output.value,
        policies=tuple(policy or ()),
        registry_only=registry_only,
        kubeconfig=kubeconfig,
        context=context,
        asking=Asking(ca_file=registry_ca_file, token_realms=options.realms(token_realm or []), timeout=timeout),
    )
    leave(lambda: explaining.run(wanted))
