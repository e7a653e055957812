"""Proxies: which requests go through one, as Go decides it."""

import httpx
import pytest

from rightarch.errors import SettingsError
from rightarch.registry.proxies import Proxies, literal, names_metadata

ENVIRONMENT = {
    "HTTPS_PROXY": "http://secure.example:3128",
    "http_proxy": "plain.example:3128",
    "NO_PROXY": "10.0.0.0/8, internal.example,.only-below.example,192.0.2.7,ported.example:8443,fd00::/8",
}


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://registry.example/v2/", "http://secure.example:3128"),
        ("http://registry.example/v2/", "http://plain.example:3128"),
        ("https://10.1.2.3/v2/", None),
        ("https://11.1.2.3/v2/", "http://secure.example:3128"),
        ("https://192.0.2.7:5000/v2/", None),
        ("https://192.0.2.8/v2/", "http://secure.example:3128"),
        ("https://[fd00::1]/v2/", None),
        ("https://internal.example/", None),
        ("https://a.internal.example/", None),
        ("https://notinternal.example/", "http://secure.example:3128"),
        ("https://only-below.example/", "http://secure.example:3128"),
        ("https://a.only-below.example/", None),
        ("https://ported.example:8443/", None),
        ("https://ported.example/", "http://secure.example:3128"),
        ("https://127.0.0.1:5000/", None),
        ("https://localhost/", None),
        ("https://[::1]/", None),
    ],
)
def test_what_goes_through_which_proxy(url: str, proxy: str | None) -> None:
    """Exceptions are names with all below them, addresses, and CIDRs; this machine is never asked through a proxy."""
    assert Proxies.of(ENVIRONMENT).through(httpx.URL(url)) == proxy


def test_no_proxy_at_all() -> None:
    """Neither without variables, nor where a star excepts everything."""
    assert Proxies.of({}).through(httpx.URL("https://a.example")) is None
    assert Proxies.of(ENVIRONMENT | {"NO_PROXY": "*"}).through(httpx.URL("https://a.example")) is None


@pytest.mark.parametrize("proxy", ["socks5://a:1", "http://"])
def test_a_proxy_that_is_none(proxy: str) -> None:
    """The process does not start; the value, which may have a password, is not repeated."""
    with pytest.raises(SettingsError, match=r"^HTTPS_PROXY is no URL of an HTTP proxy; write http://HOST:PORT$"):
        Proxies.of({"HTTPS_PROXY": proxy})


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "2852039166", "0xa9fea9fe", "169.254.43518", "0251.0376.0251.0376", "0xa9.254.0xa9fe"]
)
def test_spellings_of_one_address(host: str) -> None:
    """What an old C library, and so a proxy, reads as an address is one."""
    assert literal(host) == "169.254.169.254"


def test_names() -> None:
    """Names are none, but for those that everybody knows."""
    assert literal("registry.example") is None
    assert names_metadata("Metadata.Google.Internal.")
    assert not names_metadata("registry.example")
