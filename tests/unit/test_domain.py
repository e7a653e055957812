"""One owner or two: neighbours at a landlord never see each other's passwords, whatever the list is asked."""

from __future__ import annotations

import socket
from functools import cache
from pathlib import Path

import publicsuffixlist
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightarch.registry.domain import SHARED, registrable, related, suffixes

LIST = Path(publicsuffixlist.__file__).with_name("public_suffix_list.dat")


@cache
def rules() -> frozenset[str]:
    """The list's rules, read without the library; in ASCII, as hosts are."""
    lines = (line.strip() for line in LIST.read_text().splitlines())
    return frozenset(line.encode("idna").decode() for line in lines if line and not line.startswith("//"))


def by_the_algorithm(host: str) -> str | None:
    """The registrable domain as https://publicsuffix.org/list/ has it, but without its rule for unknown top levels."""
    labels = host.split(".")
    for start in range(len(labels)):
        name, above = ".".join(labels[start:]), ".".join(labels[start + 1 :])
        if f"!{name}" in rules():
            return name
        if name in rules() or f"*.{above}" in rules() or f"*.{name}" in rules():
            return ".".join(labels[start - 1 :]) if start else None
    return None


TENANT = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
RULE = st.deferred(lambda: st.sampled_from(sorted(rules())))
SUFFIX = st.builds(lambda rule, label: rule.lstrip("!").replace("*", label), RULE, TENANT)
HOST = st.builds(lambda labels, suffix: ".".join([*labels, suffix]), st.lists(TENANT, max_size=3), SUFFIX)


@pytest.mark.parametrize(
    ("host", "other"),
    [
        ("registry.example.com", "auth.example.com"),
        ("registry.example.com", "example.com"),
        ("a.b.registry.example.co.uk", "auth.example.co.uk"),
        ("registry.team.github.io", "auth.team.github.io"),
        ("registry.example.com", "AUTH.Example.COM."),
        ("registry.xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("registry.city.kobe.jp", "auth.city.kobe.jp"),
        ("registry-1.docker.io", "auth.docker.io"),
        ("registry.digitalocean.com", "api.digitalocean.com"),
    ],
)
def test_hosts_of_one_owner(host: str, other: str) -> None:
    """They are in one registrable domain."""
    assert related(host, other)
    assert related(other, host)


@pytest.mark.parametrize(
    ("host", "other"),
    [
        ("registry.example.com", "example.org"),
        ("example.com", "notexample.com"),
        ("example.com", "example.com.evil.net"),
        ("ours.co.uk", "theirs.co.uk"),
        ("ours.github.io", "theirs.github.io"),
        ("ours.azurecr.io", "theirs.azurecr.io"),
        ("ours.jfrog.io", "theirs.jfrog.io"),
        ("1.dkr.ecr.eu-west-1.amazonaws.com", "2.dkr.ecr.eu-west-1.amazonaws.com"),
        ("1.dkr.ecr.eu-west-1.amazonaws.com", "theirs.s3.eu-west-1.amazonaws.com"),
        ("1.dkr-ecr.eu-west-1.on.aws", "theirs.lambda-url.eu-west-1.on.aws"),
        ("1.dkr.ecr.cn-north-1.amazonaws.com.cn", "2.dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("ours.a.run.app", "theirs.a.run.app"),
        ("a.ours.elb.amazonaws.com", "b.ours.elb.amazonaws.com"),
        ("registry.ours.svc.cluster.local", "auth.theirs.svc.cluster.local"),
        ("registry.ours.svc", "auth.ours.svc"),
        ("registry.corp", "auth.corp"),
        ("registry.team.internal", "auth.team.internal"),
        ("localhost", "localhost"),
        ("com", "com"),
        ("github.io", "github.io"),
        ("azurecr.io", "azurecr.io"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1", "9.0.0.1"),
        ("0x0a.1", "0x0b.1"),
        ("", ""),
        ("registry..com", "auth..com"),
        ("a.example.com..", "b.example.com"),
        ("example.com/a.github.io", "example.com/b.github.io"),
    ],
)
def test_hosts_that_prove_no_common_owner(host: str, other: str) -> None:
    """Suffixes of registries, of landlords and of clouds; names that the world does not know; what is no name."""
    assert not related(host, other)
    assert not related(other, host)


@given(HOST)
def test_the_list_s_own_algorithm_is_followed(host: str) -> None:
    """Over all of its rules, with their wildcards and exceptions, but for the domains that are added to them."""
    expected = by_the_algorithm(host)
    assert registrable(host) == (None if expected in SHARED else expected)


@given(SUFFIX, TENANT, TENANT)
def test_tenants_of_a_suffix_never_share(suffix: str, tenant: str, other: str) -> None:
    """Of whatever suffix; where a rule makes an exception there is an owner above both, who is no landlord."""
    ours, theirs = f"{tenant}.{suffix}", f"{other}.{suffix}"
    if tenant != other and f"!{suffix}" not in rules() and by_the_algorithm(suffix) is None:
        assert not related(ours, theirs)
        assert not related(f"registry.{ours}", f"auth.{theirs}")


@given(st.sampled_from(sorted(SHARED)), TENANT, TENANT)
def test_customers_of_registries_never_share(domain: str, tenant: str, other: str) -> None:
    """Not even one customer's names: they are told from another's by rules of the landlord."""
    assert not related(f"{tenant}.{domain}", f"{other}.{domain}")
    assert not related(f"registry.{tenant}.{domain}", f"auth.{tenant}.{domain}")


@given(HOST, HOST)
def test_spelling_and_order_change_nothing(host: str, other: str) -> None:
    """Case, the dot of the root, and which of both is the registry."""
    assert related(host, other) == related(other, host)
    assert related(host, other) == related(f"{host.upper()}.", other)


@given(st.ip_addresses(), st.ip_addresses())
def test_no_address_is_related_to_another(address: object, other: object) -> None:
    """Neighbours in a network have nothing in common, and digits are no top level."""
    assert not related(str(address), str(other))


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_the_text(host: str, other: str) -> None:
    """Servers choose it."""
    assert related(host, other) in {True, False}


def test_the_list_is_never_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read from its package."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    suffixes.cache_clear()
    assert related("registry.example.com", "auth.example.com")
