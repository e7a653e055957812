"""The command line: ``rightarch``, also installed as ``kubectl-rightarch``.

Exit statuses: 0 all is well, 1 an error, 2 wrong usage or settings. What a command needs is imported when it runs.
"""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from rightarch.errors import RightarchError, SettingsError
from rightarch.logs import configure

FAILURE: Final = 1
USAGE: Final = 2

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Every option is also an environment variable: --lookup-budget is RIGHTARCH_LOOKUP_BUDGET.",
)


def main() -> None:
    """Run the command that the arguments name, and exit with its status."""
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


@app.command(
    epilog="Example: rightarch webhook --cert-file tls.crt --key-file tls.key --kubeconfig ~/.kube/config. "
    "Either --cert-file with --key-file or --certificate-secret with --namespace must be given.",
)
def webhook(  # noqa: PLR0913, PLR0917 - one parameter an option; typer passes them by name
    cert_file: Annotated[
        Path | None,
        typer.Option(envvar="RIGHTARCH_CERT_FILE", help="TLS certificate chain, PEM; read again when it changes."),
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(envvar="RIGHTARCH_KEY_FILE", help="The certificate's private key, PEM.")
    ] = None,
    certificate_secret: Annotated[
        str | None,
        typer.Option(
            envvar="RIGHTARCH_CERTIFICATE_SECRET",
            help="In place of both files: a Secret with tls.crt and tls.key, which is watched.",
        ),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(envvar="RIGHTARCH_NAMESPACE", help="Namespace in which Rightarch is installed.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(envvar="RIGHTARCH_ADDRESS", help="IP address to listen on; :: for IPv6.", show_default="0.0.0.0"),  # noqa: S104
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(envvar="RIGHTARCH_PORT", help="Port of the admission endpoint, HTTPS.", show_default="8443"),
    ] = None,
    health_port: Annotated[
        int | None,
        typer.Option(
            envvar="RIGHTARCH_HEALTH_PORT", help="Port of /healthz, /readyz, /metrics, HTTP.", show_default="8080"
        ),
    ] = None,
    lookup_budget: Annotated[
        float | None,
        typer.Option(
            envvar="RIGHTARCH_LOOKUP_BUDGET",
            help="Seconds that an admission waits for images not known yet, at most 3.",
            show_default="1.0",
        ),
    ] = None,
    drain_seconds: Annotated[
        float | None,
        typer.Option(
            envvar="RIGHTARCH_DRAIN_SECONDS",
            help="Seconds between SIGTERM and the end of listening.",
            show_default="5.0",
        ),
    ] = None,
    facts_day: Annotated[
        float | None,
        typer.Option(
            envvar="RIGHTARCH_FACTS_DAY",
            help="Seconds in which the last use of an image is written once; shorter for benchmarks.",
            show_default="86400",
        ),
    ] = None,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(envvar="RIGHTARCH_KUBECONFIG", help="A kubeconfig.", show_default="the pod's own account"),
    ] = None,
    registry_ca_file: Annotated[
        Path | None,
        typer.Option(envvar="RIGHTARCH_REGISTRY_CA_FILE", help="Further CAs to trust for registries, PEM."),
    ] = None,
    allow_loopback_registries: Annotated[
        bool | None,
        typer.Option(
            "--allow-loopback-registries",
            envvar="RIGHTARCH_ALLOW_LOOPBACK_REGISTRIES",
            help="Ask registries on loopback too; for demos and tests.",
            show_default="False",
        ),
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(envvar="RIGHTARCH_LOG_LEVEL", help="debug, info, warning or error.", show_default="info"),
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(envvar="RIGHTARCH_LOG_FORMAT", help="text or json.", show_default="text")
    ] = None,
) -> None:
    """Serve the admission webhook: every new pod gets the node affinity that its images need."""
    given = {name: value for name, value in locals().items() if value is not None}
    try:
        _serve(given)
    except RightarchError as error:
        _fail(error)


