"""Writes what is generated, by ``make generate``: definitions of custom resources, and parts of pages."""

from __future__ import annotations

from pathlib import Path

import yaml

from rightarch.crds import definitions
from tests.support import chart_readme, metrics_page, reasons_page, reasons_table

ROOT = Path(__file__).parent.parent
FOLDERS = (Path("crds"), Path("charts/rightarch/files/crds"))
HEADER = "# Generated from operator/rightarch/crds by `make generate`.\n"


def files() -> dict[Path, str]:
    """The text of every generated file beside the documentation's pages, by its path in the project."""
    readme = chart_readme.generated(chart_readme.README.read_text(), chart_readme.VALUES.read_text())
    return {
        folder / f"{name}.yaml": HEADER + yaml.safe_dump(definition, sort_keys=False, width=120)
        for folder in FOLDERS
        for name, definition in definitions().items()
    } | {
        chart_readme.README.relative_to(ROOT): readme,
        reasons_table.README.relative_to(ROOT): reasons_table.generated(reasons_table.README.read_text()),
    }


def pages() -> dict[Path, str]:
    """The text of every page of the documentation of which a part is generated, by its path in the project."""
    return {page.PAGE.relative_to(ROOT): page.generated(page.PAGE.read_text()) for page in (reasons_page, metrics_page)}


def main() -> None:
    """Write all of them."""
    for path, text in (files() | pages()).items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text)
        print(path)


if __name__ == "__main__":
    main()
