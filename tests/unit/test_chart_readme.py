"""The chart's README: generated from the comments in values.yaml, and up to date."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.support.chart_readme import CHART, README, VALUES, UndocumentedValue, Value, generated, read_values, table

TEXT = """\
# About the file.

## First

# Says one thing
# on two lines.
one: 1
outer:
  # A whole.
  inner:
    a: x
    b: [y]

## Second

# Empty.
last: ""
"""


def test_comments_above_keys_document_them() -> None:
    """Each with its section and default; a comment that no key follows documents nothing."""
    assert read_values(TEXT) == [
        Value(("one",), "First", "Says one thing on two lines.", 1),
        Value(("outer", "inner"), "First", "A whole.", {"a": "x", "b": ["y"]}),
        Value(("last",), "Second", "Empty.", ""),
    ]


def test_a_table_has_a_row_for_each_value() -> None:
    """Below the heading of its section."""
    assert table([Value(("a", "b"), "S", "Text.", "x"), Value(("c",), "T", "More.", [])]) == (
        "### S\n\n| value | meaning | default |\n| --- | --- | --- |\n| `a.b` | Text. | `x` |\n\n"
        "### T\n\n| value | meaning | default |\n| --- | --- | --- |\n| `c` | More. | `[]` |"
    )


def test_a_value_without_a_comment_is_refused() -> None:
    """Or it would be missing from the README."""
    with pytest.raises(UndocumentedValue, match=r"outer\.other has no comment"):
        read_values(TEXT.replace("    b: [y]\n", "    b: [y]\n  other: 1\n"))


def test_the_readme_is_up_to_date() -> None:
    """`make generate` would change nothing."""
    assert README.read_text() == generated(README.read_text(), VALUES.read_text())


def test_the_schema_knows_the_values_and_no_others() -> None:
    """Every object of it is closed, and has exactly the keys of values.yaml."""

    def compare(schema: dict[str, Any], values: dict[str, Any], path: str) -> None:
        properties = schema["properties"]
        assert set(properties) - {"global"} == set(values), path
        assert schema["additionalProperties"] is False, path
        for key, value in values.items():
            if isinstance(value, dict) and value and "properties" in properties[key]:
                inner = properties[key]
                if "$ref" not in json.dumps(inner):
                    compare(inner, value, f"{path}.{key}")

    compare(json.loads((CHART / "values.schema.json").read_text()), yaml.safe_load(VALUES.read_text()), "")
