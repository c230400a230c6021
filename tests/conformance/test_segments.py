"""However TCP cuts a client's bytes, the answers are the same: the endpoint on a transport that delivers each piece
by itself, which a real socket does not promise."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.server import ServerState

from broadcast_sync.hub.endpoint import Endpoint
from broadcast_sync.hub.hub import Hub
from tests.conformance.conversation import HANDSHAKE, answers, read_frames
from tests.conformance.echo import FRAME_BYTES, INFLATED_BYTES, MESSAGE_BYTES, echo_hub
from tests.conformance.rfc6455 import TEXT, Answers, Terms, Unspecified, expected
from tests.conformance.strategies import MANY, client_frame, cut, deflated, goodbye, streams
from tests.conformance.test_deflate import OFFER

PLAIN = Terms(TEXT, MESSAGE_BYTES, FRAME_BYTES, INFLATED_BYTES)
DEFLATE = Terms(TEXT, MESSAGE_BYTES, FRAME_BYTES, INFLATED_BYTES, deflate=True)


class Wire(asyncio.Transport):
    """Keeps what is written; a client that is closed upon closes too."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1)})
        self.written = bytearray()
        self.ended = False

    def write(self, data: Any) -> None:
        assert not self.ended, "nothing may follow the end"
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.ended = True

    def is_closing(self) -> bool:
        return self.ended

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None: ...

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with asyncio.Runner() as runner:
        yield runner.run(_made())


async def _made() -> Hub:
    return echo_hub()


def heard(hub: Hub, pieces: list[bytes], deflate: bool) -> Answers:
    wire, endpoint = Wire(), Endpoint(hub, ServerState(), "")
    endpoint.connection_made(wire)
    endpoint.data_received(f"{HANDSHAKE}{f'{OFFER}{chr(13)}{chr(10)}' if deflate else ''}\r\n".encode())
    for piece in pieces:
        endpoint.data_received(piece)
    endpoint.connection_lost(None)
    return answers(read_frames(bytes(wire.written).partition(b"\r\n\r\n")[2]))


def check(hub: Hub, stream: bytes, pieces: list[bytes], terms: Terms) -> None:
    try:
        model = expected(stream, terms)
    except Unspecified:
        return
    found = heard(hub, pieces, terms.deflate)
    assert model.permit(found), (pieces, found, model)


@given(data=st.data())
@MANY
def test_any_pieces_of_any_conversation(hub: Hub, data: st.DataObject) -> None:
    terms = data.draw(st.sampled_from((PLAIN, DEFLATE)))
    stream = b"".join(data.draw(streams(deflate=terms.deflate)))
    check(hub, stream, data.draw(cut(stream)), terms)


@given(frames=streams(deflate=True), size=st.integers(1, 3))
@MANY
def test_a_few_bytes_at_a_time(hub: Hub, frames: list[bytes], size: int) -> None:
    stream = b"".join(frames)
    check(hub, stream, [stream[at : at + size] for at in range(0, len(stream), size)], DEFLATE)


@pytest.mark.parametrize("deflate", [False, True])
def test_every_two_pieces(hub: Hub, deflate: bool) -> None:
    payload = "\u17a0\u17c1 vote".encode()
    stream = client_frame(TEXT, payload[:3], final=False) + client_frame(0x9, b"ping")
    stream += client_frame(0x0, payload[3:]) + client_frame(TEXT, b"t" * 130)
    if deflate:
        stream += client_frame(TEXT, deflated(payload), reserved=4)
    stream += goodbye()
    whole = heard(hub, [stream], deflate)
    assert whole.replies[0] == payload and whole.codes == {1000}
    for at in range(1, len(stream)):
        assert heard(hub, [stream[:at], stream[at:]], deflate) == whole


def test_every_two_pieces_of_what_is_refused_for_its_size(hub: Hub) -> None:
    """What is not kept is passed over to the byte."""
    large = client_frame(TEXT, b"t" * (MESSAGE_BYTES + 1))
    fragments = client_frame(TEXT, b"t" * (MESSAGE_BYTES + 1), final=False) + client_frame(0x0, b"end")
    stream = large + client_frame(TEXT, b"small") + fragments + client_frame(TEXT, b"small") + goodbye()
    for at in range(1, len(stream), 7):
        found = heard(hub, [stream[:at], stream[at : at + 100], stream[at + 100 :]], False)
        assert found == Answers((None, b"small", None, b"small"), (), frozenset({1000}))
