"""Credential providers: the kubelet's configuration of programs that give credentials for images. Pure, but for files.

Source: ``CredentialProviderConfig`` of ``kubelet.config.k8s.io``, and how the kubelet of Kubernetes 1.36 reads and
validates it (``pkg/credentialprovider/plugin/config.go``).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from rightarch.durations import seconds
from rightarch.errors import SettingsError
from rightarch.reference import Reference
from rightarch.registry.dockerconfig import is_pattern, matches

API_VERSION: Final = "credentialprovider.kubelet.k8s.io/v1"
"""Of requests to providers, and their responses."""
MAX_CONFIG_BYTES: Final = 1024 * 1024
_SUFFIXES: Final = frozenset({".json", ".yaml", ".yml"})


def _pattern(text: str) -> str:
    if not is_pattern(text):
        raise ValueError(f"{text!r} is no host with a port and path")
    return text


def _program(text: str) -> str:
    if text in {"", ".", ".."} or set("/ \0") & set(text):
        raise ValueError(f"{text!r} is no name of a program in a folder")
    return text


class _Model(BaseModel):
    """Strict, as the kubelet is: what is not known is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, hide_input_in_errors=True)


class Variable(_Model):
    """An environment variable of a provider."""

    name: Annotated[str, Field(pattern=r"^[^=\x00]+$")]
    value: str = ""


class Provider(_Model):
    """A program, and for which images it is asked.

    Attributes:
        name: of the program, in the folder of programs.
        match_images: patterns as keys of pull secrets are.
        default_cache_duration: seconds for which an answer holds that does not say it.
        args: of the program.
        env: variables that it gets beside those of this process.
    """

    name: Annotated[str, AfterValidator(_program)]
    match_images: Annotated[tuple[Annotated[str, AfterValidator(_pattern)], ...], Field(min_length=1)]
    default_cache_duration: float
    api_version: Literal["credentialprovider.kubelet.k8s.io/v1"]
    args: tuple[str, ...] = ()
    env: tuple[Variable, ...] = ()

    @field_validator("args", "env", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return value or ()

    @field_validator("default_cache_duration", mode="before")
    @classmethod
    def _duration(cls, value: object) -> float:
        found = seconds(value) if isinstance(value, str) else None
        if found is None:
            raise ValueError("a duration is written 12h, 30m or 0s")
        return found

    def serves(self, reference: Reference) -> bool:
        """Whether it is asked for an image."""
        return any(matches(pattern, reference) for pattern in self.match_images)


class _Config(_Model):
    api_version: Literal["kubelet.config.k8s.io/v1", "kubelet.config.k8s.io/v1beta1", "kubelet.config.k8s.io/v1alpha1"]
    kind: Literal["CredentialProviderConfig"]
    providers: Annotated[tuple[Provider, ...], Field(min_length=1)]


def load(path: Path) -> tuple[Provider, ...]:
    """The providers of a file, or of all files of a folder with the suffix .json, .yaml or .yml, in their order.

    Raises:
        SettingsError: which file is wrong, and what is wrong with it.
    """
    files = sorted(each for each in path.iterdir() if each.suffix in _SUFFIXES) if path.is_dir() else [path]
    if not files:
        raise SettingsError(f"{path} has no file with the suffix .json, .yaml or .yml")
    providers = tuple(provider for file in files for provider in _read(file))
    names = [provider.name for provider in providers]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise SettingsError(f"{path} names the credential provider {twice} twice")
    return providers


def check_programs(providers: Sequence[Provider], folder: Path) -> None:
    """See that all programs are there.

    Raises:
        SettingsError: one is not.
    """
    for provider in providers:
        if not (folder / provider.name).is_file():
            raise SettingsError(f"there is no program {provider.name} in {folder}, which the credential providers name")


def _read(file: Path) -> tuple[Provider, ...]:
    try:
        with file.open("rb") as opened:
            document: Any = yaml.safe_load(opened.read(MAX_CONFIG_BYTES))
        return _Config.model_validate(document).providers
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        problem = f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"
    except (OSError, RecursionError, yaml.YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
    raise SettingsError(f"{file} is no configuration of credential providers: {problem}")
