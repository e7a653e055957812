"""A certificate authority for processes on loopback."""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOOPBACK = ("127.0.0.1", "localhost")
DAY = timedelta(days=1)
CLOCK_SKEW = timedelta(minutes=5)


class CertificateAuthority:
    """Signs certificates; its own is the file `certificate`, in PEM.

    Args:
        folder: where the files are written; made if it does not exist.
        common_name: the authority's name; two authorities in one chain of trust need two names.
    """

    def __init__(self, folder: Path, common_name: str = "Rightarch tests") -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.certificate = folder / "ca.crt"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(common_name)
        self._issued = 0
        now = datetime.now(UTC)
        builder = _builder(self._name, self._name, self._key.public_key(), now, now + 365 * DAY)
        usage = _key_usage(signs_certificates=True)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(usage, critical=True)
        signed = builder.sign(self._key, hashes.SHA256())
        self.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        common_name: str,
        sans: Sequence[str] = LOOPBACK,
        organization: str | None = None,
        *,
        lifetime: timedelta = 365 * DAY,
    ) -> tuple[Path, Path]:
        """Issue a certificate that serves as a server's and as a client's.

        Args:
            common_name: for a client of Kubernetes, the user.
            sans: host names and IP addresses it is valid for.
            organization: for a client of Kubernetes, the group.
            lifetime: how long it is valid from now; negative for one that has expired.

        Returns:
            The PEM files of the certificate and of its key, new ones on each call.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        start = min(now, now + lifetime) - CLOCK_SKEW
        builder = _builder(_name(common_name, organization), self._name, key.public_key(), start, now + lifetime)
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(issuer, critical=False)
        )
        if sans:
            names = x509.SubjectAlternativeName([_alternative_name(name) for name in sans])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        return self._store(common_name, certificate, key)

    def _store(self, name: str, certificate: bytes, key: ec.EllipticCurvePrivateKey) -> tuple[Path, Path]:
        self._issued += 1
        stem = f"{re.sub(r'[^A-Za-z0-9.-]+', '-', name)}-{self._issued}"
        certificate_file, key_file = self.folder / f"{stem}.crt", self.folder / f"{stem}.key"
        certificate_file.write_bytes(certificate)
        write_key(key, key_file)
        return certificate_file, key_file


def write_key(key: ec.EllipticCurvePrivateKey, path: Path) -> None:
    """Write a private key as PEM that only its owner can read."""
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,  # Kubernetes derives a public key from no other form
            serialization.NoEncryption(),
        )
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common_name: str, organization: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
