"""Log lines: one record a line, as key=value pairs or as JSON, with nothing in it unescaped.

A record's own fields are passed as ``extra=fields(...)``. Pod authors choose some of their values, so each is quoted
and cut; no secret is ever a field.
"""

import logging
import re
import sys
from datetime import UTC, datetime
from time import monotonic
from typing import Any, Final, TextIO

import orjson

_BARE: Final = re.compile(r"[\w.:/@+-]+", re.ASCII)
_MAX_VALUE: Final = 500
_FIELDS: Final = "rightarch_fields"
_QUIET: Final = ("uvicorn", "asyncio", "httpx", "aiohttp", "kubernetes", "kopf")


def fields(**values: object) -> dict[str, object]:
    """The fields of a log record: ``log.info("admitted", extra=fields(reason=...))``."""
    return {_FIELDS: values}


class Seldom:
    """Turns that are given once in a while: for what may happen thousands of times a second."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._next, self._passed = seconds, 0.0, 0

    def turn(self) -> int | None:
        """None if it is too soon; otherwise how often it was since the last turn."""
        now = monotonic()
        if now < self._next:
            self._passed += 1
            return None
        passed, self._passed, self._next = self._passed, 0, now + self._seconds
        return passed


def configure(level: str, form: str, stream: TextIO | None = None) -> None:
    """Send all records of this process to one stream, standard error by default.

    Args:
        level: the least severe level that is written, as ``logging`` names it, in lower case.
        form: ``text`` or ``json``.
        stream: where to.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


class TextFormatter(logging.Formatter):
    """``time=… level=… logger=… message=… key=value``; a value that is not a bare word is a JSON string."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the record holds: a traceback is a quoted value too."""
        return " ".join(f"{key}={_quoted(value)}" for key, value in _pairs(self, record).items())


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the record holds."""
        return orjson.dumps(_pairs(self, record), default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _pairs(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, Any]:
    pairs: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
    }
    pairs |= {key: _cut(value) for key, value in getattr(record, _FIELDS, {}).items() if value is not None}
    if record.exc_info:
        pairs["traceback"] = formatter.formatException(record.exc_info)
    return pairs


def _cut(value: object) -> object:
    """The value with its text cut and its unpaired surrogates replaced, which no encoder takes."""
    if not isinstance(value, str):
        return value
    text = value if len(value) <= _MAX_VALUE else f"{value[:_MAX_VALUE]}…"
    return text.encode("utf-8", "replace").decode()


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if _BARE.fullmatch(text) else orjson.dumps(text).decode()
