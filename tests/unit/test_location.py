"""URLs that servers name are followed only where all parsers read the same in them."""

from __future__ import annotations

import httpx
import pytest

from rightarch.registry.location import bare, locate

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


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("Registry.example.com:5000", "registry.example.com"),
        ("[2001:DB8::1]:5000", "2001:db8::1"),
        ("[::1]", "::1"),
        ("münchen.example", "xn--mnchen-3ya.example"),
        ("10.0.0.1:443", "10.0.0.1"),
    ],
)
def test_hosts_without_their_port(host: str, found: str) -> None:
    """As they are compared with hosts of URLs."""
    assert bare(host) == found
    assert httpx.URL(f"https://{host.lower()}/v2").raw_host.decode() == found


@pytest.mark.parametrize("host", ["", "a/b", "a?b", "https://a", "a b", "::1", "[1:2]", "a:70000", "user@a#b"])
def test_what_is_no_host(host: str) -> None:
    """Is said to be none."""
    with pytest.raises(ValueError, match="is no host"):
        bare(host)
