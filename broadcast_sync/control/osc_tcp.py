"""One TCP connection of an OSC client, as an asyncio protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, cast

from broadcast_sync.control.osc_frames import BadFrame, Frames

PARTIAL_S: Final = 10.0
"""How long a packet may take from its first byte to its last; beyond it the connection is cut. Idle it may be for
ever: a cue stack connects before the show."""
UNREAD_BYTES: Final = 65_536
"""Answers that a client has not read; beyond it the connection is cut."""

Reply = Callable[[bytes], None]


class Desk(Protocol):
    """Where the packets of all connections go."""

    def joined(self, address: str, connection: OscConnection) -> bool:
        """Whether it may stay."""
        ...

    def left(self, connection: OscConnection) -> None: ...

    def packet(self, address: str, packet: bytes, reply: Reply) -> None: ...

    def bad(self, address: str, why: str) -> None: ...


class OscConnection(asyncio.Protocol):
    """Reads packets and hands them on; nothing it is sent can make it hold more than a few of them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._frames = Frames()
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._address = str((transport.get_extra_info("peername") or ("",))[0])
        if not self._desk.joined(self._address, self):
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._heed_deadline(False)
        self._desk.left(self)

    def data_received(self, data: bytes) -> None:
        try:
            packets = self._frames.receive(data)
        except BadFrame as error:
            self._desk.bad(self._address, str(error))
            self.cut()
            return
        self._heed_deadline(self._frames.partial)
        for packet in packets:
            self._desk.packet(self._address, packet, self._reply)

    def cut(self) -> None:
        """Ends the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _reply(self, packet: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(self._frames.wrap(packet))
        if self._transport.get_write_buffer_size() > UNREAD_BYTES:
            self._desk.bad(self._address, "it does not read its answers")
            self.cut()

    def _heed_deadline(self, partial: bool) -> None:
        if not partial and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        elif partial and self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(PARTIAL_S, self._late)

    def _late(self) -> None:
        self._desk.bad(self._address, f"a packet was not whole after {PARTIAL_S:g} s")
        self.cut()
