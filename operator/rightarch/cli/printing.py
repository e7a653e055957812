"""Prints inspections: for people in columns that fit the terminal, for programs with keys that stay.

The keys of JSON and YAML are documented in docs/image-inspect.md.
"""

import shutil
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

import orjson

from rightarch.cli.plain import plain
from rightarch.errors import ImageError
from rightarch.inspection import Inspection, Item, Role
from rightarch.manifest import DOCKER_MANIFEST
from rightarch.platforms import Platform
from rightarch.reference import Reference

__all__ = ["as_json", "as_yaml", "columns", "plain", "size_of", "terminal_width", "text"]

Pair = tuple[Reference, Inspection | ImageError]
_SHORTEST_DIGEST: Final = len("sha256:") + 12
_UNITS: Final = ("B", "kB", "MB", "GB", "TB")


def text(pairs: Sequence[Pair], required: Collection[Platform], output: str, *, verbose: bool) -> str:
    """What is printed of the outcomes, in the order in which they were asked for."""
    if verbose:
        described = [each for _, outcome in pairs if isinstance(outcome, Inspection) for each in _verbose(outcome)]
        return as_yaml(described) if output == "yaml" else as_json(described)
    if output == "table":
        return "\n".join(_block(outcome, required) for _, outcome in pairs if isinstance(outcome, Inspection))
    data = {"images": [_data(reference, outcome, required) for reference, outcome in pairs]}
    return as_yaml(data) if output == "yaml" else as_json(data)


def size_of(count: int) -> str:
    """Bytes, as registries' pages show them: in thousands, three digits."""
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.{0 if unit == 0 or value >= 99.95 else 1}f} {_UNITS[unit]}"


def columns(rows: Iterable[Sequence[str]], right: Collection[int], width: int | None) -> str:
    """Rows in columns two spaces apart; the last column is cut to the width where there is one.

    Args:
        rows: as many cells in each.
        right: the columns that are numbers.
        width: of the terminal.
    """
    table = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        cells = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        before = "  ".join(cells[:-1])
        lines.append(f"{before}  {_cut(row[-1], width - len(before) - 2 if width else None)}".rstrip())
    return "\n".join(lines)


def _block(found: Inspection, required: Collection[Platform]) -> str:
    """An image, for people."""
    root = found.contents
    head = [("Name:", str(found.reference)), ("Digest:", root.document.digest), ("Media type:", root.media_type)]
    if root.artifact_type:
        head.append(("Artifact type:", root.artifact_type))
    else:
        head.append(("Size:", f"{size_of(found.size)} in all, shared layers counted once"))
    if lacking := found.lacks(required):
        head.append(("Lacks:", ", ".join(map(str, lacking))))
    lines = "".join(f"{name:<14} {plain(value)}\n" for name, value in head)
    rows = [_row(item, found) for item in found.items] if not root.artifact_type else []
    if not rows:
        return lines
    titles = ("PLATFORM", "SIZE", "LAYERS", "DIGEST")
    return f"{lines}\n{columns([titles, *rows], {1, 2}, terminal_width())}\n"


def _row(item: Item, found: Inspection) -> tuple[str, str, str, str]:
    if item.problem is not None:
        shown = item.problem.reason.value
    else:
        shown = "-" if item.size is None or item.role is not Role.IMAGE else size_of(item.size)
    layers = "-" if item.contents is None else str(item.contents.layers)
    return _label(item, found), shown, layers, item.part.digest


def _label(item: Item, found: Inspection) -> str:
    if item.role is Role.ATTESTATION:
        about = next((i.platform for i in found.items if i.part.digest == item.part.about), None)
        return f"attestation of {about}" if about else "attestation"
    if item.platform is None:
        return "unknown" if item.role is Role.IMAGE else f"other: {item.part.media_type}"
    version = f" {item.platform.os_version}" if item.platform.os_version else ""
    return f"{item.platform}{version}"


def _data(reference: Reference, outcome: Inspection | ImageError, required: Collection[Platform]) -> dict[str, Any]:
    """An image, for programs."""
    if isinstance(outcome, ImageError):
        return {"name": str(reference), "error": _error(outcome)}
    root = outcome.contents
    return {
        "name": str(reference),
        "digest": root.document.digest,
        "mediaType": root.media_type,
        "artifactType": root.artifact_type or None,
        "size": outcome.size,
        "platforms": [_platform(item) for item in outcome.of(Role.IMAGE)],
        "attestations": [_described(item) | {"about": item.part.about} for item in outcome.of(Role.ATTESTATION)],
        "others": [_described(item) for item in outcome.of(Role.OTHER)] if root.indexed else [],
        "lacks": [str(each) for each in outcome.lacks(required)],
    }


def _platform(item: Item) -> dict[str, Any]:
    platform = item.platform
    return {
        "platform": str(platform) if platform else None,
        "os": platform.os if platform else None,
        "architecture": platform.architecture if platform else None,
        "variant": (platform.variant or None) if platform else None,
        "osVersion": (platform.os_version or None) if platform else None,
        **_described(item),
        "size": item.size,
        "layers": None if item.contents is None else item.contents.layers,
        "error": _error(item.problem) if item.problem else None,
    }


def _described(item: Item) -> dict[str, Any]:
    return {"digest": item.part.digest, "mediaType": item.part.media_type}


def _error(error: ImageError) -> dict[str, str]:
    return {"reason": error.reason.value, "message": str(error)}


def _verbose(found: Inspection) -> list[dict[str, Any]]:
    """Descriptors with their manifests, by the keys of ``docker manifest inspect -v``."""
    return [_descriptor(item, found) for item in found.items]


def _descriptor(item: Item, found: Inspection) -> dict[str, Any]:
    descriptor = dict(item.part.raw)
    if item.platform is not None and "platform" not in descriptor:
        descriptor["platform"] = {
            name: value
            for name, value in (
                ("architecture", item.platform.architecture),
                ("os", item.platform.os),
                ("os.version", item.platform.os_version),
                ("variant", item.platform.variant),
            )
            if value
        }
    described: dict[str, Any] = {"Ref": f"{found.reference.name}@{item.part.digest}", "Descriptor": descriptor}
    if not found.contents.indexed:
        described["Ref"] = str(found.reference)
    if item.contents is not None:
        key = "SchemaV2Manifest" if item.part.media_type == DOCKER_MANIFEST else "OCIManifest"
        described[key] = item.contents.json
    return described


def as_json(data: object) -> str:
    """Indented JSON."""
    return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def as_yaml(data: object) -> str:
    """YAML, the keys in their order."""
    import yaml  # noqa: PLC0415 - a tenth of a second that no other form of output pays

    dumped: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    return dumped


def terminal_width() -> int | None:
    """The width of the terminal; None where a file or a program reads."""
    return shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None


def _cut(value: str, width: int | None) -> str:
    if width is None or len(value) <= width:
        return value
    return f"{value[: max(width, _SHORTEST_DIGEST + 1) - 1]}…"
