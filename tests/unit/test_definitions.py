"""The definitions of custom resources are made from models, and what is committed is what is made."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from rightarch.crds import definitions
from rightarch.structural import structural
from tests.generate import ROOT, files, pages

FILES = files() | pages()


@pytest.mark.parametrize("path", FILES, ids=str)
def test_what_is_committed_is_what_is_generated(path: Path) -> None:
    """``make generate`` was run after the last change."""
    assert (ROOT / path).read_text() == FILES[path]


def test_every_field_is_described() -> None:
    """That is what kubectl explain shows."""

    def undescribed(schema: dict[str, object], path: str) -> list[str]:
        properties = schema.get("properties") or {}
        assert isinstance(properties, dict)
        missing = [] if schema.get("description") else [path]
        return missing + [gap for name, each in properties.items() for gap in undescribed(each, f"{path}.{name}")]

    for definition in definitions().values():
        for version in definition["spec"]["versions"]:
            assert undescribed(version["schema"]["openAPIV3Schema"], definition["metadata"]["name"]) == []


def test_an_optional_field_has_no_union() -> None:
    """Kubernetes spells "may be absent" by not requiring it."""

    class Model(BaseModel):
        """A model."""

        name: str | None = None

    schema = structural(Model)
    assert schema == {"type": "object", "description": "A model.", "properties": {"name": {"type": "string"}}}


def test_a_union_of_types_is_refused() -> None:
    """There is no structural schema for it."""

    class Model(BaseModel):
        """A model."""

        port: int | str

    with pytest.raises(ValueError, match="no unions"):
        structural(Model)
