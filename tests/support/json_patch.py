"""JSON Patch (RFC 6902), the operations that are written: applied to a copy, and strict about every path."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any


def patched(document: Mapping[str, Any], operations: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The document after the operations; any path that is not there raises."""
    result: Any = deepcopy(dict(document))
    for operation in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        target = result
        for part in parents:
            target = target[int(part) if isinstance(target, list) else part]
        _act(operation, target, last)
    assert isinstance(result, dict)
    return result


def _act(operation: Mapping[str, Any], target: Any, last: str) -> None:  # noqa: ANN401 - any JSON value
    value = deepcopy(operation.get("value"))
    if operation["op"] == "test":
        assert target[int(last) if isinstance(target, list) else last] == value
    elif isinstance(target, list):
        _change(operation, target, last, value)
    elif operation["op"] == "add":
        target[last] = value
    elif operation["op"] == "replace":
        assert last in target
        target[last] = value
    else:
        assert operation["op"] == "remove"
        del target[last]


def _change(operation: Mapping[str, Any], target: list[Any], last: str, value: Any) -> None:  # noqa: ANN401 - likewise
    if operation["op"] == "remove":
        del target[int(last)]
    else:
        assert (operation["op"], last) == ("add", "-"), "lists are only appended to, or an item of ours is removed"
        target.append(value)
