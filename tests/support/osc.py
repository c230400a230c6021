"""OSC clients for tests: python-osc makes and reads the packets, plain sockets carry them."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

Answer = tuple[str, list[Any]]


def message(address: str, *values: Any) -> bytes:
    """A message; the types are those python-osc finds for the values."""
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value)
    return bytes(builder.build().dgram)


def bundle(at_s: float, *packets: bytes) -> bytes:
    """A bundle for Unix time `at_s`; 0 is at once."""
    builder = OscBundleBuilder(at_s)  # type: ignore[arg-type]  # declared an int, used as a number
    return bytes(builder.build().dgram) + b"".join(len(packet).to_bytes(4, "big") + packet for packet in packets)


def answer(packet: bytes) -> Answer:
    """An answer's address without /broadcast-sync, and its values."""
    read = OscMessage(packet)
    return read.address.removeprefix("/broadcast-sync"), read.params


class UdpDesk(asyncio.DatagramProtocol):
    """A cue stack on UDP. `open` it, `send` packets, `hear` answers."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[Answer] = asyncio.Queue()
        self._transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls, port: int, local: str = "127.0.0.1") -> UdpDesk:
        _, desk = await asyncio.get_running_loop().create_datagram_endpoint(
            cls, local_addr=(local, 0), remote_addr=("127.0.0.1", port)
        )
        return desk

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self.answers.put_nowait(answer(data))

    def send(self, packet: bytes) -> None:
        assert self._transport is not None
        self._transport.sendto(packet)

    async def ask(self, address: str, *values: Any) -> Answer:
        self.send(message(address, *values))
        return await self.hear()

    async def hear(self) -> Answer:
        async with asyncio.timeout(10):
            return await self.answers.get()

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()
