"""Rewriting: other content for the text of a file, which else stays as it is: comments, order, quotes, indentation.

Libraries that keep comments write the whole text anew: they set the indentation of every list, and join or break what
stands in brackets. Here, only what differs is put into the text, at the marks that the parser gives; what comes of it
is read again, and must be what was wanted. Pure.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from rightarch.errors import RightarchError
from rightarch.manifests import Loader, Unreadable, is_json, load

_BOM: Final = "\ufeff"
_BLOCK_SCALARS: Final = frozenset({"|", ">"})
_STEP: Final = 2


class Unwritable(RightarchError):
    """A text in which the change can't be made without touching something else; says what to do."""


def rewritten(text: str, contents: Sequence[Any], file: str) -> str:
    """The text with other contents.

    Args:
        text: of one document or several, YAML or JSON.
        contents: of each document, what it is to hold.
        file: its name, for people.

    Raises:
        Unwritable: some of it is shared, by an anchor or a merge, with what must not change.
    """
    bom = _BOM if text.startswith(_BOM) else ""
    body = text.removeprefix(_BOM)
    held = [document.content for document in load(body, file)]
    changed = _spliced(body, held, contents)
    if changed is None and is_json(body):
        changed = _dumped(body, contents[0])
    if changed is None:
        raise Unwritable(
            f"{file}: it can't be changed in place: what must change is shared by an anchor or a merge (& and <<)"
            " with what must not; write it out, then try again"
        )
    return bom + changed


def _spliced(text: str, held: Sequence[Any], contents: Sequence[Any]) -> str | None:
    """The text with what differs put into it; None where that does not give what was wanted."""
    try:
        nodes = list(yaml.compose_all(text, Loader=Loader))
        edits = _Edits(text)
        for node, old, new in zip(nodes, held, contents, strict=True):
            edits.change(node, old, new)
        changed = edits.applied()
        got = [document.content for document in load(changed, "")]
    except (yaml.YAMLError, Unreadable, _Lost, ValueError):
        return None
    return changed if got == list(contents) else None


def _dumped(text: str, content: object) -> str:
    """JSON in the indentation that the text has: for what YAML's parsers read otherwise."""
    end = "\n" if text.endswith("\n") else ""
    return json.dumps(content, indent=_step(text) or None, ensure_ascii=False) + end


class _Lost(Exception):
    """A place in the text that the parser does not tell."""


class _Dumper(yaml.SafeDumper):
    """Writes lists as the text does: in the column of their key, or deeper."""

    deeper = False

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless and not self.deeper)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the library's form
        return True


class _DeeperDumper(_Dumper):
    deeper = True


@dataclass(frozen=True, slots=True)
class _Place:
    """A value in the text.

    Attributes:
        node: the value.
        key: its own, in a mapping.
        in_brackets: whether what it is in stands in brackets: there, no line may begin as in a block.
    """

    node: yaml.Node
    key: yaml.Node | None = None
    in_brackets: bool = False

    @property
    def is_alias(self) -> bool:
        """Whether the value stands elsewhere, and only its name is here."""
        return self.key is not None and bool(self.node.start_mark.index < self.key.end_mark.index)


