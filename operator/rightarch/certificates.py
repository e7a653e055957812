"""Certificates of the webhook: what a rotation must do next, and the making of a certificate.

Everything is in two places: a Secret (``Held``), which the webhook serves from, and the ``caBundle`` of each webhook
in the configuration, which the API server trusts by. ``decide`` looks at both and names one step; each step is one
write, after which it is asked again, so that a crash between any two steps costs nothing but the time of a restart.

The order, which is why no admission ever meets a certificate that is not trusted:

1. a new certificate is made and kept beside the one that is served;
2. its authority joins the others in every bundle;
3. once each API server must have seen that, the new certificate takes the place of the old;
4. once each webhook must have seen that, the old authority leaves the bundles.

Each certificate has an authority of its own, whose key signs it and is then forgotten: it is never written anywhere,
so that nobody who reads the Secret can make a further certificate that the API server trusts.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SKEW: Final = timedelta(minutes=5)
"""How far a clock may be behind ours: certificates are valid from that much before they are made."""
SETTLING: Final = timedelta(minutes=1)
"""How long a bundle stands before a certificate that needs it is served; never more than a 20th of a lifetime."""
RETIREMENT: Final = timedelta(days=1)
"""How long an authority is trusted after its certificate was replaced; never more than a quarter of a lifetime."""
RECHECK: Final = timedelta(minutes=1)
"""How long nothing is looked at although nothing seems to have changed."""
RENEWED: Final = 2 / 3
"""The part of its lifetime after which a certificate is replaced, at the latest."""
EARLIER: Final = 1 / 12
"""By how much of its lifetime it may be replaced earlier: each certificate by its own part of this."""
MOST_OLD: Final = 8
"""How many authorities are kept that sign nothing any more."""

_CURRENT: Final = ("tls.crt", "tls.key", "ca.crt")
_NEXT: Final = ("next-tls.crt", "next-tls.key", "next-ca.crt")
_OLD: Final = "old-ca.crt"
_OLD_UNTIL: Final = "old-ca.until"


@dataclass(frozen=True)
class Plan:
    """What certificates are wanted.

    Attributes:
        names: DNS names and IP addresses that the API server may reach the webhook by.
        lifetime: how long a certificate is valid.
    """

    names: tuple[str, ...]
    lifetime: timedelta

    @classmethod
    def of(cls, service: str | None, namespace: str, host: str | None, lifetime: timedelta) -> Self:
        """The plan for a webhook behind a Service, or at the host of a URL, or both; without a port."""
        forms = (f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local", f"{service}.{namespace}")
        return cls((*(forms if service else ()), *((host,) if host else ())), lifetime)

    @property
    def settling(self) -> timedelta:
        """How long a bundle stands before a certificate that needs it is served."""
        return min(SETTLING, self.lifetime / 20)

    @property
    def retirement(self) -> timedelta:
        """How long an authority is trusted after its certificate was replaced."""
        return min(RETIREMENT, self.lifetime / 4)


@dataclass(frozen=True)
class Certificate:
    """A serving certificate that its key and its authority fit. All texts are PEM.

    Attributes:
        chain: the certificate, and what comes after it.
        authority: the certificate of the authority that signed it.
        leaf: the certificate, parsed.
    """

    chain: str
    key: str
    authority: str
    leaf: x509.Certificate

    def __repr__(self) -> str:
        return f"Certificate(serial={self.leaf.serial_number:x}, until={self.leaf.not_valid_after_utc:%FT%TZ})"

    @classmethod
    def of(cls, chain: str, key: str, authority: str) -> Self | None:
        """The certificate in three texts; None where they are none, or do not belong together."""
        try:
            leaf = _load(chain)[0]
            public = serialization.load_pem_private_key(key.encode(), None).public_key()
            (issuer,) = _load(authority)
            leaf.verify_directly_issued_by(issuer)
            _ = leaf.extensions  # parsed here, so that what is broken is told here
        except (ValueError, TypeError, IndexError, InvalidSignature, UnsupportedAlgorithm, x509.DuplicateExtension):
            return None
        return cls(chain, key, _pem(issuer), leaf) if public == leaf.public_key() else None

    def covers(self, names: Iterable[str]) -> bool:
        """Whether it is valid for all these names."""
        try:
            found = self.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return False
        return {_alternative(name) for name in names} <= set(found)

    def expired(self, now: datetime) -> bool:
        """Whether it is not valid any more."""
        return now >= self.leaf.not_valid_after_utc

    def renewal(self, lifetime: timedelta) -> datetime:
        """When it is to be replaced; ``lifetime`` is the one that is wanted now, where that is less than its own."""
        made = self.leaf.not_valid_before_utc + SKEW
        whole = min(lifetime, self.leaf.not_valid_after_utc - made)
        return made + whole * (RENEWED - EARLIER * (self.leaf.serial_number % 997 / 997))


@dataclass(frozen=True)
class Held:
    """What the Secret holds.

    Attributes:
        current: what webhooks serve.
        next: what they will serve, once it is trusted.
        old: authorities of certificates that a webhook may still serve.
        old_until: until when these are trusted.
    """

    current: Certificate | None = None
    next: Certificate | None = None
    old: tuple[str, ...] = ()
    old_until: datetime | None = None

    @classmethod
    def parse(cls, data: Mapping[str, bytes]) -> Self:
        """What is in the Secret's data, decoded from base64; what is broken counts as absent."""
        text = {key: value.decode("ascii", "replace") for key, value in data.items()}
        current, coming = (Certificate.of(*(text.get(key, "") for key in keys)) for keys in (_CURRENT, _NEXT))
        return cls(current, coming, authorities(text.get(_OLD, "")), _time(text.get(_OLD_UNTIL, "")))

    def data(self) -> dict[str, str | None]:
        """The Secret's data, before base64, with None where a key has to go; keys of others are not named.

        Nor are those of the served certificate where there is none: a Secret of type kubernetes.io/tls must have them.
        """
        texts = _texts(_NEXT, self.next) | (_texts(_CURRENT, self.current) if self.current else {})
        until = self.old_until.isoformat() if self.old and self.old_until else None
        return texts | {_OLD: "".join(self.old) or None, _OLD_UNTIL: until}

    def retire(self, more: Iterable[str], until: datetime) -> Self:
        """With further old authorities, the oldest of which give way where there are too many."""
        old = tuple(dict.fromkeys((*self.old, *more)))[-MOST_OLD:]
        return replace(self, old=old, old_until=max(until, self.old_until or until))

    @property
    def authorities(self) -> frozenset[str]:
        """All authorities that are named."""
        return frozenset({*self.old, *(each.authority for each in (self.current, self.next) if each)})


