"""Log lines: one record is one line, whatever pod authors put into it."""

import io
import logging
from collections.abc import Iterator

import orjson
import pytest

from rightarch import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave the loggers of this process as they were."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.basicConfig(handlers=handlers, level=level, force=True)


def written(form: str, message: str = "admitted", **fields: object) -> str:
    """What one record becomes."""
    stream = io.StringIO()
    logs.configure("info", form, stream)
    logging.getLogger("rightarch.test").info(message, extra=logs.fields(**fields))
    return stream.getvalue()


def test_a_line_is_key_value_pairs() -> None:
    """Bare where the value is a word, a JSON string where it is not, and nothing for what is not known."""
    line = written("text", "it went well", pod="web-1", detail='says "no"', left=None, count=3)
    assert line.split("logger=", 1)[1] == (
        'rightarch.test message="it went well" pod=web-1 detail="says \\"no\\"" count=3\n'
    )


def test_nobody_can_forge_a_line() -> None:
    """Line feeds, escape sequences and unpaired surrogates in a value stay inside it."""
    for form in ("text", "json"):
        line = written(form, pod="x\nlevel=error message=forged \x1b[2J \ud800")
        assert line.count("\n") == 1
        assert "\x1b" not in line


def test_a_value_is_cut() -> None:
    """An image name of a megabyte does not become a line of a megabyte."""
    assert len(written("text", pod="x" * 1_000_000)) < 1000


def test_a_json_line_is_an_object() -> None:
    """For whoever collects logs by machine."""
    record = orjson.loads(written("json", pod="web-1", count=3))
    assert (record["message"], record["level"], record["pod"], record["count"]) == ("admitted", "info", "web-1", 3)


def test_a_traceback_is_part_of_its_line() -> None:
    """A failure is one record, too."""
    stream = io.StringIO()
    logs.configure("info", "text", stream)
    try:
        int("oh no")
    except ValueError:
        logging.getLogger("rightarch.test").exception("failed")
    assert stream.getvalue().count("\n") == 1
    assert "ValueError: invalid literal" in stream.getvalue()