class _Edits:
    """Pieces of a text that are replaced."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._pieces: list[tuple[int, int, str]] = []
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._dumper: type[_Dumper] = _Dumper
        self._json_step = _step(text) if is_json(text) else None

    def applied(self) -> str:
        """The text after all of them."""
        text = self._text
        for start, end, new in sorted(self._pieces, reverse=True):
            text = text[:start] + new + text[end:]
        return text

    def change(self, node: yaml.Node, old: Any, new: Any) -> None:  # noqa: ANN401 - JSON
        """Let a document hold something else."""
        if old != new:
            self._dumper = _DeeperDumper if _is_deeper(node) else _Dumper
            self._change(_Place(node), old, new)

    def _change(self, place: "_Place", old: Any, new: Any) -> None:  # noqa: ANN401 - JSON
        if old == new:
            return
        if place.is_alias:
            raise _Lost
        node = place.node
        if isinstance(node, yaml.MappingNode) and isinstance(old, dict) and isinstance(new, dict) and old and new:
            self._change_mapping(place, node, old, new)
        elif isinstance(node, yaml.SequenceNode) and isinstance(old, list) and isinstance(new, list) and old:
            self._change_sequence(place, node, old, new)
        else:
            self._replace(place, new)

    def _change_mapping(
        self, place: "_Place", node: yaml.MappingNode, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> None:
        if node.flow_style and not old.keys() <= new.keys():
            self._replace(place, new)
            return
        pairs = {key.value: (key, value) for key, value in node.value}
        for name in old:
            if name not in pairs:
                raise _Lost
            key, value = pairs[name]
            if name in new:
                self._change(_Place(value, key, bool(node.flow_style)), old[name], new[name])
            else:
                self._remove(key, value)
        if added := {name: value for name, value in new.items() if name not in old}:
            self._add(node, added)

    def _change_sequence(
        self, place: "_Place", node: yaml.SequenceNode, old: Sequence[Any], new: Sequence[Any]
    ) -> None:
        if len(new) > len(old) and new[: len(old)] == old:
            self._append(node, new[len(old) :])
        elif len(new) == len(old):
            for item, before, after in zip(node.value, old, new, strict=True):
                self._change(_Place(item, None, bool(node.flow_style)), before, after)
        else:
            self._replace(place, new)

    def _add(self, node: yaml.MappingNode, added: Mapping[str, Any]) -> None:
        if node.flow_style:
            self._add_in_brackets(node, [f"{_flat(name)}: " for name in added], list(added.values()))
        else:
            self._insert_lines(node.value[-1], node.value[0][0].start_mark.column, dict(added))

    def _append(self, node: yaml.SequenceNode, items: Sequence[Any]) -> None:
        if node.flow_style:
            self._add_in_brackets(node, [""] * len(items), items)
        else:
            self._insert_lines((None, node.value[-1]), node.start_mark.column, list(items))

    def _insert_lines(self, last: tuple[yaml.Node | None, yaml.Node], column: int, value: object) -> None:
        """Put a mapping's or a sequence's further entries below its last one."""
        at = self._end(*last)
        lines = self._lines(value, column)
        if self._text[at - 1 : at] == "\n":  # the last one is a block of text, which ends with its line
            self._pieces.append((at, at, "".join(f"{line}{self._newline}" for line in lines)))
        else:
            self._pieces.append((at, at, "".join(f"{self._newline}{line}" for line in lines)))

    def _add_in_brackets(self, node: yaml.CollectionNode, heads: Sequence[str], values: Sequence[Any]) -> None:
        last = node.value[-1]
        end, close = (last[1] if isinstance(last, tuple) else last).end_mark.index, node.end_mark.index - 1
        if not node.start_mark.index < end <= close:
            raise _Lost
        between = self._text[end:close]
        comma = between.lstrip().startswith(",")
        at = end + between.index(",") + 1 if comma else end
        indent = self._indentation(node)
        parts = [f"{head}{self._in_lines(value, indent)}" for head, value in zip(heads, values, strict=True)]
        before = f"{self._newline}{indent}" if indent else " "
        text = f",{before}".join(parts)
        self._pieces.append((at, at, f"{before}{text}" if comma else f",{before}{text}"))

    def _indentation(self, node: yaml.CollectionNode) -> str:
        """The indentation of entries in brackets; empty where they stand on one line."""
        first = node.value[0]
        mark = (first[0] if isinstance(first, tuple) else first).start_mark
        return "" if mark.line == node.start_mark.line else self._text[mark.index - mark.column : mark.index]

    def _in_lines(self, value: object, indent: str) -> str:
        """A value in brackets: in JSON, in lines as the text has them."""
        if not self._json_step or not indent or indent.strip():
            return self._flat(value)
        return json.dumps(value, ensure_ascii=False, indent=self._json_step).replace("\n", f"{self._newline}{indent}")

    def _replace(self, place: "_Place", new: Any) -> None:  # noqa: ANN401 - JSON
        node, key, start = place.node, place.key, place.node.start_mark.index
        if (
            key is not None
            and not place.in_brackets
            and not _is_alike(node, new)
            and (_is_block(node) or _is_full(new))
        ):
            self._replace_after(key, node, new)
        elif _is_block(node):
            end = self._end(None, node)
            lines = self._lines(new, node.start_mark.column) if _is_full(new) else []
            self._pieces.append(
                (start, end, self._ended(end, self._newline.join(lines).lstrip(" ") or self._flat(new)))
            )
        else:
            space = " " if start == node.end_mark.index else ""
            mark = (key or node).start_mark
            indent = self._text[mark.index - mark.column : mark.index]
            self._pieces.append((start, node.end_mark.index, f"{space}{self._in_lines(new, indent)}"))

    def _replace_after(self, key: yaml.Node, node: yaml.Node, new: Any) -> None:  # noqa: ANN401 - JSON
        """Put something of another form beside or below a key."""
        colon = self._text.index(":", key.end_mark.index) + 1
        end = self._end(key, node) if _is_block(node) else max(node.end_mark.index, colon)
        lines = self._lines(new, key.start_mark.column + _STEP) if _is_full(new) else []
        below = "".join(f"{self._newline}{line}" for line in lines)
        self._pieces.append((colon, end, self._ended(end, below or f" {self._flat(new)}")))

    def _ended(self, end: int, text: str) -> str:
        """A text in place of another, with a line feed if the other had one."""
        return text + (self._newline if self._text[end - 1 : end] == "\n" else "")

    def _flat(self, value: object) -> str:
        """A value on one line: JSON, which YAML reads as well; there, text has quotes that need no escapes."""
        if self._json_step is None and isinstance(value, str) and value.isprintable():
            return "'{}'".format(value.replace("'", "''"))
        return _flat(value)

    def _remove(self, key: yaml.Node, value: yaml.Node) -> None:
        start, end = key.start_mark.index, self._end(key, value)
        line = self._text.rfind("\n", 0, start) + 1
        after = end if end and self._text[end - 1] == "\n" else end + len(self._newline)
        if not self._text[line:start].strip():
            self._pieces.append((line, min(after, len(self._text)), ""))
        else:  # the first entry after a dash: the next one takes its place
            indent = key.start_mark.column
            self._pieces.append((start, min(after + indent, len(self._text)), ""))

    def _end(self, key: yaml.Node | None, node: yaml.Node) -> int:
        """Where the lines of a value in a block end: at the line feed, or, of a block of text, after it."""
        if key is not None and node.start_mark.index < key.end_mark.index:
            return self._line_end(key.end_mark.index)  # an alias stands beside its key
        if _is_block(node) and isinstance(node, yaml.MappingNode):
            return self._end(*node.value[-1])
        if _is_block(node) and isinstance(node, yaml.SequenceNode):
            return self._end(None, node.value[-1])
        if _is_block(node):
            return self._text_end(node)
        return self._line_end(node.end_mark.index)

    def _text_end(self, node: yaml.Node) -> int:
        """Where a block of text ends; blank lines below it belong to it only where it says so (``|+``)."""
        end: int = node.end_mark.index
        head = self._text[node.start_mark.index : end].partition("\n")[0]
        if "+" not in head:
            content = self._text[node.start_mark.index : end].rstrip()
            end = self._text.find("\n", node.start_mark.index + len(content)) + 1 or len(self._text)
        return end

    def _line_end(self, index: int) -> int:
        """The end of a line, without its line feed."""
        end = self._text.find("\n", index)
        end = len(self._text) if end < 0 else end
        return end - 1 if self._text[end - 1 : end] == "\r" else end

    def _lines(self, value: object, column: int) -> list[str]:
        dumped: str = yaml.dump(
            value,
            Dumper=self._dumper,
            sort_keys=False,
            allow_unicode=True,
            default_flow_style=False,
            width=float("inf"),
        )
        return [f"{' ' * column}{line}" for line in dumped.splitlines()]


def _is_block(node: yaml.Node) -> bool:
    """Whether a value's end is not where its mark is: a collection without brackets, or a block of text."""
    if isinstance(node, yaml.CollectionNode):
        return not node.flow_style and bool(node.value)
    return isinstance(node, yaml.ScalarNode) and node.style in _BLOCK_SCALARS


