"""URLs that servers name are followed only where all parsers read the same in them."""

from __future__ import annotations

import httpx
import pytest

from rightarch.registry.location import locate

BASE = httpx.URL("https://registry.example.com:5000/v2/app/manifests/1")

LOCATED = [
    ("https://auth.example.com/token?a=b", "https://auth.example.com/token?a=b"),
    ("http://127.0.0.1:5000/x", "http://127.0.0.1:5000/x"),
    ("/v2/other", "https://registry.example.com:5000/v2/other"),
    ("//cdn.example.com/blob", "https://cdn.example.com/blob"),
    ("https://name:password@cdn.example.com/blob#part", "https://cdn.example.com/blob"),
    ("https://[::1]:5000/", "https://[::1]:5000/"),
    ("https://xn--mnchen-3ya.example/", "https://xn--mnchen-3ya.example/"),
]

NOWHERE = [
    "ftp://example.com/",
    "file:///etc/passwd",
    "https://example.com:65536/",
    "https://example.com:port/",
    "https://a%2eb/",
    "https://a b/",
    "https://[::1/",
    "https://xn--n3h.com/",  # a snowman, which IDNA 2008 does not allow: its name can't be read
    "https://xn--a/",
]


@pytest.mark.parametrize(("text", "url"), LOCATED)
def test_locations(text: str, url: str) -> None:
    """Absolute or relative, without userinfo and fragment."""
    assert str(locate(text, BASE)) == url


@pytest.mark.parametrize("text", NOWHERE)
def test_what_is_nowhere(text: str) -> None:
    """What is no URL of the web is not followed, and nothing is raised."""
    assert locate(text, BASE) is None
    assert locate(text) is None
