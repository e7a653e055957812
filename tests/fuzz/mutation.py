"""Mutations: from sense to what is nearly sense, by a seeded generator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

TOKENS = [
    *"/:@.-_ \t\n\r\x00\x7f\x80é٣ß\u017f\u212a\u2028\ud800\U0001f600[]{}\"'\\,=;*%+?#",
    "..",
    "//",
    "__",
    "___",
    "localhost",
    "docker.io/",
    "index.docker.io/",
    "library/",
    ":latest",
    "@sha256:",
    "sha256:" + "0" * 64,
    "[::1]:5000",
    "https://",
    "9" * 400,
    "-1",
    "1e999",
    "a" * 300,
    "\u0660",
]
"""What parsers trip over."""

VALUES = [
    "null", "true", "false", "0", "-1", "1.5", "1e300", str(2**63), str(2**70), '""', '"x"', '"\\u0000"', '"\\ud800"',
    "[]", "{}", "[[]]", "[{}]", '{"": null}', f'"sha256:{"0" * 64}"', '"unknown"', '"linux"', '["linux"]',
    '{"os": 1}', '{"os": "linux", "architecture": null}', "[" * 50 + "]" * 50,
]  # fmt: skip
"""What JSON may hold where something else is expected."""

NAMES = [
    "manifests",
    "config",
    "layers",
    "mediaType",
    "annotations",
    "platform",
    "data",
    "digest",
    "auths",
    "auth",
    "x",
]
"""Names by which members may be doubled."""


def text(random: Random, seeds: Sequence[str], tokens: Sequence[str] = TOKENS) -> str:
    """A seed with up to six changes: a part left out, doubled or moved, a token put in, another seed joined on."""
    result = random.choice(seeds)
    for _ in range(random.randrange(7)):
        start, end = sorted((random.randrange(len(result) + 1), random.randrange(len(result) + 1)))
        end = min(end, start + 8)
        change = random.randrange(6)
        if change == 0:
            result = result[:start] + result[end:]
        elif change == 1:
            result = result[:start] + result[start:end] * 2 + result[end:]
        elif change == 2:
            other = random.choice(seeds)
            result = result[:start] + other[random.randrange(len(other) + 1) :]
        else:
            result = result[:start] + random.choice(tokens) + result[start if change == 3 else end :]
    return result


def document(random: Random, seeds: Sequence[str]) -> bytes:
    """A JSON document of which values were replaced, left out, doubled or put elsewhere; now and then its text, too."""
    content = json.loads(random.choice(seeds))
    for _ in range(random.randrange(5)):
        content = _changed(random, content, seeds)
    body = json.dumps(content).encode()
    if random.random() < 0.15:
        body = text(random, [body.decode()]).encode(errors="surrogatepass")
    return body


def _changed(random: Random, content: Any, seeds: Sequence[str]) -> Any:  # noqa: ANN401 - JSON
    """The content with one change, at a random depth."""
    if not isinstance(content, dict | list) or not content or random.random() < 0.1:
        return json.loads(random.choice(VALUES if random.random() < 0.9 else seeds))
    key: Any = random.choice(list(content)) if isinstance(content, dict) else random.randrange(len(content))
    change = random.randrange(6)
    if change == 0:
        del content[key]
    elif change == 1:
        copy = json.loads(json.dumps(content[key]))
        if isinstance(content, dict):
            content[random.choice(NAMES)] = copy
        else:
            content.append(copy)
    else:
        content[key] = _changed(random, content[key], seeds)
    return content
