"""Lines: of a stream of bytes that arrives in chunks."""

from collections.abc import AsyncGenerator, AsyncIterator


async def lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The lines of a stream, without their ends, however long; what follows the last end is no line.

    The reader of lines that the API server's client brings gives up at 128 KiB, which is less than an object may have.
    """
    begun: list[bytes] = []
    async for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        if ended:
            yield b"".join((*begun, ended[0]))
            for line in ended[1:]:
                yield line
            begun.clear()
        begun.append(rest)
