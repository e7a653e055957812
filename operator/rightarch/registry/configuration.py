"""Configuration: what an administrator says of registries, in a file; validated at the door."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

import httpx
import yaml
from pydantic import BaseModel, ConfigDict, Field, FilePath, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from rightarch.errors import SettingsError
from rightarch.reference import DOCKER_HUB, DOCKER_HUB_ALIAS, contacted
from rightarch.registry.endpoint import Endpoint, Way
from rightarch.registry.hosts import DEFAULT, located
from rightarch.registry.location import bare

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_HOST: Final = r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(:[0-9]{1,5})?$"
_ANY: Final = "*"

Host = Annotated[str, Field(pattern=_HOST)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, hide_input_in_errors=True)


class ClientCertificate(_Model):
    """What a host is shown of who asks: files in PEM."""

    cert_file: FilePath
    key_file: FilePath | None = None


class _Connected(_Model):
    ca_file: FilePath | None = None
    client_certificate: ClientCertificate | None = None
    skip_verify: bool = False

    def way(self, *, plain: bool) -> Way | None:
        """How the host is connected to; None as any other is."""
        ca = (self.ca_file,) if self.ca_file else ()
        shown = self.client_certificate
        client = ((Path(shown.cert_file), Path(shown.key_file) if shown.key_file else None),) if shown else ()
        way = Way(tuple(map(Path, ca)), client, self.skip_verify, plain)
        return None if way == Way() else way


class Mirror(_Connected):
    """A host that has the same images."""

    url: str
    capabilities: tuple[Literal["pull", "resolve"], ...] = ("pull", "resolve")
    override_path: bool = False
    send_credentials: bool = False
    headers: dict[str, str] = Field(default_factory=dict)

    def endpoint(self) -> Endpoint:
        """The same as an endpoint.

        Raises:
            ValueError: its URL is none.
        """
        url = located(self.url, override=self.override_path)
        pull, resolve = ("pull" in self.capabilities, "resolve" in self.capabilities)
        way = self.way(plain=url.scheme == "http")
        return Endpoint(url, resolve, pull, way, tuple(self.headers.items()), self.send_credentials)


class ConfiguredRegistry(_Connected):
    """What is said of one registry, or of all others (``*``)."""

    host: Annotated[str, Field(pattern=rf"{_HOST}|^\*$")]
    plain_http: Annotated[bool, Field(alias="plainHTTP")] = False
    token_realms: tuple[Host, ...] = ()
    mirrors: tuple[Mirror, ...] = ()

    @model_validator(mode="after")
    def _names_whom_images_name(self) -> Self:
        if self.host == DOCKER_HUB_ALIAS:
            raise ValueError(f"{self.host} is {DOCKER_HUB}: write that")
        if self.host == _ANY and self.token_realms:
            raise ValueError('tokenRealms of "*" would see the passwords of all registries: name the registry')
        return self

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Its mirrors, and last the registry itself: the one without a URL."""
        itself = Endpoint(httpx.URL(), way=self.way(plain=self.plain_http))
        return (*(mirror.endpoint() for mirror in self.mirrors), itself)


class Configuration(_Model):
    """All that the file says."""

    registries: tuple[ConfiguredRegistry, ...] = ()

    @model_validator(mode="after")
    def _name_each_once(self) -> Self:
        twice = [host for host, count in Counter(each.host for each in self.registries).items() if count > 1]
        if twice:
            raise ValueError(f"registries: {', '.join(twice)}: each is configured once, with all that holds for it")
        return self

    @classmethod
    def load(cls, path: Path) -> "Configuration":
        """Read the file, YAML or JSON.

        Raises:
            SettingsError: a line for each mistake: where it is, and what is wrong.
        """
        try:
            read = cls.model_validate(yaml.safe_load(path.read_bytes()) or {})
            read.endpoints()
            read.realms()
        except ValidationError as error:
            raise SettingsError("\n".join(_problems(path, error))) from None
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise SettingsError(f"{path}: {' '.join(str(error).split())}") from None
        except RecursionError:
            raise SettingsError(f"{path}: it is nested too deeply") from None
        return read

    def endpoints(self) -> dict[str, tuple[Endpoint, ...]]:
        """The endpoints by registry."""
        return {DEFAULT if each.host == _ANY else each.host: each.endpoints() for each in self.registries}

    def realms(self) -> dict[str, frozenset[str]]:
        """Hosts of token services that may see a registry's credentials, by the registry's host."""
        return realms((each.host, realm) for each in self.registries for realm in each.token_realms)


def realms(named: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """Pairs of a registry, as references name it, and a token service, by the hosts to which credentials go.

    Ports are left out: who has a host has its ports.

    Raises:
        ValueError: one of them is no host.
    """
    found: dict[str, frozenset[str]] = {}
    for registry, service in named:
        host = bare(contacted(registry))
        found[host] = found.get(host, frozenset()) | {bare(service)}
    return found


def _problems(path: Path, error: ValidationError) -> list[str]:
    return [
        ": ".join(filter(None, (str(path), ".".join(map(str, each["loc"])), _said(each)))) for each in error.errors()
    ]


_SAID: Final = {
    "extra_forbidden": "there is no such setting",
    "model_type": "this must be a table of settings",
    "string_pattern_mismatch": "this is no host, as images name it: in lower case, such as registry.example:5000",
}
"""What people are told in place of what pydantic says."""


def _said(problem: "ErrorDetails") -> str:
    return _SAID.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
