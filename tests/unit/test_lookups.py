"""The addresses of the API servers: what is refused follows them."""

from typing import Any

import pytest

from rightarch.lookups import ApiServers, _endpoints

FIRST, SECOND = ("192.0.2.1", 6443), ("192.0.2.2", 6443)


def slice_of(*addresses: str, kind: str = "IPv4", ports: object = ({"port": 6443},)) -> dict[str, Any]:
    """An EndpointSlice."""
    return {"addressType": kind, "endpoints": [{"addresses": [each]} for each in addresses], "ports": ports}


def test_what_is_listed_is_refused_beside_what_was_known() -> None:
    """And what is listed no longer is not."""
    servers = ApiServers(frozenset({FIRST}))
    assert FIRST in servers
    assert SECOND not in servers
    servers.replace([_endpoints(slice_of("192.0.2.2", "192.0.2.3"))])
    assert all(endpoint in servers for endpoint in (FIRST, SECOND, ("192.0.2.3", 6443)))
    servers.put(_endpoints(slice_of("192.0.2.3")))
    assert SECOND not in servers
    assert ("192.0.2.3", 443) not in servers


def test_a_slice_that_is_gone_still_counts() -> None:
    """API servers don't move by losing their record: they write it again."""
    servers = ApiServers(frozenset())
    servers.put(_endpoints(slice_of("192.0.2.2")))
    servers.remove(_endpoints(slice_of("192.0.2.2")))
    assert SECOND in servers


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (slice_of("2001:DB8::0:1", kind="IPv6"), {("2001:db8::1", 6443)}),
        (slice_of("api.example", kind="FQDN"), set()),
        (slice_of("192.0.2.1", ports=None), set()),
        ({"addressType": "IPv4", "endpoints": None, "ports": None}, set()),
        ({}, set()),
    ],
)
def test_slices_are_read_whatever_they_have(given: dict[str, Any], expected: set[tuple[str, int]]) -> None:
    """In the spelling in which addresses are compared."""
    assert _endpoints(given) == expected
