"""No look-up ever contacts a cloud's metadata service, however a pod's author or a registry names it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from tests.registry.canary import ADDRESSES

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace of its own takes root on Linux")


@only_root
def test_the_canary_sees_nobody() -> None:
    """In a network where these addresses answer, the client is led to each as registry, redirect and token service."""
    command = ["unshare", "--net", sys.executable, "-W", "error", "-m", "tests.registry.canary"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["reachable"] == len(ADDRESSES)
    reasons = told["reasons"]
    assert len(reasons) == 6 * (len(ADDRESSES) + 4)
    unencrypted = {name: reason for name, reason in reasons.items() if name.startswith("realm http:")}
    assert set(unencrypted.values()) == {"UntrustedRealm"}
    assert Counter(reason for name, reason in reasons.items() if name not in unencrypted) == {
        "AddressRefused": 76,
        "InvalidReference": 4,  # references have no dots in brackets
    }
    assert told["seen"] == 0
