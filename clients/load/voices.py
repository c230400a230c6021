"""One voice of the crowd: a WebSocket by hand on a raw asyncio protocol, so that 25,000 votes/s and more come out of
one Python process and the machine's time goes to the server. It is no SDK: it never reconnects and reads of a
message what it must."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from time import perf_counter_ns
from typing import Final, cast

from clients.load.crowd import Crowd
from clients.load.frames import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    VoteFrame,
    bounds,
    code_of,
    masked,
    retry_after_of,
    timestamp_of,
    type_of,
)
from clients.load.target import ACCEPT

HANDSHAKE_BYTES: Final = 16_384
FRAME_BYTES: Final = 16 * 1024 * 1024
RETRY_CODES: Final = frozenset({"TRY_AGAIN", "BUSY", "RATE_LIMIT"})
LEAST_RETRY_S: Final = 0.05
_ACK: Final = b'{"type":"VOTE_ACK"'
_REPLAYED: Final = b'"replayed":true'


class VoiceLost(Exception):
    """A voice did not come up; the crowd has counted why."""


def _nowhere(data: bytes) -> None:
    """Where a voice writes that has no connection."""


class Voice(asyncio.Protocol):
    """A socket that watches, and votes when told. At most one vote is under way; a refusal to try again later is
    obeyed with the same id."""

    def __init__(self, crowd: Crowd, handshake: bytes, number: int, auth: bytes | None = None) -> None:
        self.crowd = crowd
        self.ready: asyncio.Future[None] = crowd.loop.create_future()
        """Done when the server has greeted, and accepted the token if there is one; raises VoiceLost."""
        self.voting_id = b""
        """The id of the vote under way; empty when there is none."""
        self.open = False
        self._handshake = handshake
        self._auth = masked(TEXT, auth) if auth is not None else None
        self._number = number
        self._prefix = f"{random.getrandbits(32):08x}{number:06x}"
        self._window = ""
        self._frames: list[VoteFrame] = []
        self._votes = 0
        self._frame = b""
        self._asked_ns = 0
        self._upgraded = False
        self._rest = b""
        self._transport: asyncio.Transport | None = None
        self._write: Callable[[bytes], None] = _nowhere

    # --- connection -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = made = cast(asyncio.Transport, transport)
        self._write = made.write
        self._write(self._handshake)

    def connection_lost(self, exc: Exception | None) -> None:
        self._write = _nowhere
        if self.open or not self.ready.done():
            self._fail(f"lost: {type(exc).__name__}" if exc else "lost: closed by the server")

    def close(self) -> None:
        """Says goodbye (1000) and lets go. What happens to this voice from now on is no failure."""
        if self.open:
            self._write(masked(CLOSE, b"\x03\xe8"))
            self._shut()
        if not self.ready.done():
            self.ready.cancel()
        if self._transport is not None:
            self._transport.close()

    def _shut(self) -> None:
        if self.open:
            self.open = False
            self.crowd.connected -= 1

    def _fail(self, reason: str) -> None:
        self.crowd.failed(reason)
        self._shut()
        if not self.ready.done():
            self.ready.set_exception(VoiceLost(reason))
            self.ready.exception()  # looked at here, because whoever waits for it may have given up
        if self._transport is not None:
            self._transport.abort()

    def _upgrade(self, data: bytes) -> bytes:
        """Reads the answer to the handshake; what follows it, or nothing yet."""
        data = self._rest + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._rest = data
            if len(data) > HANDSHAKE_BYTES:
                self._fail("handshake: no HTTP")
            return b""
        self._rest = b""
        lines = data[:end].split(b"\r\n")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        if not lines[0].startswith(b"HTTP/1.1 101") or fields.get(b"sec-websocket-accept") != ACCEPT:
            self._fail(f"handshake: {lines[0][9:12].decode('latin-1') or 'no HTTP'}")
            return b""
        self._upgraded = True
        self.open = True
        self.crowd.connected += 1
        return data[end + 4 :]

    # --- votes ------------------------------------------------------------------------------------------------

    def vote(self, asked_ns: int = 0) -> None:
        """Casts one vote in the open window. Latency counts from `asked_ns`, by default from now."""
        crowd = self.crowd
        if self._window != crowd.window_id:
            self._window = crowd.window_id
            self._frames = [VoteFrame(self._prefix, name) for name in crowd.contestants]
        number = self._votes
        self._votes = number + 1
        frames = self._frames
        self._frame = frame = frames[(number + self._number) % len(frames)].numbered(number)
        self.voting_id = b"%b%08x" % (self._prefix.encode(), number)
        self._asked_ns = asked_ns or perf_counter_ns()
        crowd.sent += 1
        self._write(frame)

    def _vote_again(self) -> None:
        if self.open and self.voting_id:
            self._write(self._frame)

    def _acked(self, data: bytes, start: int, end: int) -> None:
        crowd = self.crowd
        wanted = self.voting_id
        if not wanted or data.find(wanted, start, end) < 0:
            crowd.mismatched += 1
            return
        crowd.latency.add((perf_counter_ns() - self._asked_ns) // 1000)
        crowd.acked += 1
        if data.find(_REPLAYED, start, end) >= 0:
            crowd.replayed += 1
        self.voting_id = b""
        if crowd.voting and crowd.contestants:
            self.vote()

    def _refused(self, payload: bytes) -> None:
        crowd = self.crowd
        code = code_of(payload)
        crowd.refused(code)
        if not self.ready.done():
            self._fail(f"AUTH: {code}")
            return
        if not self.voting_id or self.voting_id not in payload:
            return
        if code in RETRY_CODES:
            wait_s = max(LEAST_RETRY_S, retry_after_of(payload)) * random.uniform(1.0, 1.5)
            crowd.loop.call_later(wait_s, self._vote_again)
        else:
            self.voting_id = b""  # final: this voice has said what it could

    # --- what arrives -----------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self.crowd.received_bytes += len(data)
        if not self._upgraded:
            data = self._upgrade(data)
        elif self._rest:
            data = self._rest + data
            self._rest = b""
        at, size = 0, len(data)
        while at < size:
            start, end = bounds(data, at)
            if start == 0 or end > size:
                if end - at > FRAME_BYTES:
                    self._fail("protocol: frame too long")
                    return
                self._rest = data[at:]
                return
            if data[at] == 0x81:
                if data.startswith(_ACK, start):
                    self._acked(data, start, end)
                else:
                    self._message(data, start, end)
            else:
                self._control(data[at], data[start:end])
            at = end

    def _message(self, data: bytes, start: int, end: int) -> None:
        crowd = self.crowd
        type_ = type_of(data, start, end)
        if type_ == b"LIVE_RESULTS":
            crowd.boards.arrived(timestamp_of(data, end), perf_counter_ns())
        elif type_ == b"VOTE_ACK":
            self._acked(data, start, end)
        elif type_ == b"ERROR":
            self._refused(data[start:end])
        else:
            crowd.heard(type_)
            if type_ == b"STATE_UPDATE" or type_ == b"VOTING_OPEN":
                crowd.state(data[start:end])
            elif type_ == b"WELCOME":
                self._welcomed()
            elif type_ == b"AUTH_OK":
                crowd.authenticated += 1
                self._be_ready()

    def _welcomed(self) -> None:
        self.crowd.welcomed += 1
        if self._auth is None:
            self._be_ready()
        else:
            self._write(self._auth)

    def _be_ready(self) -> None:
        if not self.ready.done():
            self.ready.set_result(None)

    def _control(self, first: int, payload: bytes) -> None:
        opcode = first & 0x0F
        if opcode == PING:
            self._write(masked(PONG, payload))
        elif opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
            self._write(masked(CLOSE, payload[:2]))
            self._fail(f"closed: {code}")
        elif opcode != PONG:
            self._fail("protocol: a frame that was not expected")
