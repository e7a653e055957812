"""Names that hang: their authors choose the name servers too."""

import asyncio
import socket
import time

from rightarch.registry.transport import resolver


async def test_names_that_hang_hold_up_nobody_else() -> None:
    """While a name server leaves 200 names unanswered, another name is resolved at once; those end as errors."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        resolving = resolver(nameservers=["127.0.0.1"], udp_port=silent.getsockname()[1])
        hanging = [asyncio.create_task(resolving.resolve(f"name-{index}.example.test", 443)) for index in range(200)]
        await asyncio.sleep(0.2)
        begun = time.monotonic()
        found = await resolving.resolve("localhost", 443)
        assert time.monotonic() - begun < 1
        assert "127.0.0.1" in {each["host"] for each in found}
        assert not any(task.done() for task in hanging)
        outcomes = await asyncio.gather(*hanging, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {OSError}
        await resolving.close()
