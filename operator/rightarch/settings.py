"""Settings of the processes, validated at the door: a process with a wrong setting does not start."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    DirectoryPath,
    Field,
    FilePath,
    IPvAnyAddress,
    ValidationError,
    model_validator,
)

from rightarch.errors import SettingsError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

ENVIRONMENT_PREFIX: Final = "RIGHTARCH_"

_DNS_LABEL: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_DNS_SUBDOMAIN: Final = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"

_MEANT: Final = {
    _DNS_LABEL: "no such name: it has up to 63 lower-case letters, digits and '-', the ends no '-'",
    _DNS_SUBDOMAIN: "no such name: it has up to 253 lower-case letters, digits, '-' and '.', the ends no '-' or '.'",
}
"""What people are told in place of a pattern."""

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]
Mode = Literal["Enforce", "Audit", "Off"]
CertificateMode = Literal["self-managed", "external"]


IdentityScope = Literal["cluster", "namespace"]

EVERYWHERE: Final = "*"
"""Stands for all namespaces where namespaces are named."""


def _named_namespaces(value: object) -> object:
    """The namespaces of a list that is separated by commas; ``none`` stands alone, for none of them."""
    if not isinstance(value, str):
        return value
    return frozenset() if value.strip() == "none" else frozenset(name.strip() for name in value.split(","))


Namespaces = Annotated[
    frozenset[Annotated[str, Field(pattern=rf"{_DNS_LABEL}|^\*$")]], BeforeValidator(_named_namespaces)
]

Cloud = Literal["ecr", "gar", "acr"]


def _clouds(value: object) -> object:
    """The clouds of a list that is separated by commas; ``none`` stands alone, for none of them."""
    if not isinstance(value, str):
        return value
    return () if value.strip() == "none" else tuple(name.strip() for name in value.split(","))


class ProcessSettings(BaseModel):
    """What every process is told; each field is an option and an environment variable of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    address: IPvAnyAddress = Field(
        default="0.0.0.0",  # noqa: S104 - the API server and the kubelet come from outside the pod
        validate_default=True,
        description="the IP address to listen on; :: for IPv6",
    )
    health_port: int = Field(
        default=8080, ge=1, le=65535, description="the port of /healthz, /readyz and /metrics, HTTP"
    )
    kubeconfig: FilePath | None = Field(default=None, description="a kubeconfig; without it, the pod's own account")
    registry_ca_file: FilePath | None = Field(
        default=None, description="a file with further CAs to trust for registries, in PEM"
    )
    registries_config: FilePath | None = Field(
        default=None, description="a file that configures registries: mirrors, certificates, token services; YAML"
    )
    registry_hosts_dir: DirectoryPath | None = Field(
        default=None, description="a folder of containerd's hosts.toml files, as the nodes have it"
    )
    allow_loopback_registries: bool = Field(
        default=False, description="whether registries on loopback may be asked, for demos and tests"
    )
    cloud_credentials: Annotated[frozenset[Cloud], BeforeValidator(_clouds)] = Field(
        default=frozenset({"ecr", "gar", "acr"}),
        description="the clouds whose registries are asked with this process's identity there, separated by commas:"
        " ecr, gar, acr; or none",
    )
    facts_day: float = Field(
        default=86400.0,
        ge=1,
        description="seconds in which the last use of an image is written once, at most; shorter for benchmarks",
    )
    log_level: LogLevel = Field(
        default="info", description="the least severe records that are written: debug, info, warning or error"
    )
    log_format: LogFormat = Field(
        default="text", description="how records are written: text, as key=value lines, or json, an object a line"
    )
    pull_secrets: Namespaces = Field(
        default=frozenset({EVERYWHERE}),
        validate_default=True,
        description="the namespaces whose pull secrets are read, separated by commas; * for all, none for none",
    )
    image_credential_provider_config: Path | None = Field(
        default=None, description="a file or folder that configures credential providers, as the kubelet's does"
    )
    image_credential_provider_bin_dir: DirectoryPath | None = Field(
        default=None, description="the folder with the programs of credential providers"
    )
    default_mode: Mode = Field(
        default="Enforce", description="what is done to pods that no policy is for: Enforce, Audit or Off"
    )
    identity_scope: IdentityScope = Field(
        default="cluster",
        description="cluster, where what Rightarch's own identity may read in a registry is known to all pods, as what "
        "a node's identity may; or namespace, where it is found for each namespace apart",
    )

    @model_validator(mode="after")
    def _providers_are_whole(self) -> Self:
        if (self.image_credential_provider_config is None) != (self.image_credential_provider_bin_dir is None):
            ways = _names("image_credential_provider_config", "image_credential_provider_bin_dir")
            raise ValueError(f"{ways}: they go together, the configuration of credential providers and their programs")
        return self

    @classmethod
    def load(cls, values: Mapping[str, object]) -> Self:
        """Validate raw values, as the command line or the environment gave them.

        Raises:
            SettingsError: one line for each wrong setting: its option and variable, what is wrong, what it should be.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SettingsError("\n".join(_problems(cls, error))) from None


class WebhookSettings(ProcessSettings):
    """What ``rightarch webhook`` is told."""

    cert_file: FilePath | None = Field(
        default=None, description="a file with the TLS certificate chain, in PEM; read again when it changes"
    )
    key_file: FilePath | None = Field(default=None, description="a file with the certificate's private key, in PEM")
    certificate_secret: str | None = Field(
        default=None,
        pattern=_DNS_SUBDOMAIN,
        description="in place of both files, the name of a Secret with tls.crt and tls.key, which is watched",
    )
    namespace: str | None = Field(
        default=None, pattern=_DNS_LABEL, description="the namespace in which Rightarch is installed"
    )
    lease_name: str = Field(
        default="rightarch-controller",
        pattern=_DNS_SUBDOMAIN,
        description="the name of the controller's Lease in that namespace: while nobody renews it, no pod is held",
    )
    port: int = Field(default=8443, ge=1, le=65535, description="the port of the admission endpoint, HTTPS")
    lookup_budget: float = Field(
        default=1.0, gt=0, le=3, description="seconds that an admission waits for images not known yet, at most 3"
    )
    drain_seconds: float = Field(
        default=5.0, ge=0, le=60, description="seconds between SIGTERM and the end of listening"
    )

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if self.port == self.health_port:
            raise ValueError(f"--port and --health-port are both {self.port}; give each its own")
        return self

    @model_validator(mode="after")
    def _one_certificate(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("--cert-file and --key-file go together: a certificate chain, and its own key")
        if (self.cert_file is None) == (self.certificate_secret is None):
            given = "nothing is given" if self.cert_file is None else "two ways are given"
            files, secret = (_names(*way) for way in (("cert_file", "key_file"), ("certificate_secret", "namespace")))
            ways = f"either {files}, or {secret}"
            raise ValueError(f"the certificate: {given}; give {ways}")
        if self.certificate_secret is not None and self.namespace is None:
            raise ValueError("--certificate-secret is given without --namespace, which is where the Secret is")
        return self


class ControllerSettings(ProcessSettings):
    """What ``rightarch controller`` is told."""

    namespace: str = Field(
        pattern=_DNS_LABEL, description="the namespace of the Lease: the one in which Rightarch is installed"
    )
    lease_name: str = Field(
        default="rightarch-controller", pattern=_DNS_SUBDOMAIN, description="the name of the Lease of the one leader"
    )
    facts_retention: int = Field(
        default=14, ge=1, le=3650, description="days for which an image that nobody uses is remembered"
    )
    recheck_interval: float = Field(
        default=12 * 3600.0,
        ge=1,
        description="seconds between two looks whether credentials may still read what they did",
    )
    list_interval: float = Field(
        default=300.0, ge=1, le=86400, description="seconds between two full lists of workloads and unseen pods"
    )
    certificates: CertificateMode = Field(
        default="external",
        description="who keeps the webhook's certificate: self-managed, this controller; external, somebody else",
    )
    certificate_secret: str | None = Field(
        default=None, pattern=_DNS_SUBDOMAIN, description="the name of the Secret that the webhook serves from"
    )
    certificate_lifetime: float = Field(
        default=90 * 86400.0,
        ge=10,
        le=3650 * 86400,
        description="seconds that a certificate is valid, 90 days unless given; it is replaced after two thirds",
    )
    webhook_configuration: str | None = Field(
        default=None,
        pattern=_DNS_SUBDOMAIN,
        description="the name of the MutatingWebhookConfiguration whose webhooks must trust the certificate",
    )
    service_name: str | None = Field(default=None, pattern=_DNS_LABEL, description="the name of the webhook's Service")
    webhook_host: IPvAnyAddress | Annotated[str, Field(pattern=_DNS_SUBDOMAIN)] | None = Field(
        default=None,
        description="the host of the webhook's URL, if it has one: a DNS name or an IP address, without a port",
    )

    @model_validator(mode="after")
    def _certificate_is_named(self) -> Self:
        named = {
            "--certificate-secret": self.certificate_secret,
            "--webhook-configuration": self.webhook_configuration,
            "--service-name or --webhook-host": self.service_name or self.webhook_host,
        }
        if self.certificates == "self-managed" and not all(named.values()):
            lacking = ", ".join(name for name, value in named.items() if not value)
            raise ValueError(f"--certificates self-managed also needs {lacking}")
        return self


def option(name: str) -> str:
    """The command line's spelling of a setting."""
    return f"--{name.replace('_', '-')}"


def variable(name: str) -> str:
    """The environment's spelling of a setting."""
    return f"{ENVIRONMENT_PREFIX}{name.upper()}"


def _names(*names: str) -> str:
    return " with ".join(f"{option(name)} ({variable(name)})" for name in names)


def _problems(model: type[BaseModel], error: ValidationError) -> list[str]:
    """One a setting: where it may be of several forms, what the last of them says."""
    last = {item["loc"][:1] or (index,): item for index, item in enumerate(error.errors())}
    return [_problem(model, item) for item in last.values()]


def _problem(model: type[BaseModel], item: "ErrorDetails") -> str:
    message = item["msg"]
    if not item["loc"]:  # the model's own validators name the options themselves
        return message.removeprefix("Value error, ")
    name = str(item["loc"][0])
    field = model.model_fields.get(name)
    if item["type"] == "string_pattern_mismatch":
        message = _MEANT.get(item["ctx"]["pattern"], message)
    said = f"{message[:1].lower()}{message[1:]}"
    if item["type"] != "missing":
        said = f"{str(item['input'])!r}: {said}"
    wanted = f"; it is {field.description}" if field else "; there is no such setting"
    return f"{option(name)} ({variable(name)}): {said}{wanted}"
