"""The no-op webhook in Go: what any webhook costs, to hold Rightarch against."""

import socket
import ssl
import zlib
from functools import cached_property
from pathlib import Path
from typing import Self

from tests.controlplane import CertificateAuthority, Process, free_port
from tests.controlplane.components import MODULES, Component
from tests.controlplane.workshop import Workshop
from tests.support.webhook import configuration


class OurOwn(Component):
    """A program whose source is ours: its version follows the source, so that a change builds it anew."""

    @cached_property
    def version(self) -> str:
        """A version that ends in a checksum of the source."""
        return f"v1.0.{zlib.crc32((MODULES / self.group / 'main.go').read_bytes())}"


_NOOP = OurOwn(
    name="noop-webhook",
    group="noop",
    module="rightarch.dev/tests/noop",
    package="",
    seconds=20,
    first=(1, 0, 0),
    stamps=("main.version",),
)


class NoopServer:
    """Runs the no-op webhook on loopback as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._authority = CertificateAuthority(folder / "noop-pki")
        self._port = free_port()
        certificate, key = self._authority.issue("noop")
        with Workshop() as workshop:
            program = workshop.provide(_NOOP)
        listen = f"-listen=127.0.0.1:{self._port}"
        command: list[str | Path] = [program, listen, f"-certificate={certificate}", f"-key={key}"]
        self.process = Process("no-op webhook", command, log=folder / "noop.log", ready=self._listens)

    def __enter__(self) -> Self:
        self.process.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stop()

    @property
    def url(self) -> str:
        """Where reviews go."""
        return f"https://127.0.0.1:{self._port}/mutate/pods"

    def configuration(self) -> dict[str, object]:
        """The registration that sends it what Rightarch's sends to Rightarch."""
        return configuration(self.url, self._authority.certificate)

    def context(self) -> ssl.SSLContext:
        """TLS settings that trust it."""
        return ssl.create_default_context(cafile=self._authority.certificate)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0
