"""An engine's connection that lives while its subscriptions are dead, as behind a proxy that has lost its way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

PUSH = b"*3\r\n$7\r\nmessage\r\n"
"""What a payload of a subscription begins with (RESP2)."""


class DeafProxy:
    """Passes everything on, but while `deaf` nothing that begins with a payload of a subscription."""

    def __init__(self, engine_url: str) -> None:
        self._engine = urlsplit(engine_url)
        self.deaf = False
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, and its own to the engine."""
        if self._engine.scheme == "unix":
            engine_reader, engine_writer = await asyncio.open_unix_connection(self._engine.path)
        else:
            engine_reader, engine_writer = await asyncio.open_connection(self._engine.hostname, self._engine.port)
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(self._pass(reader, engine_writer), self._pass(engine_reader, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                if not (self.deaf and data.startswith(PUSH)):
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def deaf_proxy(engine_url: str) -> AsyncIterator[DeafProxy]:
    """A proxy before the engine at `engine_url`, for as long as the block runs."""
    proxy = DeafProxy(engine_url)
    connections: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(proxy.serve(reader, writer))
        connections.add(task)
        await asyncio.wait([task])

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
    try:
        yield proxy
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
