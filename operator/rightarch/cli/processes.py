"""The commands that start a process: ``rightarch webhook`` and ``rightarch controller``.

Their options are the fields of the process's settings, and nothing is written twice.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from pydantic.fields import FieldInfo

from rightarch.cli.exits import fail
from rightarch.errors import RightarchError
from rightarch.logs import configure
from rightarch.settings import ControllerSettings, ProcessSettings, WebhookSettings, option, variable

WEBHOOK_EPILOG: Final = (
    "Example: rightarch webhook --cert-file tls.crt --key-file tls.key --kubeconfig ~/.kube/config. "
    "Either --cert-file with --key-file or --certificate-secret with --namespace must be given."
)
CONTROLLER_EPILOG: Final = "Example: rightarch controller --namespace rightarch --kubeconfig ~/.kube/config"

Command = Callable[..., None]
Settings = TypeVar("Settings", bound=ProcessSettings)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=WEBHOOK_EPILOG)(_with_options(webhook, WebhookSettings))
    app.command(epilog=CONTROLLER_EPILOG)(_with_options(controller, ControllerSettings))


def webhook(**given: object) -> None:
    """Serve the admission webhook: every new pod gets the node affinity that its images need."""
    with _told():
        settings = _configured(WebhookSettings, given)
        from rightarch.webhook.server import run  # noqa: PLC0415 - a second and 50 MiB that no other command pays

        run(settings)


def controller(**given: object) -> None:
    """Look images up before their pods come, and mend what admission could not know; one replica works at a time."""
    with _told():
        settings = _configured(ControllerSettings, given)
        from rightarch.controller.process import run  # noqa: PLC0415 - kopf and the clients, which no other pays

        run(settings)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except RightarchError as error:
        fail(error)


def _configured(model: type[Settings], given: Mapping[str, object]) -> Settings:
    """The settings, once they are valid; logs are written as they say."""
    settings = model.load({name: value for name, value in given.items() if value is not None})
    configure(settings.log_level, settings.log_format)
    return settings


def _with_options(command: Command, model: type[ProcessSettings]) -> Command:
    """A command with an option for each field, its own before those of every process, as typer reads them."""
    shared = ProcessSettings.model_fields
    fields = sorted(model.model_fields.items(), key=lambda each: each[0] in shared)
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(name, field))
        for name, field in fields
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # as inspect documents it
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    return command


def _annotation(name: str, field: FieldInfo) -> Any:  # noqa: ANN401 - a type
    """An option whose value is passed on as it is given: the settings validate it, and say what is wrong in a line."""
    told = typer.Option(
        option(name),
        envvar=variable(name),
        help=_help(field),
        metavar=None if field.annotation is bool else f"<{_form(field)}>",
        show_default=_default(field),
    )
    return Annotated[_type(field), told]


def _type(field: FieldInfo) -> Any:  # noqa: ANN401 - a type
    """A flag is one, and a shell completes paths; all else is text."""
    if field.annotation is bool:
        return bool | None
    return Path | None if _form(field) == "path" else str | None


def _form(field: FieldInfo) -> str:
    """What a value looks like, in a word."""
    if "path" in repr(field.annotation).lower():
        return "path"
    return next((word for kind, word in ((int, "int"), (float, "float")) if field.annotation is kind), "text")


def _help(field: FieldInfo) -> str:
    description = field.description or ""
    needed = " Required." if field.is_required() else ""
    return f"{description[:1].upper()}{description[1:]}.{needed}"


def _default(field: FieldInfo) -> str | bool:
    value = field.default
    if field.is_required() or value is None or value is False:
        return False
    if isinstance(value, frozenset):
        return ",".join(sorted(value))
    return f"{value:.10g}" if isinstance(value, float) else str(value)
