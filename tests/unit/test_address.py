"""Look-ups never contact this machine, the cloud's metadata or the API server, however the address is written."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightarch.registry.address import AddressGuard, AddressRefusedError, AddrInfo, forms, names_loopback

REFUSED = [
    ("0.0.0.0", "unspecified"),  # noqa: S104 - an address to refuse, not to bind to
    ("0.1.2.3", "unspecified"),
    ("::", "unspecified"),
    ("127.0.0.1", "this machine"),
    ("127.255.255.254", "this machine"),
    ("::1", "this machine"),
    ("169.254.169.254", "link-local"),
    ("169.254.170.2", "link-local"),
    ("169.254.0.1", "link-local"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("febf::1", "link-local"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("255.255.255.255", "multicast"),
    ("ff02::1", "multicast"),
    ("fd00:ec2::254", "metadata"),
    ("fd00:ec2::23", "metadata"),
    ("fd20:ce::254", "metadata"),
    ("168.63.129.16", "metadata"),
    ("100.100.100.200", "metadata"),
    ("192.0.0.192", "metadata"),
    ("::ffff:169.254.169.254", "link-local"),
    ("::ffff:127.0.0.1", "this machine"),
    ("::169.254.169.254", "link-local"),
    ("64:ff9b::169.254.169.254", "link-local"),
    ("64:ff9b::a9fe:a9fe", "link-local"),
    ("64:ff9b:1::a9fe:a9fe", "link-local"),
    ("64:ff9b:1:a9fe:a9:fe00::", "link-local"),
    ("64:ff9b:1:a9:fe:a9fe::", "link-local"),
    ("64:ff9b:1:0:a9:fea9:fe00::", "link-local"),
    ("64:ff9b::7f00:1", "this machine"),
    ("2002:a9fe:a9fe::1", "link-local"),
    ("2002:7f00:1::", "this machine"),
    ("2002:a83f:8110::1", "metadata"),
    ("2001:0:a9fe:a9fe::1", "link-local"),  # Teredo's server
    ("2001:0:808:808:0:0:5601:5601", "link-local"),  # Teredo's client, its bits inverted
]

ALLOWED = [
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "8.8.8.8",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.1",
    "fd00::1",
    "fd00:ec3::254",
    "2001:db8::1",
    "::ffff:10.0.0.1",
    "64:ff9b::808:808",
    "64:ff9b:1:808:8:800::",
    "64:ff9b:1::808:808",
    "2002:808:808::1",
]


@pytest.mark.parametrize(("address", "word"), REFUSED)
def test_refused(address: str, word: str) -> None:
    """Each address is refused in every notation that leads there, and the refusal says what it is."""
    kind = AddressGuard().refusal(address, 443)
    assert kind is not None
    assert word in kind


@pytest.mark.parametrize("address", ALLOWED)
def test_allowed(address: str) -> None:
    """Private ranges stay possible: most private registries live there."""
    assert AddressGuard().refusal(address, 443) is None


def test_the_api_server_is_told_by_address_and_port() -> None:
    """A registry beside the API server's address, at another port, may be contacted."""
    guard = AddressGuard(forbidden=frozenset({("10.96.0.1", 443)}))
    assert guard.refusal("10.96.0.1", 443) == "the API server"
    assert guard.refusal("::ffff:10.96.0.1", 443) == "the API server"
    assert guard.refusal("10.96.0.1", 5000) is None


def test_loopback_when_allowed() -> None:
    """The setting allows this machine, and nothing else that is refused."""
    guard = AddressGuard(allow_loopback=True)
    assert guard.refusal("127.0.0.1", 5000) is None
    assert guard.refusal("::1", 5000) is None
    assert guard.refusal("169.254.169.254", 80) == "a link-local address"
    assert guard.refusal("0.0.0.0", 80) == "an unspecified address"  # noqa: S104 - not to bind to


def test_plain_http_is_for_this_machine() -> None:
    """The guard of plain HTTP lets nothing out of this machine, and nothing in unless loopback is allowed."""
    assert AddressGuard(allow_loopback=True, loopback_only=True).refusal("127.0.0.1", 80) is None
    assert "plain HTTP" in str(AddressGuard(allow_loopback=True, loopback_only=True).refusal("10.0.0.1", 80))
    assert AddressGuard(loopback_only=True).refusal("127.0.0.1", 80) == "this machine itself"


def info(address: str, port: int) -> AddrInfo:
    """An address as connectors hand it over."""
    family, kind, protocol, name, sockaddr = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
    )[0]
    return family, kind, protocol, name, sockaddr


def test_no_socket_for_a_refused_address() -> None:
    """The guard makes sockets; where it refuses there is none to send anything with."""
    with pytest.raises(AddressRefusedError) as caught:
        AddressGuard().socket(info("169.254.169.254", 80))
    assert caught.value.kind == "a link-local address"


def test_a_socket_for_an_allowed_address() -> None:
    """An allowed address gets a stream socket of its family, not yet connected."""
    with AddressGuard().socket(info("192.0.2.1", 443)) as made:
        assert (made.family, made.type) == (socket.AF_INET, socket.SOCK_STREAM)
        assert made.getsockname() == ("0.0.0.0", 0)  # noqa: S104 - what an unbound socket says


def test_own_addresses_are_this_machine() -> None:
    """An address of this machine that is not loopback, such as a pod's own, is refused as well."""
    own = own_address()
    if own.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    with pytest.raises(AddressRefusedError) as caught:
        AddressGuard().socket(info(own, 443))
    assert caught.value.kind == "this machine itself"
    AddressGuard(allow_loopback=True).socket(info(own, 443)).close()


def own_address() -> str:
    """The address from which this machine would send; nothing is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST", "registry.localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]", "::ffff:127.0.0.1"],
)
def test_names_of_this_machine(host: str) -> None:
    """These hosts stand for this machine by their name alone."""
    assert names_loopback(host)


@pytest.mark.parametrize("host", ["", "localhost.example.com", "10.0.0.1", "ghcr.io", "128.0.0.1", "::2"])
def test_names_of_other_machines(host: str) -> None:
    """These do not."""
    assert not names_loopback(host)


ROUTABLE = st.ip_addresses(v=4).filter(lambda address: address.packed[0] != 0)  # a translator routes no 0.0.0.0/8


@given(st.ip_addresses(v=6))
def test_forms_hold_the_address_itself(address: IPv6Address) -> None:
    """Whatever is read out of an address, the address itself is checked too."""
    assert forms(address)[0] == address


@given(ROUTABLE, st.sampled_from(["::ffff:{}", "64:ff9b::{}", "2002:{0:02x}{1:02x}:{2:02x}{3:02x}::"]))
def test_forms_find_what_is_embedded(address: IPv4Address, pattern: str) -> None:
    """An IPv4 address is found in each IPv6 notation that translators and tunnels read it from."""
    text = pattern.format(*address.packed) if "0:" in pattern else pattern.format(address)
    assert address in forms(ip_address(text))
