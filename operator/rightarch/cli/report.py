"""The command ``rightarch report``: how much of a cluster can run on an architecture, and what keeps the rest."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from rightarch.cli import options
from rightarch.cli.exits import leave, misused

EPILOG: Final = """[bold]Examples[/bold]

rightarch report

rightarch report --prices prices.csv --suggest-updates --output-file report.html

rightarch report -n shop -o json | jq '.fixFirst\\[0]'

helm template app ./chart | rightarch report -f - --fail-on blocked

[bold]Exit status[/bold]

0: fine. 1: an error, nothing is known. 2: wrong usage. 3: findings that --fail-on names.
"""

_ARCHITECTURE: Final = re.compile(r"[a-z0-9][a-z0-9_]{0,30}", re.ASCII)
_SPELT: Final = {"aarch64": "arm64", "x86_64": "amd64"}


class Output(StrEnum):
    """The forms of output."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    CSV = "csv"
    MARKDOWN = "markdown"
    HTML = "html"


class Sizes(StrEnum):
    """Of which images the sizes are looked up."""

    AUTO = "auto"
    ALL = "all"
    NONE = "none"


class Finding(StrEnum):
    """What may end the command with status 3."""

    BLOCKED = "blocked"
    UNKNOWN = "unknown"
    AT_RISK = "at-risk"


_BY_SUFFIX: Final = {
    ".json": Output.JSON,
    ".yaml": Output.YAML,
    ".yml": Output.YAML,
    ".csv": Output.CSV,
    ".md": Output.MARKDOWN,
    ".html": Output.HTML,
    ".htm": Output.HTML,
}


_Files = Annotated[
    list[str] | None,
    typer.Option(
        "--filename",
        "-f",
        metavar="FILE",
        help="Manifests, or folders of some, in the place of a cluster; - for standard input.",
    ),
]
_Namespaces = Annotated[
    list[str] | None,
    typer.Option("--namespace", "-n", metavar="NAME", help="A namespace; may be given several times."),
]
_AllNamespaces = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="All namespaces that you may read, as without -n.")
]
_Selector = Annotated[
    str,
    typer.Option("--selector", "-l", metavar="LABELS", help="Pods with these labels, such as app=web,tier!=cache."),
]
_WantedArchitecture = Annotated[
    str, typer.Option("--arch", envvar="RIGHTARCH_ARCH", metavar="NAME", help="The wanted architecture.")
]
_Form = Annotated[
    Output | None,
    typer.Option(
        "--output", "-o", envvar="RIGHTARCH_OUTPUT", help="The form; else that of --output-file's name, else table."
    ),
]
_OutputFile = Annotated[
    Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Where to write it; replaced as a whole.")
]
_FailOn = Annotated[
    list[str] | None,
    typer.Option(metavar="FINDING,…", help="blocked, unknown, at-risk: exit status 3 where a workload is."),
]
_SuggestUpdates = Annotated[
    bool, typer.Option("--suggest-updates", help="Look for newer tags that have the architecture.")
]
_OfSizes = Annotated[
    Sizes, typer.Option(help="Of which images to look up sizes; auto spares Docker Hub, which counts requests.")
]
_PriceFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        exists=True,
        dir_okay=False,
        readable=True,
        help="Prices, as CSV with the columns instance_type, architecture, vcpu, memory_gib, price_per_hour.",
    ),
]
_PriceLabel = Annotated[
    str | None, typer.Option(metavar="LABEL", help="A label of nodes that has their price for an hour.")
]
_Prometheus = Annotated[
    str | None, typer.Option(metavar="URL", help="A Prometheus that has Karpenter's metrics of prices.")
]


def report(  # noqa: PLR0913, PLR0917 - one parameter an option; typer passes them by name
    files: _Files = None,
    namespaces: _Namespaces = None,
    all_namespaces: _AllNamespaces = False,
    selector: _Selector = "",
    architecture: _WantedArchitecture = "arm64",
    output: _Form = None,
    output_file: _OutputFile = None,
    fail_on: _FailOn = None,
    suggest_updates: _SuggestUpdates = False,
    sizes: _OfSizes = Sizes.AUTO,
    prices: _PriceFile = None,
    price_label: _PriceLabel = None,
    prometheus: _Prometheus = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    registry_ca_file: options.CaFile = None,
    token_realm: options.TokenRealm = None,
    timeout: options.Timeout = options.SECONDS,
) -> None:
    """Report which workloads can run on an architecture, what keeps the others, and what that is worth.

    It needs a kubeconfig, and Rightarch need not be installed. Images are looked up with the credentials of docker
    login and podman login, and with the pods' pull secrets where you may read them. Nothing is changed.
    """
    elsewhere = (all_namespaces, selector, prices, price_label, prometheus, kubeconfig, context)
    _check_sources(bool(files), any(elsewhere), prices, price_label, prometheus)
    if all_namespaces and namespaces:
        misused("-A and -n contradict each other: give one of them")
    wanted_architecture = _architecture(architecture)
    findings = _findings(fail_on or [])
    realms = options.realms(token_realm or [])
    from rightarch.cli import reporting  # noqa: PLC0415 - the clients of registries and clusters, which no help needs

    wanted = reporting.Wanted(
        files=tuple(files or ()),
        namespaces=tuple(namespaces or ()),
        labels=selector,
        architecture=wanted_architecture,
        output=str(output or _BY_SUFFIX.get(output_file.suffix.lower() if output_file else "", Output.TABLE)),
        output_file=output_file,
        fail_on=findings,
        suggest_updates=suggest_updates,
        sizes=str(sizes),
        prices=prices,
        price_label=price_label,
        prometheus=prometheus,
        kubeconfig=kubeconfig,
        context=context,
        ca_file=registry_ca_file,
        token_realms=realms,
        timeout=timeout,
    )
    leave(lambda: reporting.run(wanted))


def _check_sources(files: bool, elsewhere: bool, *prices: object) -> None:
    """Refuse what only a cluster could tell where files are given, and more than one source of prices."""
    if files and elsewhere:
        misused(
            "-f is read without a cluster: "
            "leave out -A, -l, --prices, --price-label, --prometheus, --kubeconfig, --context"
        )
    if sum(each is not None for each in prices) > 1:
        misused("--prices, --price-label and --prometheus: give one of them, since sources are never mixed")


def _architecture(text: str) -> str:
    name = _SPELT.get(text.lower(), text.lower())
    if not _ARCHITECTURE.fullmatch(name):
        misused(f"--arch: {text!r} is no architecture of nodes, such as arm64 or amd64")
    return name


def _findings(texts: list[str]) -> frozenset[str]:
    names = {name.strip() for text in texts for name in text.split(",")}
    if unknown := sorted(names - {str(each) for each in Finding}):
        misused(f"--fail-on: {unknown[0]!r} is none of {', '.join(Finding)}")
    return frozenset(names)
