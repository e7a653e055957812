"""The sender: requests on their way, each through its host's circuit, equal ones once.

The transport sends what it is given. Here it is settled whether anything is sent at all, for how long it is waited
for, and what the outcome says about the host.
"""

import asyncio
from collections.abc import Callable, Hashable
from typing import Final

import httpx

from rightarch.errors import ImageError
from rightarch.registry import failures
from rightarch.registry.circuit import PROBE_SECONDS, Circuits
from rightarch.registry.options import RegistryOptions
from rightarch.registry.stats import Stats
from rightarch.registry.transport import Transport

CLIENT: Final = "client"
"""The extension of a request that tells in whose name it is sent: a fingerprint of the credential, None for nobody."""
SHARED: Final = "shared"
"""The extension of a request that is sent once, however many send it at the same time: a key, equal for equal ones."""
PATIENCE: Final = "patience"
"""The extension of a request that says for how many seconds it is waited at most."""

_BLAMED: Final = 0.25
"""The part of a look-up's time that a request must have had for its host to be blamed when that time is over."""


class Sender:
    """Sends requests, spares hosts that fail, and remembers which do."""

    def __init__(self, options: RegistryOptions, stats: Stats, clock: Callable[[], float]) -> None:
        self._timeout = options.lookup_timeout
        self._stats = stats
        self._transport = Transport(options, stats)
        self._circuits = Circuits(clock)
        self._shared: dict[Hashable, asyncio.Task[httpx.Response | ImageError]] = {}
        stats.open_circuits = self._circuits.open

    async def send(self, request: httpx.Request) -> httpx.Response:
        """The answer to a request; never one with status 429, nor of a fault of the server (5xx but 501).

        Raises:
            ImageError: why there is none. One that is transient says when its host may be asked again, if that is
                not at once.
        """
        key: Hashable = request.extensions.get(SHARED)
        if key is None:
            return await self._send(request)
        task = self._shared.get(key) or self._share(key, request)
        await asyncio.wait([task])  # unlike awaiting the task, this leaves it to the others when it is cancelled
        outcome = task.result()
        if isinstance(outcome, ImageError):
            raise failures.again(outcome)
        return outcome

    async def aclose(self) -> None:
        """End what is under way, and close all connections."""
        running = list(self._shared.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._transport.aclose()

    def _share(self, key: Hashable, request: httpx.Request) -> asyncio.Task[httpx.Response | ImageError]:
        task = asyncio.create_task(self._caught(request))
        self._shared[key] = task
        task.add_done_callback(lambda _: self._let_go(key))
        return task

    def _let_go(self, key: Hashable) -> None:
        """Share no more, once whoever waits has taken note of the outcome: that is in the next turn of the loop.

        Else who comes in between would send the same again.
        """
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._shared.pop, key)

    async def _caught(self, request: httpx.Request) -> httpx.Response | ImageError:
        """An answer or an error: nobody may be waiting for it any more."""
        request.extensions.setdefault(PATIENCE, self._timeout)
        try:
            return await self._send(request)
        except ImageError as error:
            return failures.again(error)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            passage = self._circuits.admit(request.url.netloc, request.extensions.get(CLIENT))
        except ImageError:
            self._stats.spared += 1
            raise
        patience: float | None = request.extensions.get(PATIENCE)
        if passage.probe:
            patience = min(patience or PROBE_SECONDS, PROBE_SECONDS)
        started = asyncio.get_running_loop().time()
        try:
            response = await self._answer(request, patience)
        except ImageError as error:
            raise passage.failed(error) from None
        except asyncio.CancelledError:
            spent = asyncio.get_running_loop().time() - started
            if spent >= self._timeout * _BLAMED:
                passage.failed(failures.slow(request.url, spent))
            else:
                passage.abandoned()
            raise
        except BaseException:
            passage.abandoned()
            raise
        passage.answered()
        return response

    async def _answer(self, request: httpx.Request, patience: float | None) -> httpx.Response:
        try:
            async with asyncio.timeout(patience):
                response = await self._transport.send(request)
        except TimeoutError:
            raise failures.slow(request.url, patience or 0.0) from None
        if error := failures.of_server(response, "token service" if SHARED in request.extensions else "registry"):
            raise error
        return response
