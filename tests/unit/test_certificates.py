"""The steps of a rotation: from whatever state they come to rest, and what is served stays trusted meanwhile."""

from __future__ import annotations

import ssl
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from rightarch.certificates import (
    MOST_OLD,
    Certificate,
    Held,
    Hold,
    Issue,
    Plan,
    State,
    Step,
    Trust,
    Wait,
    authorities,
    decide,
    expiry,
    issue,
)
from rightarch.webhook.certificate import load_chain

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PLAN = Plan.of("rightarch", "rightarch-system", "192.0.2.7", 90 * DAY)
OTHER = replace(PLAN, names=("elsewhere.test",))

FRESH = issue(PLAN, NOW - DAY)
DUE = issue(PLAN, NOW - 61 * DAY)
EXPIRED = issue(PLAN, NOW - 91 * DAY)
MISNAMED = issue(OTHER, NOW - DAY)
COMING = issue(PLAN, NOW)
STRANGER = issue(PLAN, NOW - 2 * DAY).authority
SETTLED = NOW - timedelta(minutes=1)


def second_version(certificate: str) -> str:
    """A certificate as one of X.509 v2, which nothing issues."""
    der = x509.load_pem_x509_certificate(certificate.encode()).public_bytes(Encoding.DER)
    third, second = (bytes((0xA0, 3, 2, 1, number)) for number in (2, 1))
    return ssl.DER_cert_to_PEM_cert(der.replace(third, second, 1))


def bundles(*trusted: Certificate | str, webhooks: int = 2) -> tuple[frozenset[str], ...]:
    """The same bundle for each webhook."""
    return (frozenset(each if isinstance(each, str) else each.authority for each in trusted),) * webhooks


def test_a_certificate_is_valid_for_each_way_to_the_webhook() -> None:
    """The names of the Service, and the host of the URL, which is an address here."""
    names = FRESH.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [
        "rightarch.rightarch-system.svc",
        "rightarch.rightarch-system.svc.cluster.local",
        "rightarch.rightarch-system",
    ]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7"]
    assert expiry(FRESH.chain.encode()) == NOW + 89 * DAY


def test_openssl_accepts_the_certificate_under_its_authority_and_under_no_other() -> None:
    """A handshake in memory, with the name that the API server uses."""
    now = issue(PLAN, datetime.now(UTC))
    shake_hands(now, now.authority)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"unable to get local issuer|self-signed"):
        shake_hands(now, FRESH.authority)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no file in memory")