def _is_alike(node: yaml.Node, new: object) -> bool:
    """Whether a value can stand where another stands: both are lists, or both mappings, with something in them."""
    lists = isinstance(node, yaml.SequenceNode) and isinstance(new, list)
    mappings = isinstance(node, yaml.MappingNode) and isinstance(new, dict)
    return (lists or mappings) and bool(new) and bool(node.value)


def _is_full(value: object) -> bool:
    """Whether a value is a list or a mapping with something in it."""
    return isinstance(value, dict | list) and bool(value)


def _is_deeper(node: yaml.Node) -> bool:
    """Whether the first list below a key is indented; if there is none it is not, as kubectl writes it."""
    for key, value in _entries(node):
        if isinstance(value, yaml.SequenceNode) and not value.flow_style and value.value:
            deeper: bool = value.start_mark.column > key.start_mark.column
            return deeper
    return False


def _entries(node: yaml.Node) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """All entries of mappings, the outer ones first."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key, value
            yield from _entries(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _entries(item)


def _flat(value: object) -> str:
    """A value on one line, as both YAML and JSON have it."""
    return json.dumps(value, ensure_ascii=False)


def _step(text: str) -> str:
    """The white space by which the second line of JSON is indented; empty where it is on one line."""
    second = text.strip().partition("\n")[2]
    return second[: len(second) - len(second.lstrip())]