@app.command(epilog="Example: rightarch controller --namespace rightarch --kubeconfig ~/.kube/config")
def controller(  # noqa: PLR0913, PLR0917 - one parameter an option; typer passes them by name
    namespace: Annotated[
        str, typer.Option(envvar="RIGHTARCH_NAMESPACE", help="Namespace in which Rightarch is installed.")
    ],
    lease_name: Annotated[
        str | None,
        typer.Option(
            envvar="RIGHTARCH_LEASE_NAME",
            help="The Lease of the one replica that works.",
            show_default="rightarch-controller",
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(envvar="RIGHTARCH_ADDRESS", help="IP address to listen on; :: for IPv6.", show_default="0.0.0.0"),  # noqa: S104
    ] = None,
    health_port: Annotated[
        int | None,
        typer.Option(
            envvar="RIGHTARCH_HEALTH_PORT", help="Port of /healthz, /readyz, /metrics, HTTP.", show_default="8080"
        ),
    ] = None,
    list_interval: Annotated[
        float | None,
        typer.Option(
            envvar="RIGHTARCH_LIST_INTERVAL",
            help="Seconds between two full lists of workloads and unseen pods.",
            show_default="300.0",
        ),
    ] = None,
    certificates: Annotated[
        str | None,
        typer.Option(
            envvar="RIGHTARCH_CERTIFICATES",
            help="self-managed: make and renew the webhook's certificate; external: leave it alone.",
            show_default="external",
        ),
    ] = None,
    certificate_secret: Annotated[
        str | None,
        typer.Option(envvar="RIGHTARCH_CERTIFICATE_SECRET", help="The Secret that the webhook serves from."),
    ] = None,
    certificate_lifetime: Annotated[
        float | None,
        typer.Option(
            envvar="RIGHTARCH_CERTIFICATE_LIFETIME",
            help="Seconds that a certificate is valid.",
            show_default="90 days",
        ),
    ] = None,
    webhook_configuration: Annotated[
        str | None,
        typer.Option(
            envvar="RIGHTARCH_WEBHOOK_CONFIGURATION",
            help="The MutatingWebhookConfiguration whose webhooks must trust the certificate.",
        ),
    ] = None,
    service_name: Annotated[
        str | None, typer.Option(envvar="RIGHTARCH_SERVICE_NAME", help="The Service of the webhook.")
    ] = None,
    webhook_host: Annotated[
        str | None,
        typer.Option(envvar="RIGHTARCH_WEBHOOK_HOST", help="Host of the webhook's URL, if it has one: name or IP."),
    ] = None,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(envvar="RIGHTARCH_KUBECONFIG", help="A kubeconfig.", show_default="the pod's own account"),
    ] = None,
    registry_ca_file: Annotated[
        Path | None,
        typer.Option(envvar="RIGHTARCH_REGISTRY_CA_FILE", help="Further CAs to trust for registries, PEM."),
    ] = None,
    allow_loopback_registries: Annotated[
        bool | None,
        typer.Option(
            "--allow-loopback-registries",
            envvar="RIGHTARCH_ALLOW_LOOPBACK_REGISTRIES",
            help="Ask registries on loopback too; for demos and tests.",
            show_default="False",
        ),
    ] = None,
    log_level: Annotated[
        str | None,
        typer.Option(envvar="RIGHTARCH_LOG_LEVEL", help="debug, info, warning or error.", show_default="info"),
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(envvar="RIGHTARCH_LOG_FORMAT", help="text or json.", show_default="text")
    ] = None,
) -> None:
    """Look images up before their pods come, and mend what admission could not know; one replica works at a time."""
    given = {name: value for name, value in locals().items() if value is not None}
    try:
        _control(given)
    except RightarchError as error:
        _fail(error)


def _serve(given: dict[str, object]) -> None:
    from rightarch.settings import WebhookSettings  # noqa: PLC0415 - only this command needs it

    settings = WebhookSettings.load(given)
    configure(settings.log_level, settings.log_format)
    from rightarch.webhook.server import run  # noqa: PLC0415 - a second and 50 MiB that no other command pays

    run(settings)


def _control(given: dict[str, object]) -> None:
    from rightarch.settings import ControllerSettings  # noqa: PLC0415 - only this command needs it

    settings = ControllerSettings.load(given)
    configure(settings.log_level, settings.log_format)
    from rightarch.controller.process import run  # noqa: PLC0415 - kopf and the clients, which no other command pays

    run(settings)


def _fail(error: RightarchError) -> NoReturn:
    """Say what is wrong, one line a problem, and exit."""
    for line in str(error).splitlines():
        typer.echo(f"rightarch: {line}", err=True)
    raise typer.Exit(USAGE if isinstance(error, SettingsError) else FAILURE)
