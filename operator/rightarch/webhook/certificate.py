"""The certificate that the endpoint serves: put into one live TLS context, whose connections go on when it changes."""

import asyncio
import base64
import binascii
import contextlib
import logging
import os
import ssl
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

from rightarch.bell import Bell
from rightarch.certificates import expiry
from rightarch.cluster import Cluster
from rightarch.errors import SettingsError
from rightarch.following import follow
from rightarch.logs import fields
from rightarch.metrics import Metrics

if TYPE_CHECKING:
    from datetime import datetime

POLL_SECONDS: Final = 5.0
"""How often the files are looked at."""
RECHECK_SECONDS: Final = 60.0
"""How often the Secret is read although no change was seen."""

log = logging.getLogger(__name__)


class ServedCertificate:
    """What the endpoint serves.

    Attributes:
        context: the TLS context; without a certificate at first.
        loaded: set once there is one.
        expires: when the one that is served ends to be valid.
        reloads: how often another one was Loaded, was Refused because it can't be served, or was Missing.
    """

    def __init__(self) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.loaded = asyncio.Event()
        self.expires: datetime | None = None
        self.reloads: Counter[str] = Counter(Loaded=0, Refused=0, Missing=0)
        self._offered: tuple[bytes, bytes] | None = None

    def offer(self, chain: bytes, key: bytes, source: str) -> str | None:
        """Serve this certificate from now on, if it can be served and is not what was offered last.

        Args:
            chain: in PEM.
            key: in PEM.
            source: where they come from, for the log.

        Returns:
            Why it is not served, or None.
        """
        if (chain, key) == self._offered:
            return None
        self._offered = (chain, key)
        outcome, problem = self._take(chain, key)
        self.reloads[outcome] += 1
        if problem:
            kept = self.expires.isoformat() if self.expires else None
            log.warning("no certificate to serve", extra=fields(source=source, problem=problem, kept_until=kept))
        else:
            log.info("serving a certificate", extra=fields(source=source, until=self.expires))
        return problem

    def expose(self, metrics: Metrics) -> None:
        """Show the end of the certificate and the count of its reloads."""
        metrics.gauge(
            "rightarch_certificate_expiration_timestamp_seconds",
            "When the certificate that is served ends to be valid.",
            (),
            lambda: {(): self.expires.timestamp()} if self.expires else {},
        )
        metrics.counter(
            "rightarch_certificate_reloads",
            "Certificates that were found: Loaded, Refused because they can't be served, or Missing.",
            ("outcome",),
            lambda: {(outcome,): count for outcome, count in self.reloads.items()},
        )

    def _take(self, chain: bytes, key: bytes) -> tuple[str, str | None]:
        if not chain or not key:
            return "Missing", "there is none yet"
        try:
            expires = expiry(chain)
            load_chain(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), chain, key)  # a failure would harm the live context
            load_chain(self.context, chain, key)
        except (ssl.SSLError, ValueError) as error:
            return "Refused", f"no certificate chain with its own key, both in PEM: {error}"
        self.expires = expires
        self.loaded.set()
        return "Loaded", None


class Source(Protocol):
    """Where certificates come from."""

    async def keep(self, served: ServedCertificate) -> NoReturn:
        """Offer each certificate that is found, for ever."""


class Files:
    """A certificate in two files, which somebody may replace at any time.

    They are read every few seconds: a volume's files change by a link to another folder, which no watch of a file sees.
    """

    def __init__(self, cert_file: Path, key_file: Path) -> None:
        self._cert_file, self._key_file = cert_file, key_file
        self._name = f"--cert-file {cert_file} with --key-file {key_file}"

    def load(self, served: ServedCertificate) -> None:
        """Offer what is there.

        Raises:
            SettingsError: it can't be served.
        """
        try:
            problem = served.offer(self._cert_file.read_bytes(), self._key_file.read_bytes(), self._name)
        except OSError as error:
            served.offer(b"", b"", self._name)
            problem = str(error)
        if problem:
            raise SettingsError(f"{self._name}: {problem}; give a certificate chain and its own key, both in PEM")

    async def keep(self, served: ServedCertificate) -> NoReturn:
        """Offer the files' certificate whenever they change."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            with contextlib.suppress(SettingsError):  # logged and counted; files that are gone may come back
                self.load(served)


class Secret:
    """A certificate in a Secret, followed through the API: no volume, whose files lag behind by a minute or two."""

    def __init__(self, cluster: Cluster, namespace: str, name: str, failed: Callable[[], None]) -> None:
        self._cluster, self._namespace, self._name, self._failed = cluster, namespace, name, failed
        self._path = f"/api/v1/namespaces/{namespace}/secrets"

    async def keep(self, served: ServedCertificate) -> NoReturn:
        """Offer the Secret's certificate whenever it changes."""
        bell = Bell()

        async def read() -> float:
            data = (await self._cluster.read(f"{self._path}/{self._name}")).get("data") or {}
            chain, key = _decoded(data, "tls.crt"), _decoded(data, "tls.key")
            served.offer(chain, key, f"Secret {self._namespace}/{self._name}")
            return RECHECK_SECONDS

        async with asyncio.TaskGroup() as group:
            group.create_task(follow(self._cluster, self._path, bell, self._failed, self._name))
            await bell.heed(read, self._failed, f"read the Secret {self._namespace}/{self._name}")


def load_chain(context: ssl.SSLContext, chain: bytes, key: bytes) -> None:
    """Put a certificate chain and its key into a context, without a file that anybody else could read.

    Raises:
        ssl.SSLError: they are not in PEM, or do not belong together, or the key is encrypted.
    """
    with _file(chain) as chain_path, _file(key) as key_path:
        context.load_cert_chain(chain_path, key_path, password=lambda: b"")  # or OpenSSL would ask at the terminal


@contextlib.contextmanager
def _file(content: bytes) -> Iterator[str]:
    """A path under which OpenSSL, which takes no bytes, can open this content: in memory where the kernel can."""
    if sys.platform == "linux":
        with open(os.memfd_create("certificate"), "wb", buffering=0) as memory:  # noqa: PTH123 - a descriptor
            memory.write(content)
            yield f"/proc/self/fd/{memory.fileno()}"
    else:
        with tempfile.NamedTemporaryFile() as file:  # for its owner only
            file.write(content)
            file.flush()
            yield file.name


def _decoded(data: dict[str, str], key: str) -> bytes:
    try:
        return base64.b64decode(data.get(key, ""))
    except binascii.Error:
        return b""
