"""The command ``rightarch controller``."""

from pathlib import Path
from typing import Annotated, Final

import typer

from rightarch.cli.exits import fail
from rightarch.errors import RightarchError
from rightarch.logs import configure

EPILOG: Final = "Example: rightarch controller --namespace rightarch --kubeconfig ~/.kube/config"


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
    facts_day: Annotated[
        float | None,
        typer.Option(
            envvar="RIGHTARCH_FACTS_DAY",
            help="Seconds in which the last use of an image is written once; shorter for benchmarks.",
            show_default="86400",
        ),
    ] = None,
    facts_retention: Annotated[
        int | None,
        typer.Option(
            envvar="RIGHTARCH_FACTS_RETENTION",
            help="Days for which an image that nobody uses is remembered.",
            show_default="14",
        ),
    ] = None,
    recheck_interval: Annotated[
        float | None,
        typer.Option(
            envvar="RIGHTARCH_RECHECK_INTERVAL",
            help="Seconds between two looks whether credentials may still read what they did.",
            show_default="12 hours",
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
    registries_config: Annotated[
        Path | None,
        typer.Option(
            envvar="RIGHTARCH_REGISTRIES_CONFIG",
            help="Configuration of registries, YAML or JSON: mirrors, certificates, token services.",
        ),
    ] = None,
    registry_hosts_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="RIGHTARCH_REGISTRY_HOSTS_DIR", help="Folder of containerd's hosts.toml files, as the nodes have it."
        ),
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
    pull_secrets: Annotated[
        str | None,
        typer.Option(
            envvar="RIGHTARCH_PULL_SECRETS",
            help="Namespaces whose pull secrets are read when pods name them, A,B,…; * for all, none for none.",
            show_default="*",
        ),
    ] = None,
    image_credential_provider_config: Annotated[
        Path | None,
        typer.Option(
            envvar="RIGHTARCH_IMAGE_CREDENTIAL_PROVIDER_CONFIG",
            help="File or folder that configures credential providers, as the kubelet's.",
        ),
    ] = None,
    image_credential_provider_bin_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="RIGHTARCH_IMAGE_CREDENTIAL_PROVIDER_BIN_DIR", help="Folder with their programs, as the kubelet's."
        ),
    ] = None,
    identity_scope: Annotated[
        str | None,
        typer.Option(
            envvar="RIGHTARCH_IDENTITY_SCOPE",
            help="Who knows what Rightarch's own identity may read: the cluster, or each namespace for itself.",
            show_default="cluster",
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
        fail(error)


def _control(given: dict[str, object]) -> None:
    from rightarch.settings import ControllerSettings  # noqa: PLC0415 - only this command needs it

    settings = ControllerSettings.load(given)
    configure(settings.log_level, settings.log_format)
    from rightarch.controller.process import run  # noqa: PLC0415 - kopf and the clients, which no other command pays

    run(settings)
