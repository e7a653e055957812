"""The table of values in the chart's README, generated from the comments in values.yaml: `make generate`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

CHART = Path(__file__).parents[2] / "charts" / "rightarch"
README = CHART / "README.md"
VALUES = CHART / "values.yaml"

BEGIN = "<!-- Generated from the comments in values.yaml by `make generate`. -->"
END = "<!-- The end of what is generated. -->"
_KEY = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z]\w*):(?: |$)")


class UndocumentedValue(Exception):
    """A value has no comment above it."""


@dataclass(frozen=True)
class Value:
    """A documented value.

    Attributes:
        path: its keys, from the outermost.
        section: the heading that it stands below.
        text: the comment above it.
        default: what it is if nobody says otherwise.
    """

    path: tuple[str, ...]
    section: str
    text: str
    default: Any

    @property
    def row(self) -> str:
        """Its row in the table."""
        return f"| `{'.'.join(self.path)}` | {self.text} | {_code(self.default)} |"


def read_values(text: str) -> list[Value]:
    """The documented values, in their order.

    A comment above a key that has further keys below it documents the whole, which is then not taken apart.

    Raises:
        UndocumentedValue: there is one without a comment.
    """
    documented = list(_documented(text))
    everything = yaml.safe_load(text)
    known = {value.path for value in documented}
    for path in _leaves(everything):
        if not any(path[:length] in known for length in range(1, len(path) + 1)):
            raise UndocumentedValue(f"values.yaml: {'.'.join(path)} has no comment above it")
    return documented


def _documented(text: str) -> Iterator[Value]:
    everything = yaml.safe_load(text)
    section, comment = "", list[str]()
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("## "):
            section = stripped.removeprefix("## ")
        elif stripped.startswith("# "):
            comment.append(stripped.removeprefix("# "))
        elif found := _KEY.match(line):
            indent = len(found["indent"])
            path = [(depth, key) for depth, key in path if depth < indent] + [(indent, found["key"])]
            keys = tuple(key for _, key in path)
            if comment:
                yield Value(keys, section, " ".join(comment), _at(everything, keys))
        if not stripped.startswith("# "):
            comment = []


def table(values: list[Value]) -> str:
    """The tables, one a section."""
    sections = dict.fromkeys(value.section for value in values)
    return "\n\n".join(_section(name, [value for value in values if value.section == name]) for name in sections)


def generated(readme: str, values: str) -> str:
    """The README with its generated part renewed."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(read_values(values))}\n\n{END}{after}"


def _section(name: str, values: list[Value]) -> str:
    rows = "\n".join(value.row for value in values)
    return f"### {name}\n\n| value | meaning | default |\n| --- | --- | --- |\n{rows}"


def _leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    else:
        yield path


def _at(value: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - YAML
    for key in path:
        value = value[key]
    return value


def _code(value: object) -> str:
    return "" if value == "" else f"`{json.dumps(value) if not isinstance(value, str) else value}`"
