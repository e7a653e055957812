"""Writes what is generated, by ``make generate``: definitions of custom resources, and tables of two READMEs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from rightarch.crds import definitions
from tests.support import chart_readme, reasons_table

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent
FOLDERS = (Path("crds"), Path("charts/rightarch/files/crds"))
HEADER = "# Generated from operator/rightarch/crds by `make generate`.\n"


def files() -> Mapping[Path, str]:
    """The text of every generated file, by its path in the project."""
    readme = chart_readme.generated(chart_readme.README.read_text(), chart_readme.VALUES.read_text())
    return {
        folder / f"{name}.yaml": HEADER + yaml.safe_dump(definition, sort_keys=False, width=120)
        for folder in FOLDERS
        for name, definition in definitions().items()
    } | {
        chart_readme.README.relative_to(ROOT): readme,
        reasons_table.README.relative_to(ROOT): reasons_table.generated(reasons_table.README.read_text()),
    }


def main() -> None:
    """Write all of them."""
    for path, text in files().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text)
        print(path)


if __name__ == "__main__":
    main()
