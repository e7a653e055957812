"""Challenges are read as RFC 9110 writes them, and no further than they are well-formed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightarch.registry import challenge
from rightarch.registry.challenge import Challenge

HUB = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"'

CASES = {
    "Docker Hub": (
        [HUB],
        [
            (
                "bearer",
                {
                    "realm": "https://auth.docker.io/token",
                    "service": "registry.docker.io",
                    "scope": "repository:a/b:pull,push",
                },
            )
        ],
    ),
    "Basic": (['Basic realm="Registry Realm"'], [("basic", {"realm": "Registry Realm"})]),
    "two in one header": (
        ['Basic realm="a, b", Bearer realm="https://t/", error="insufficient_scope"'],
        [("basic", {"realm": "a, b"}), ("bearer", {"realm": "https://t/", "error": "insufficient_scope"})],
    ),
    "two headers": (["Negotiate", "BASIC realm=x"], [("negotiate", {}), ("basic", {"realm": "x"})]),
    "token68": (['Negotiate YWJj==, Basic realm="x"'], [("negotiate", {}), ("basic", {"realm": "x"})]),
    "escapes": ([r'Basic realm="a\"b\\c"'], [("basic", {"realm": 'a"b\\c'})]),
    "spaces": (['  Bearer   realm = "r" ,, service\t=\ts '], [("bearer", {"realm": "r", "service": "s"})]),
    "names in capitals": (['Bearer REALM="r"'], [("bearer", {"realm": "r"})]),
    "the first of two counts": (['Bearer realm="a",realm="b"'], [("bearer", {"realm": "a"})]),
    "an open quotation": (['Bearer service="s",realm="https://t'], [("bearer", {"service": "s"})]),
    "a parameter before a scheme": (['realm="x"'], []),
    "nothing": ([""], []),
    "no header": ([], []),
    "nonsense": (['"'], []),
    "an unquoted URL is not guessed": (["Bearer realm=https://t/"], [("bearer", {})]),
}


@pytest.mark.parametrize(("headers", "expected"), CASES.values(), ids=CASES)
def test_parse(headers: list[str], expected: list[tuple[str, dict[str, str]]]) -> None:
    """Every challenge of every header is read, with its parameters."""
    assert [(each.scheme, dict(each.parameters)) for each in challenge.parse(headers)] == expected


def test_bearer_comes_first() -> None:
    """Where a registry offers both, a token is fetched rather than the password sent along with each request."""
    basic, bearer = Challenge("basic", {}), Challenge("bearer", {"realm": "r"})
    assert challenge.choose([basic, bearer]) is bearer
    assert challenge.choose([basic]) is basic


def test_what_can_not_be_answered() -> None:
    """Other schemes, and Bearer without a realm, are no challenge that can be answered."""
    assert challenge.choose([Challenge("negotiate", {}), Challenge("bearer", {})]) is None
    assert challenge.choose([]) is None


@given(st.lists(st.text(alphabet='Bearer Basic="\\,;:/\t é', max_size=60), max_size=3))
def test_any_text_is_read(headers: list[str]) -> None:
    """No header makes the parser fail, and schemes and names come out in lower case."""
    for each in challenge.parse(headers):
        assert each.scheme == each.scheme.lower()
        assert all(name == name.lower() for name in each.parameters)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40))
def test_quoted_strings_come_out_as_they_went_in(text: str) -> None:
    """Quoting a value and parsing it gives the value."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert dict(challenge.parse([f'Bearer realm="{quoted}"'])[0].parameters) == {"realm": text}
