"""The command ``rightarch webhook``."""

from pathlib import Path
from typing import Annotated, Final

import typer

from rightarch.cli.exits import fail
from rightarch.errors import RightarchError
from rightarch.logs import configure

EPILOG: Final = (
    "Example: rightarch webhook --cert-file tls.crt --key-file tls.key --kubeconfig ~/.kube/config. "
    "Either --cert-file with --key-file or --certificate-secret with --namespace must be given."
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
    """Serve the admission webhook: every new pod gets the node affinity that its images need."""
    given = {name: value for name, value in locals().items() if value is not None}
    try:
        _serve(given)
    except RightarchError as error:
        fail(error)


def _serve(given: dict[str, object]) -> None:
    from rightarch.settings import WebhookSettings  # noqa: PLC0415 - only this command needs it

    settings = WebhookSettings.load(given)
    configure(settings.log_level, settings.log_format)
    from rightarch.webhook.server import run  # noqa: PLC0415 - a second and 50 MiB that no other command pays

    run(settings)
