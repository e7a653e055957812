"""The commands ``rightarch image …``: what registries tell of images."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from rightarch.cli.exits import fail, leave, misused
from rightarch.cli.options import SECONDS, CaFile, RegistriesConfig, RegistryHostsDir, Timeout, TokenRealm, realms
from rightarch.errors import InvalidReference, SettingsError
from rightarch.platforms import Platform
from rightarch.reference import Reference

INSPECT_EPILOG: Final = """[bold]Examples[/bold]

rightarch image inspect nginx:1.27 ghcr.io/team/app@sha256:…

rightarch image inspect nginx --require linux/amd64,linux/arm64 && echo runs on both

rightarch image inspect nginx -o json | jq -r '.images\\[].platforms\\[].platform'

rightarch image inspect nginx --raw | sha256sum

[bold]Exit status[/bold]

0: fine. 1: an error, nothing is known. 2: wrong usage. 3: an image is missing, or lacks a platform of --require.
"""

app = typer.Typer(
    no_args_is_help=True,
    help="Ask registries about images.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Output(StrEnum):
    """The forms of output."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


@app.command(epilog=INSPECT_EPILOG, no_args_is_help=True)
def inspect(  # noqa: PLR0913, PLR0917 - one parameter an option; typer passes them by name
    references: Annotated[
        list[str], typer.Argument(metavar="REF...", help="Images, by tag or digest.", show_default=False)
    ],
    output: Annotated[
        Output, typer.Option("--output", "-o", envvar="RIGHTARCH_OUTPUT", help="For people, or for programs.")
    ] = Output.TABLE,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="All descriptors with their manifests, as JSON (or -o yaml)."),
    ] = False,
    raw: Annotated[bool, typer.Option("--raw", help="The very bytes of the document of one image.")] = False,
    require: Annotated[
        list[str] | None,
        typer.Option(
            envvar="RIGHTARCH_REQUIRE",
            metavar="PLATFORM,…",
            help="Platforms that each image must have, as in linux/amd64,linux/arm64; otherwise exit status 3.",
        ),
    ] = None,
    registry_ca_file: CaFile = None,
    registries_config: RegistriesConfig = None,
    registry_hosts_dir: RegistryHostsDir = None,
    token_realm: TokenRealm = None,
    timeout: Timeout = SECONDS,
) -> None:
    """Show what images are made of: digest, media type, and a line for each platform with its compressed size.

    It uses the credentials of docker login and podman login. Registries on this machine may speak plain HTTP.
    """
    if raw and (len(references) > 1 or verbose or require or output is not Output.TABLE):
        misused("--raw is for one image, without --verbose, --require and --output: it prints bytes and nothing else")
    parsed, required, token_realms = _references(references), _platforms(require or []), realms(token_realm or [])
    from rightarch.cli import inspecting  # noqa: PLC0415 - the registry client, which no help and completion needs
    from rightarch.cli.registries import Asking  # noqa: PLC0415 - likewise

    wanted = inspecting.Wanted(
        references=parsed,
        output=output.value,
        verbose=verbose,
        raw=raw,
        required=required,
        asking=Asking(
            ca_file=registry_ca_file,
            configuration=registries_config,
            hosts_folder=registry_hosts_dir,
            token_realms=token_realms,
            timeout=timeout,
        ),
    )
    leave(lambda: inspecting.run(wanted))


def _references(texts: list[str]) -> tuple[Reference, ...]:
    """The references; all that are wrong are pointed at, and then nothing is asked for."""
    parsed, wrong = [], []
    for text in texts:
        try:
            parsed.append(Reference.parse(text))
        except InvalidReference as error:
            wrong.append(error)
    for each in wrong:
        name = "".join(character if character.isprintable() else "?" for character in each.text)
        caret = f"{' ' * each.position}^ {each.problem}"
        typer.echo(f"rightarch: this is no image reference:\n  {name}\n  {caret}", err=True)
    if wrong:
        misused(f"{len(wrong)} of {len(texts)} references can't be right; no registry was asked")
    return tuple(parsed)


def _platforms(texts: list[str]) -> tuple[Platform, ...]:
    try:
        return tuple(dict.fromkeys(Platform.parse(part.strip()) for text in texts for part in text.split(",")))
    except ValueError as error:
        fail(SettingsError(f"--require: {error}"))
