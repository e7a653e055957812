"""One control plane for all tests of this layer, with nodes of two architectures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.controlplane import ControlPlane, fake_node
from tests.support.installation import NAMESPACE, Release

from .audit import Audit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """Where the API server writes down what Rightarch's accounts ask of it."""
    return Audit(tmp_path_factory.mktemp("audit"), NAMESPACE)


@pytest.fixture(scope="session")
def control_plane(audit: Audit) -> Iterator[ControlPlane]:
    """A running control plane with KWOK, shared: what a test makes there has names of its own."""
    with ControlPlane(api_server_flags=audit.flags) as running:
        running.apply(*(fake_node(f"{architecture}-node", architecture) for architecture in ("amd64", "arm64")))
        yield running


@pytest.fixture
def release(control_plane: ControlPlane, tmp_path: Path) -> Release:
    """A release that nobody has installed yet."""
    return Release(control_plane, tmp_path)
