"""Options that several commands have."""

from pathlib import Path
from typing import Annotated, Final

import typer

from rightarch.cli.exits import misused

SECONDS: Final = 30.0

CaFile = Annotated[
    Path | None,
    typer.Option(
        envvar="RIGHTARCH_REGISTRY_CA_FILE",
        exists=True,
        dir_okay=False,
        readable=True,
        help="Further CAs to trust for registries, PEM.",
    ),
]
RegistriesConfig = Annotated[
    Path | None,
    typer.Option(
        envvar="RIGHTARCH_REGISTRIES_CONFIG",
        exists=True,
        dir_okay=False,
        readable=True,
        help="A file that configures registries, as the webhook has it: mirrors, certificates, token services; YAML.",
    ),
]
RegistryHostsDir = Annotated[
    Path | None,
    typer.Option(
        envvar="RIGHTARCH_REGISTRY_HOSTS_DIR",
        exists=True,
        file_okay=False,
        readable=True,
        help="A folder of containerd's hosts.toml files, as the nodes have it.",
    ),
]
TokenRealm = Annotated[
    list[str] | None,
    typer.Option(
        envvar="RIGHTARCH_TOKEN_REALM",
        metavar="REGISTRY=HOST",
        help="A registry's token service in another domain, which may see your credentials.",
    ),
]
Timeout = Annotated[
    float, typer.Option(envvar="RIGHTARCH_TIMEOUT", min=0.1, max=3600, help="Seconds to wait for one document.")
]
Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        envvar="RIGHTARCH_KUBECONFIG",
        exists=True,
        dir_okay=False,
        readable=True,
        help="A kubeconfig; else those of KUBECONFIG, else ~/.kube/config.",
    ),
]
Context = Annotated[
    str | None,
    typer.Option(
        envvar="RIGHTARCH_CONTEXT", metavar="NAME", help="The context of the kubeconfig; else its current one."
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", metavar="NAME", help="Of what names no namespace; else the context's."),
]
Manifests = Annotated[
    list[str] | None,
    typer.Option("--filename", "-f", metavar="FILE", help="Manifests, as kubectl apply takes them; - for stdin."),
]
PolicyFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--policy",
        metavar="FILE",
        exists=True,
        dir_okay=False,
        readable=True,
        help="Policies to try before they are applied: in place of those of the same name, beside the others.",
    ),
]


def realms(texts: list[str]) -> dict[str, frozenset[str]]:
    """What ``--token-realm`` says: for a registry's host, those of token services."""
    if not texts:
        return {}
    pairs = [text.partition("=") for text in texts]
    for registry, equals, host in pairs:
        if not (registry and equals and host):
            text = registry + equals + host
            misused(f"--token-realm: {text!r} is not REGISTRY=HOST, as in registry.example.com=gitlab.example.com")
    from rightarch.registry.configuration import realms as read  # noqa: PLC0415 - pydantic, which no other inspection needs

    try:
        return read((registry, host) for registry, _, host in pairs)
    except ValueError as error:
        misused(f"--token-realm: {error}")
