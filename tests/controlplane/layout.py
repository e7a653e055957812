"""Where one control plane keeps its files, on which ports it listens, and the commands that follow."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

from cryptography.hazmat.primitives.asymmetric import ec

from .nodes import ANNOTATION
from .pki import CertificateAuthority, write_key
from .process import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

STATE = "processes.json"
HOST = "127.0.0.1"
API_NAMES = (
    HOST,
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
CLIENT_QPS, CLIENT_BURST = 500, 1000  # the controllers' defaults (20 to 50) are the bottleneck of a local run


@dataclass(frozen=True)
class Ports:
    """One free port per listener."""

    etcd: int
    etcd_peer: int
    api: int
    controllers: int
    scheduler: int
    kwok: int

    @classmethod
    def choose(cls) -> Self:
        """Ports that are free now."""
        return cls(*(free_port() for _ in fields(cls)))


class Layout:
    """The files and ports of one control plane; making it writes its keys, certificates and kubeconfig."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.home = folder / "home"
        self.kubeconfig = folder / "kubeconfig"
        self.state = folder / STATE
        self.ports = Ports.choose()
        self.authority = CertificateAuthority(folder / "pki", "Rightarch tests: control plane")
        self.certificate, self.key = self.authority.issue("admin", organization="system:masters")
        self.serving = self.authority.issue("kube-apiserver", API_NAMES)
        self.service_accounts = folder / "pki" / "service-accounts.key"
        write_key(ec.generate_private_key(ec.SECP256R1()), self.service_accounts)
        self.home.mkdir(exist_ok=True)
        self._write_kubeconfig()

    @property
    def server(self) -> str:
        """The API server's address."""
        return f"https://{HOST}:{self.ports.api}"

    @property
    def environment(self) -> dict[str, str]:
        """What every component gets: caches and scratch files stay in the folder."""
        return {"HOME": str(self.home), "TMPDIR": str(self.home), "KUBECONFIG": str(self.kubeconfig)}

    def etcd(self) -> tuple[list[str], str]:
        """The command of etcd, and the address that says when it is ready."""
        clients, peers = f"http://{HOST}:{self.ports.etcd}", f"http://{HOST}:{self.ports.etcd_peer}"
        flags = [
            "--name=n0",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=n0={peers}",
            "--unsafe-no-fsync",  # the data is thrown away; waiting for the disk would be all of the time
        ]
        return ["etcd", *flags], f"{clients}/health"

    def api_server(self, more: Sequence[str]) -> tuple[list[str], str]:
        """The command of the API server, with further flags, and the address that says when it is ready."""
        certificate, key = self.serving
        flags = [
            f"--etcd-servers=http://{HOST}:{self.ports.etcd}",
            f"--etcd-prefix=/{self.folder.name}",  # apart from anyone else's, should a port be taken twice
            f"--bind-address={HOST}",
            f"--advertise-address={HOST}",  # or it looks for the address of an outer interface
            f"--secure-port={self.ports.api}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--endpoint-reconciler-type=none",
            "--allow-privileged=true",
            "--authorization-mode=Node,RBAC",
            "--enable-aggregator-routing=true",  # a webhook's Service is reached by its EndpointSlice
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={self.authority.certificate}",
            f"--service-account-key-file={self.service_accounts}",
            f"--service-account-signing-key-file={self.service_accounts}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        ]
        return ["kube-apiserver", *flags, *more], f"{self.server}/readyz"

    def controllers(self) -> tuple[list[str], str]:
        """The command of the controller manager, and the address that says when it is ready."""
        flags = [
            f"--root-ca-file={self.authority.certificate}",
            f"--service-account-private-key-file={self.service_accounts}",
            "--node-monitor-grace-period=10m",  # nodes must stay Ready while KWOK is paused or short of CPU
        ]
        command = ["kube-controller-manager", *self._controller(self.ports.controllers), *flags]
        return command, f"https://{HOST}:{self.ports.controllers}/healthz"

    def scheduler(self) -> tuple[list[str], str]:
        """The command of the scheduler, and the address that says when it is ready."""
        command = ["kube-scheduler", *self._controller(self.ports.scheduler)]
        return command, f"https://{HOST}:{self.ports.scheduler}/readyz"

    def kwok(self, stages: Path) -> tuple[list[str], str]:
        """The command of KWOK, and the address that says when it is ready."""
        address = f"{HOST}:{self.ports.kwok}"
        flags = [
            f"--kubeconfig={self.kubeconfig}",
            f"--config={stages}",
            "--manage-all-nodes=false",
            f"--manage-nodes-with-annotation-selector={ANNOTATION}=fake",
            "--node-lease-duration-seconds=40",
            "--cidr=10.244.0.0/16",
            "--node-ip=10.0.0.10",
            f"--server-address={address}",
        ]
        return ["kwok", *flags], f"http://{address}/healthz"

    def _controller(self, port: int) -> list[str]:
        certificate, key = self.serving
        return [
            f"--kubeconfig={self.kubeconfig}",
            f"--bind-address={HOST}",
            f"--secure-port={port}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            "--leader-elect=false",
            f"--kube-api-qps={CLIENT_QPS}",
            f"--kube-api-burst={CLIENT_BURST}",
        ]

    def _write_kubeconfig(self) -> None:
        cluster = {"server": self.server, "certificate-authority-data": _base64(self.authority.certificate)}
        user = {"client-certificate-data": _base64(self.certificate), "client-key-data": _base64(self.key)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": "admin", "user": user}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "admin"}}],
            "current-context": "tests",
        }
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(json.dumps(config, indent=2) + "\n")  # JSON is YAML


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
