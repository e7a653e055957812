"""The real control plane that tests, demo and benchmarks run against: found or built, started, stopped."""

from .binaries import binary
from .cluster import ControlPlane, KubectlError
from .nodes import fake_node
from .pki import CertificateAuthority
from .process import Process, StartError, free_port
from .rest import ApiError, Resources
from .toolchain import BuildError
from .waiting import wait_for

__all__ = [
    "ApiError",
    "BuildError",
    "CertificateAuthority",
    "ControlPlane",
    "KubectlError",
    "Process",
    "Resources",
    "StartError",
    "binary",
    "fake_node",
    "free_port",
    "wait_for",
]
