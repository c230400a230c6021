"""An event stream as its bytes come: a raw connection, and the blocks of lines it sends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec import Struct


class Event(Struct):
    """One block: its message, if it has data, and the fields beside it."""

    message: dict[str, Any] | None
    id: str | None
    retry: int | None
    raw: bytes


class EventReader:
    """Sends one request; `head` is what came before the first block."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.head = b""

    async def ask(self, query: str = "", *headers: str, method: str = "GET") -> EventReader:
        lines = [f"{method} /voting/results/stream{query} HTTP/1.1", "Host: x", *headers, "", ""]
        self.writer.write("\r\n".join(lines).encode("latin-1"))
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        return self

    @property
    def status(self) -> int:
        return int(self.head.split()[1])

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:-2]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    async def block(self) -> Event:
        """The next block of lines, comments included."""
        raw = await self.reader.readuntil(b"\n\n")
        fields: dict[bytes, bytes] = {}
        for line in raw.splitlines()[:-1]:
            name, _, value = line.partition(b": ")
            assert name in {b"id", b"retry", b"data", b":"} and name not in fields, raw
            fields[name] = value
        data = fields.get(b"data")
        return Event(
            None if data is None else msgspec.json.decode(data),
            fields[b"id"].decode() if b"id" in fields else None,
            int(fields[b"retry"]) if b"retry" in fields else None,
            raw,
        )

    async def event(self, *types: str) -> Event:
        """The next block with a message, or with one of `types`."""
        while True:
            block = await self.block()
            if block.message is not None and (not types or block.message["type"] in types):
                return block

    async def hear(self, *types: str) -> dict[str, Any]:
        message = (await self.event(*types)).message
        assert message is not None
        return message

    async def rest(self) -> bytes:
        """Everything until the end."""
        try:
            return await self.reader.read()
        except ConnectionResetError:
            return b""


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[EventReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield EventReader(reader, writer)
    finally:
        writer.close()