def test_a_certificate_is_served_where_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only root without a temporary folder will do; no key is on a disk."""
    monkeypatch.setattr("tempfile.tempdir", "/does/not/exist")
    now = issue(PLAN, datetime.now(UTC))
    shake_hands(now, now.authority)


def test_the_authority_signs_once_and_its_key_is_nowhere() -> None:
    """Two certificates have two authorities; what is held has one private key, that of the certificate."""
    assert FRESH.authority != COMING.authority
    data = Held(FRESH, COMING).data()
    keys = [key for key, value in data.items() if value and "PRIVATE KEY" in value]
    assert keys == ["next-tls.key", "tls.key"]
    assert "PRIVATE KEY" not in repr(Held(FRESH, COMING))


def test_what_is_held_is_read_back() -> None:
    """The Secret is all the memory that there is."""
    held = Held(FRESH, COMING, (STRANGER, DUE.authority), NOW)
    assert Held.parse(encoded(held)) == held
    assert Held.parse({}) == Held()


@pytest.mark.parametrize(
    "broken",
    [
        {"tls.crt": b"no certificate"},
        {"tls.key": COMING.key.encode()},
        {"ca.crt": COMING.authority.encode()},
        {"ca.crt": b""},
        {"tls.key": b""},
        {"tls.crt": b"\xff\xfe"},
        {"ca.crt": (FRESH.authority + COMING.authority).encode()},
        {"tls.crt": second_version(FRESH.chain).encode()},
        {"ca.crt": second_version(FRESH.authority).encode()},
    ],
    ids=[
        "no PEM",
        "another's key",
        "another's authority",
        "no authority",
        "no key",
        "no text",
        "two authorities",
        "version 2",
        "an authority of version 2",
    ],
)
def test_a_certificate_whose_parts_do_not_fit_counts_as_none(broken: dict[str, bytes]) -> None:
    """It is then made anew, and not a reason to stop."""
    assert Held.parse(encoded(Held(FRESH)) | broken) == Held()


@pytest.mark.parametrize("text", ["", "no certificate", second_version(FRESH.authority)], ids=["none", "text", "v2"])
def test_what_is_no_certificate_is_trusted_by_nobody(text: str) -> None:
    """Whoever writes a bundle may write anything."""
    assert authorities(text) == authorities(FRESH.authority + text)[1:] == ()
    with pytest.raises(ValueError, match=r"PEM|version"):
        expiry(text.encode())


def test_keys_of_others_in_the_secret_are_left_alone() -> None:
    """And a Secret of type kubernetes.io/tls must keep tls.crt and tls.key, even without a certificate in them."""
    assert set(Held().data()) == {"next-tls.crt", "next-tls.key", "next-ca.crt", "old-ca.crt", "old-ca.until"}
    assert set(Held().data().values()) == {None}


CASES = {
    "nothing there: make one": (Held(), bundles(), None, Issue("there is no usable certificate")),
    "made: trust it": (Held(next=COMING), bundles(), None, Trust((COMING.authority,), "")),
    "the first one is served at once": (Held(next=COMING), bundles(COMING), None, Hold(Held(COMING), "")),
    "served and trusted: nothing to do": (Held(FRESH), bundles(FRESH), None, Wait(60, "")),
    "due: make the next one": (Held(DUE), bundles(DUE), None, Issue("the certificate is to be renewed")),
    "the next is trusted beside the served one": (
        Held(DUE, COMING),
        bundles(DUE),
        None,
        Trust((DUE.authority, COMING.authority), ""),
    ),
    "every API server has a minute to see it": (Held(DUE, COMING), bundles(DUE, COMING), NOW, Wait(60, "")),
    "after a restart the minute begins again": (Held(DUE, COMING), bundles(DUE, COMING), None, Wait(60, "")),
    "then it is served, and the old authority kept for a day": (
        Held(DUE, COMING),
        bundles(DUE, COMING),
        SETTLED,
        Hold(Held(COMING, None, (DUE.authority,), NOW + DAY), ""),
    ),
    "the old authority stays in the bundle": (
        Held(FRESH, None, (DUE.authority,), NOW + DAY),
        bundles(FRESH, DUE),
        None,
        Wait(60, ""),
    ),
    "after its day it leaves the bundle first": (
        Held(FRESH, None, (DUE.authority,), NOW),
        bundles(FRESH, DUE),
        None,
        Trust((FRESH.authority,), ""),
    ),
    "and then the Secret": (Held(FRESH, None, (DUE.authority,), NOW), bundles(FRESH), None, Hold(Held(FRESH), "")),
    "an expired authority leaves before its day is over": (
        Held(FRESH, None, (EXPIRED.authority,), NOW + DAY),
        bundles(FRESH, EXPIRED),
        None,
        Trust((FRESH.authority,), ""),
    ),
    "a wiped bundle is filled": (Held(FRESH), bundles(), None, Trust((FRESH.authority,), "")),
    "and so is that of one webhook only": (
        Held(FRESH),
        (frozenset({FRESH.authority}), frozenset()),
        None,
        Trust((FRESH.authority,), ""),
    ),
    "a wiped bundle is filled even if the certificate is due": (
        Held(DUE),
        bundles(),
        None,
        Trust((DUE.authority,), ""),
    ),
    "an emptied Secret: webhooks serve from memory, so what was trusted stays trusted": (
        Held(),
        bundles(FRESH),
        None,
        Hold(Held(None, None, (FRESH.authority,), NOW + DAY), ""),
    ),
    "and the new one waits for the API servers": (
        Held(None, COMING, (FRESH.authority,), NOW + DAY),
        bundles(FRESH, COMING),
        NOW,
        Wait(60, ""),
    ),
    "another way to certificates was left: its authority is kept for a day": (
        Held(FRESH),
        bundles(STRANGER),
        None,
        Hold(Held(FRESH, None, (STRANGER,), NOW + DAY), ""),
    ),
    "an expired stranger is not kept": (Held(FRESH), bundles(FRESH, EXPIRED), None, Trust((FRESH.authority,), "")),
    "a name is missing: there is nothing to wait for": (
        Held(MISNAMED, COMING),
        bundles(MISNAMED, COMING),
        NOW,
        Hold(Held(COMING, None, (MISNAMED.authority,), NOW + DAY), ""),
    ),
    "nor after the end of the served one": (
        Held(EXPIRED, COMING),
        bundles(EXPIRED, COMING),
        NOW,
        Hold(Held(COMING, None, (EXPIRED.authority,), NOW + DAY), ""),
    ),
    "a next one that became due itself is made anew": (
        Held(EXPIRED, DUE),
        bundles(EXPIRED, DUE),
        SETTLED,
        Issue("the certificate is to be renewed"),
    ),
    "a next one that nobody needs is forgotten": (
        Held(FRESH, COMING),
        bundles(FRESH, COMING),
        SETTLED,
        Hold(Held(FRESH), ""),
    ),
    "a configuration without webhooks holds nothing up": (Held(next=COMING), (), None, Hold(Held(COMING), "")),
}


@pytest.mark.parametrize(("held", "trusted", "since", "step"), CASES.values(), ids=CASES.keys())
def test_step(held: Held, trusted: tuple[frozenset[str], ...], since: datetime | None, step: Step) -> None:
    """One step for each state."""
    found = decide(State(held, trusted, since), PLAN, NOW)
    assert replace(found, why="") == replace(step, why="")
    assert not isinstance(found, Issue) or found == step


def test_a_shorter_lifetime_holds_for_the_certificate_that_is_there() -> None:
    """Who asks for a day does not wait for the end of the 90 days."""
    state = State(Held(FRESH), bundles(FRESH))
    assert isinstance(decide(state, replace(PLAN, lifetime=DAY), NOW), Issue)
    assert isinstance(decide(state, replace(PLAN, lifetime=10 * DAY), NOW), Wait)


def test_certificates_are_renewed_between_58_and_67_percent_of_their_lifetime() -> None:
    """Not all clusters of a fleet in the same minute."""
    renewals = {(issue(PLAN, NOW).renewal(PLAN.lifetime) - NOW) / PLAN.lifetime for _ in range(40)}
    assert min(renewals) >= 0.58
    assert max(renewals) <= 0.67
    assert max(renewals) - min(renewals) > 0.02


def test_a_flood_of_authorities_is_not_kept() -> None:
    """The Secret can't be made to grow without end."""
    many = [issue(PLAN, NOW).authority for _ in range(MOST_OLD + 3)]
    step = decide(State(Held(FRESH), bundles(FRESH, *many)), PLAN, NOW)
    assert isinstance(step, Hold)
    assert len(step.held.old) == MOST_OLD
    following = decide(State(step.held, bundles(FRESH, *many)), PLAN, NOW)
    assert isinstance(following, Trust)
    assert set(following.authorities) == {FRESH.authority, *step.held.old}