@dataclass(frozen=True)
class State:
    """All that a decision depends on, but for the plan and the time.

    Attributes:
        held: what the Secret holds.
        bundles: the authorities that the API server trusts, for each webhook of the configuration.
        trusted_since: since when every bundle is known to have the authority of ``held.next``.
    """

    held: Held
    bundles: tuple[frozenset[str], ...]
    trusted_since: datetime | None = None

    @property
    def trusts_next(self) -> bool:
        """Whether every bundle has the authority of the next certificate."""
        return self.held.next is not None and all(self.held.next.authority in bundle for bundle in self.bundles)


@dataclass(frozen=True)
class Issue:
    """Make a certificate, and hold it as the next one."""

    why: str


@dataclass(frozen=True)
class Hold:
    """Write the Secret."""

    held: Held
    why: str


@dataclass(frozen=True)
class Trust:
    """Write every bundle."""

    authorities: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Wait:
    """Do nothing for this long, unless something changes."""

    seconds: float
    why: str


Step = Issue | Hold | Trust | Wait


def decide(state: State, plan: Plan, now: datetime) -> Step:
    """The next step: one write, or to wait. Asked again and again it comes to rest, from whatever state."""
    held = state.held
    if strangers := _strangers(state, now):
        return Hold(held.retire(strangers, now + plan.retirement), "keep trusting what was trusted, for a while")
    wanted = _wanted(held, now)
    if wanted and any(bundle != set(wanted) for bundle in state.bundles):
        return Trust(wanted, "the API server must trust what is served, what will be and what was")
    due = _due(held.current, plan, now)
    if due is None:
        return _tidy(held, plan, now)
    if held.next is None or _due(held.next, plan, now):
        return Issue(due)
    return _switch(held, held.next, state, plan, now)


