"""What a process of ours exposes on its port of health, read as often as a test likes."""

from __future__ import annotations

import ssl
from typing import Final

import httpx

PLAIN: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""The port speaks plain HTTP. Without this, httpx would load all public authorities for each request: 20 ms of CPU."""

SCRAPE_SECONDS: Final = 30


class Samples(dict[str, float]):
    """The samples of one scrape, by name with labels as they are exposed.

    A sample with labels first appears once it was counted, so one of a family that is exposed counts as nought until
    then. A family that is not exposed at all stays a KeyError.

    Args:
        exposition: the text of the scrape.
    """

    def __init__(self, exposition: str) -> None:
        lines = exposition.splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        super().__init__({name: float(value) for name, _, value in samples})
        self._families = {line.split()[2] for line in lines if line.startswith("# TYPE ")}

    def __missing__(self, name: str) -> float:
        family, labelled, _ = name.partition("{")
        if labelled and family in self._families:
            return 0.0
        raise KeyError(name)


def metrics_of(health: str) -> Samples:
    """The metrics at a base address."""
    answer = httpx.get(f"{health}/metrics", trust_env=False, verify=PLAIN, timeout=SCRAPE_SECONDS)
    return Samples(answer.raise_for_status().text)
