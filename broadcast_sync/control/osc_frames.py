"""OSC packets in a TCP stream: OSC 1.0 puts their size before them, OSC 1.1 wraps them in SLIP (RFC 1055).

Which of the two a client speaks shows in its first byte: no packet of ours is large enough for its size not to begin
with 0, and a packet begins with / or #, which a SLIP client may send with or without END before it. Pure.
"""

from __future__ import annotations

from typing import Final

from pythonosc import slip

PACKET_BYTES: Final = 8_192
"""The largest packet that is taken, over UDP as over TCP."""
_SIZE: Final = 4


class BadFrame(Exception):
    """The stream cannot be read any further."""


class Frames:
    """The packets of one stream, and how to answer in the same framing. Holds less than two packets."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._slip: bool | None = None

    @property
    def partial(self) -> bool:
        """True while a packet has begun and is not whole."""
        return len(self._held) > 0

    def receive(self, data: bytes) -> list[bytes]:
        """The packets that `data` completes. Raises BadFrame for what is no framing, or a packet that is too large."""
        self._held += data
        if self._slip is None:
            first = self._held[0]
            if first not in (0x00, 0xC0, 0x2F, 0x23):
                raise BadFrame("neither a size (OSC 1.0) nor SLIP (OSC 1.1)")
            self._slip = first != 0x00
        return self._slipped() if self._slip else self._sized()

    def wrap(self, packet: bytes) -> bytes:
        """`packet` as this client reads it."""
        return slip.encode(packet) if self._slip else len(packet).to_bytes(_SIZE, "big") + packet

    def _sized(self) -> list[bytes]:
        packets = []
        while len(self._held) >= _SIZE:
            size = int.from_bytes(self._held[:_SIZE], "big")
            if size > PACKET_BYTES:
                raise BadFrame(f"a packet of {size} bytes; {PACKET_BYTES} are taken")
            if len(self._held) < _SIZE + size:
                break
            packets.append(bytes(self._held[_SIZE : _SIZE + size]))
            del self._held[: _SIZE + size]
        return packets

    def _slipped(self) -> list[bytes]:
        *whole, rest = bytes(self._held).split(slip.END)
        self._held = bytearray(rest)
        # escaped, a packet may be twice as long
        if any(len(part) > 2 * PACKET_BYTES for part in (*whole, rest)):
            raise BadFrame(f"a packet of more than {PACKET_BYTES} bytes")
        try:
            return [slip.decode(part) for part in whole if part]
        except slip.ProtocolError:
            raise BadFrame("a wrong escape in SLIP") from None
