"""One control plane for all tests of this layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.controlplane import ControlPlane

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """A running control plane with KWOK, shared: what a test makes there has names of its own."""
    with ControlPlane() as running:
        yield running