POOL = [FRESH, DUE, EXPIRED, MISNAMED, COMING, issue(PLAN, NOW - 30 * DAY)]
CHOICE = st.none() | st.sampled_from(POOL)
TRUSTED = st.frozensets(st.sampled_from([*(each.authority for each in POOL), STRANGER]))
STATES = st.builds(
    State,
    st.builds(
        Held,
        CHOICE,
        CHOICE,
        st.lists(st.sampled_from([each.authority for each in POOL]), max_size=3, unique=True).map(tuple),
        st.none() | st.sampled_from([NOW - DAY, NOW + DAY / 2]),
    ),
    st.lists(TRUSTED, min_size=0, max_size=3).map(tuple),
)


@settings(deadline=None)
@given(STATES)
def test_from_any_state_the_steps_come_to_rest_and_what_is_served_stays_trusted(state: State) -> None:
    """With time passing as told, and a crash between any two steps: nothing but Secret and bundles is remembered."""
    now, since = NOW, None
    served, taken = state.held.current, 0
    while True:
        before, state = state, replace(state, trusted_since=(since or now) if state.trusts_next else None)
        since = state.trusted_since
        step = decide(state, PLAN, now)
        if isinstance(step, Wait) and not step.why.startswith("until"):
            break
        state, now = applied(step, state, now)
        taken += 1
        assert taken < 15, "no rest"
        if served and all(served.authority in bundle for bundle in before.bundles):
            current = state.held.current or served
            assert all(current.authority in bundle for bundle in state.bundles), step
        served = state.held.current or served
    assert served is not None
    assert served.covers(PLAN.names)
    assert now < served.renewal(PLAN.lifetime)
    assert state.held.next is None
    assert all(served.authority in bundle for bundle in state.bundles)


@settings(deadline=None)
@given(STATES)
def test_an_authority_that_may_be_in_use_stays_for_its_day(state: State) -> None:
    """A replica that has not yet seen the new certificate is trusted: only what is old and overdue leaves a bundle."""
    held = state.held
    overdue = set(held.old) if held.old_until is None or held.old_until <= NOW else set()
    serving = {each.authority for each in (held.current, held.next) if each}
    step = decide(state, PLAN, NOW)
    if isinstance(step, Trust):
        gone = frozenset().union(*state.bundles) - set(step.authorities) - (overdue - serving)
        assert all(expiry(each.encode()) <= NOW for each in gone)


def applied(step: Step, state: State, now: datetime) -> tuple[State, datetime]:
    """What a step makes of the world."""
    match step:
        case Issue():
            return replace(state, held=replace(state.held, next=issue(PLAN, now))), now
        case Hold(held):
            return replace(state, held=Held.parse(encoded(held))), now
        case Trust(trusted):
            assert authorities("".join(trusted)) == trusted
            return replace(state, bundles=(frozenset(trusted),) * len(state.bundles)), now
        case Wait(seconds):
            return state, now + timedelta(seconds=seconds)


def encoded(held: Held) -> dict[str, bytes]:
    """The Secret's data as it is read."""
    return {key: value.encode() for key, value in held.data().items() if value is not None}


def shake_hands(served: Certificate, authority: str) -> None:
    """A TLS handshake as the API server begins it.

    Raises:
        ssl.SSLCertVerificationError: the certificate is not trusted.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_chain(context, served.chain.encode(), served.key.encode())
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    client.load_verify_locations(cadata=authority)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends: list[Any] = [
        client.wrap_bio(to_client, to_server, server_hostname="rightarch.rightarch-system.svc"),
        context.wrap_bio(to_server, to_client, server_side=True),
    ]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)