def issue(plan: Plan, now: datetime) -> Certificate:
    """Make a certificate for the plan's names, by an authority that is made for it alone."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    issuer, until = _name(f"Rightarch authority {serial:x}"[:64]), now + plan.lifetime
    root = _builder(issuer, issuer, authority.public_key(), now, until)
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    root = root.add_extension(_usage(signs=True), critical=True)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
    leaf = _builder(_name("Rightarch webhook"), issuer, key.public_key(), now, until)
    leaf = leaf.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    leaf = leaf.add_extension(_usage(signs=False), critical=True)
    leaf = leaf.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    leaf = leaf.add_extension(x509.SubjectAlternativeName(list(map(_alternative, plan.names))), critical=False)
    signed = leaf.add_extension(identifier, critical=False).sign(authority, hashes.SHA256())
    return Certificate(_pem(signed), _key_pem(key), _pem(root.sign(authority, hashes.SHA256())), signed)


def authorities(bundle: str) -> tuple[str, ...]:
    """The certificates of a bundle, each as canonical PEM; none if it is not one."""
    try:
        return tuple(dict.fromkeys(map(_pem, _load(bundle))))
    except ValueError:
        return ()


def expiry(chain: bytes) -> datetime:
    """When the first certificate of a chain in PEM ends to be valid.

    Raises:
        ValueError: it is no certificate.
    """
    with _checked_version():
        return x509.load_pem_x509_certificate(chain).not_valid_after_utc


def _load(texts: str) -> list[x509.Certificate]:
    """All certificates in PEM, one at least.

    Raises:
        ValueError: they are none.
    """
    with _checked_version():
        return x509.load_pem_x509_certificates(texts.encode())


@contextmanager
def _checked_version() -> Iterator[None]:
    """Make a version that there is no more, X.509 v2, what all else is that can't be read: it has an error apart."""
    try:
        yield
    except x509.InvalidVersion as error:
        raise ValueError(str(error)) from error


def _strangers(state: State, now: datetime) -> list[str]:
    """Authorities that are trusted although nothing is known of them: some webhook may serve by them.

    The Secret may have been emptied, or restored, or another way to certificates was left a moment ago.
    """
    trusted = dict.fromkeys(authority for bundle in state.bundles for authority in sorted(bundle))
    room = max(0, MOST_OLD - len(state.held.old))
    return [each for each in trusted if each not in state.held.authorities and not _expired(each, now)][:room]


def _wanted(held: Held, now: datetime) -> tuple[str, ...]:
    """What a bundle should have, in the order in which it comes into use."""
    retired = held.old if held.old_until and now < held.old_until else ()
    serving = [each.authority for each in (held.current, held.next) if each]
    return tuple(dict.fromkeys((*(each for each in retired if not _expired(each, now)), *serving)))


def _due(certificate: Certificate | None, plan: Plan, now: datetime) -> str | None:
    """Why a certificate must be replaced, or None."""
    if certificate is None:
        return "there is no usable certificate"
    if not certificate.covers(plan.names):
        return "the certificate lacks a name"
    if now >= certificate.renewal(plan.lifetime):
        return "the certificate is to be renewed"
    return None


def _switch(held: Held, coming: Certificate, state: State, plan: Plan, now: datetime) -> Step:
    """Serve the next certificate, once every API server must have seen that it is trusted."""
    since = state.trusted_since or now
    left = (since + plan.settling - now).total_seconds()
    if left > 0 and _useful(held, plan, now):
        return Wait(left, "until every API server trusts the next certificate")
    retired = (held.current.authority,) if held.current else ()
    served = replace(held, current=coming, next=None)
    return Hold(served.retire(retired, now + plan.retirement) if retired else served, "serve the next certificate")


def _useful(held: Held, plan: Plan, now: datetime) -> bool:
    """Whether waiting costs no admission: there is something served that the API server accepts."""
    if held.current is None:
        return bool(held.old)
    return held.current.covers(plan.names) and not held.current.expired(now)


def _tidy(held: Held, plan: Plan, now: datetime) -> Step:
    """Forget what is of no use any more; otherwise there is nothing to do."""
    assert held.current, "a certificate that is not due is there"
    kept = replace(held, next=None)
    if held.old and (held.old_until is None or now >= held.old_until):
        kept = replace(kept, old=(), old_until=None)
    if kept != held:
        return Hold(kept, "forget what is not served any more")
    times = [held.current.renewal(plan.lifetime), now + RECHECK, *([held.old_until] if held.old_until else [])]
    return Wait((min(times) - now).total_seconds(), "the certificate is good")


def _texts(keys: tuple[str, ...], held: Certificate | None) -> dict[str, str | None]:
    texts = (held.chain, held.key, held.authority) if held else (None,) * 3
    return dict(zip(keys, texts, strict=True))


def _expired(authority: str, now: datetime) -> bool:
    return now >= expiry(authority.encode())


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - SKEW).not_valid_after(until)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs: bool) -> x509.KeyUsage:
    others = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
        **others,
    )
