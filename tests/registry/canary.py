"""A network of its own, where a canary listens on the addresses of clouds' metadata: run by ``unshare --net``.

Prints, as JSON: how many addresses the canary answers on, the Reason of each attempt to make the registry client
contact one, and how many connections the canary saw during them. The namespace has no way out: nothing can leave it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from typing import TYPE_CHECKING

from rightarch.errors import ImageError
from rightarch.reference import Reference
from rightarch.registry import AnonymousKeychain, Registry, RegistryOptions
from tests.registry.faults import Asked, FaultServer, answer

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESSES = (
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "169.254.0.1",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1234%lo",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
)
PORTS = (80, 443)


def addresses_of_our_own() -> None:
    """Bring up loopback, and give it all of the addresses."""
    commands = ["link set lo up"]
    for address in ADDRESSES:
        length = 128 if ":" in address else 32
        commands.append(f"addr add {address.partition('%')[0]}/{length} dev lo" + (" nodad" if length > 32 else ""))
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)


def hosts() -> Iterator[str]:
    """The addresses as a URL or a reference has them, and forms that mean the same."""
    for address in ADDRESSES:
        plain = address.partition("%")[0]
        yield f"[{plain}]" if ":" in plain else plain
    yield from ("[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[::a9fe:a9fe]", "[::ffff:100.100.100.200]")


class Canary:
    """Listens on both ports of every address, and counts who comes."""

    def __init__(self) -> None:
        self.seen = 0

    async def listen(self) -> None:
        """Begin; the namespace ends with the process."""
        for port in PORTS:
            for host in ("0.0.0.0", "::"):  # noqa: S104 - in a network of its own
                await asyncio.start_server(self._count, host, port)

    async def _count(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen += 1
        writer.write(answer(200, b"secret-access-key"))
        writer.close()

    async def reachable(self) -> int:
        """How many of the addresses it sings on; else silence would prove nothing."""
        for address in ADDRESSES:
            for port in PORTS:
                _, writer = await asyncio.open_connection(address, port)
                writer.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(30):
                while self.seen < len(ADDRESSES) * len(PORTS):  # noqa: ASYNC110 - a number tells nobody
                    await asyncio.sleep(0.01)
        found, self.seen = self.seen, 0
        return found // len(PORTS)


async def attempts(registry: Registry) -> dict[str, str]:
    """The Reason of each way to name an address: as registry, in a redirect, as token service."""
    found: dict[str, str] = {}
    location = ""

    async def handle(asked: Asked, writer: asyncio.StreamWriter) -> None:
        realm = f'Bearer realm="{location}"'
        reply = answer(401, www_authenticate=realm) if "/realm/" in asked.path else answer(307, location=location)
        writer.write(reply)

    async with FaultServer(None, handle) as server:
        for host in hosts():
            for port in PORTS:
                found[f"registry {host}:{port}"] = await outcome(registry, f"{host}:{port}/app:1")
            for scheme in ("http", "https"):
                location = f"{scheme}://{host}/latest/meta-data/"
                for way in ("redirect", "realm"):
                    name = f"{server.host}/{way}/{len(found)}:1"
                    found[f"{way} {location}"] = await outcome(registry, name)
    return found


async def outcome(registry: Registry, name: str) -> str:
    """The Reason for which an image is not known."""
    try:
        await registry.platforms(Reference.parse(name), AnonymousKeychain())
    except ImageError as error:
        return str(error.reason)
    return "Found"


async def main() -> None:
    """Make all attempts, and print what came of them."""
    canary, registry = Canary(), Registry(RegistryOptions(allow_loopback=True, lookup_timeout=60.0))
    await canary.listen()
    reachable = await canary.reachable()
    reasons = await attempts(registry)
    await registry.aclose()
    await asyncio.sleep(0.1)
    print(json.dumps({"reachable": reachable, "reasons": reasons, "seen": canary.seen}))


if __name__ == "__main__":
    addresses_of_our_own()
    asyncio.run(main())
