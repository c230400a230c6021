"""The endpoint against RFC 7692: compressed messages, offers, and messages that are not what they promise."""

from __future__ import annotations

import tracemalloc
import zlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import LeanRow, VoteUpdate
from tests.conformance.conversation import Conversation, answers
from tests.conformance.echo import FRAME_BYTES, INFLATED_BYTES, MESSAGE_BYTES, EchoServer
from tests.conformance.rfc6455 import CONTINUATION, PING, TAIL, TEXT, Answers, Terms, Unspecified, expected
from tests.conformance.strategies import MANY, client_frame, deflated, goodbye, streams

TERMS = Terms(TEXT, MESSAGE_BYTES, FRAME_BYTES, INFLATED_BYTES, deflate=True)
OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; client_max_window_bits"
COMPRESSED = 4
"""RSV1 among the reserved bits."""
BYE = frozenset({1000})


def heard(echo: EchoServer, stream: bytes) -> Answers:
    talk = Conversation(echo.port, OFFER)
    assert talk.extensions.startswith("permessage-deflate")
    talk.send(stream)
    return answers(talk.frames())


@given(frames=streams(deflate=True))
@MANY
def test_any_conversation(echo: EchoServer, frames: list[bytes]) -> None:
    stream = b"".join(frames)
    try:
        model = expected(stream, TERMS)
    except Unspecified:
        assume(False)
    found = heard(echo, stream)
    assert model.permit(found), (stream, found, model)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(bytes.fromhex("f248cdc9c90700"), id="one block, 7.2.3.1"),
        pytest.param(bytes.fromhex("000500faff48656c6c6f00"), id="not compressed, 7.2.3.3"),
        pytest.param(bytes.fromhex("f348cdc9c9070000"), id="final block, 7.2.3.4"),
        pytest.param(bytes.fromhex("f248050000 00ffffcac9c90700"), id="two blocks, 7.2.3.5"),
    ],
)
def test_the_examples_of_the_text(echo: EchoServer, payload: bytes) -> None:
    whole = client_frame(TEXT, payload, reserved=COMPRESSED)
    assert heard(echo, whole + whole + goodbye()) == Answers((b"Hello", b"Hello"), (), BYE)
    for at in range(len(payload) + 1):
        parts = (
            client_frame(TEXT, payload[:at], final=False, reserved=COMPRESSED), client_frame(PING, b"p"),
            client_frame(CONTINUATION, payload[at:]), goodbye(),
        )
        assert heard(echo, b"".join(parts)) == Answers((b"Hello",), (b"p",), BYE)


def test_compressed_and_plain_messages_by_turns(echo: EchoServer) -> None:
    parts = [
        client_frame(TEXT, deflated(b"a" * 300) if odd else b"a" * 300, reserved=COMPRESSED if odd else 0)
        for odd in (0, 1, 1, 0, 1)
    ]
    assert heard(echo, b"".join(parts) + goodbye()) == Answers((b"a" * 300,) * 5, (), BYE)


def test_a_message_does_not_lean_on_the_one_before(echo: EchoServer) -> None:
    """client_no_context_takeover was agreed: what a second message refers to is not there."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    text = bytes(range(32, 127)) * 3
    first, second = (
        (compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL) for _ in range(2)
    )
    stream = client_frame(TEXT, first, reserved=COMPRESSED) + client_frame(TEXT, second, reserved=COMPRESSED)
    found = heard(echo, stream)
    assert found.replies == (text,)
    assert found.codes < {1002, 1007}


@pytest.mark.parametrize("reserved", [1, 2, 3, 5, 6, 7])
def test_the_other_reserved_bits_still_mean_nothing(echo: EchoServer, reserved: int) -> None:
    assert heard(echo, client_frame(TEXT, deflated(b"x"), reserved=reserved)).codes == {1002}


def test_rsv1_belongs_to_the_first_frame_alone(echo: EchoServer) -> None:
    payload = deflated(b"Hello")
    later = client_frame(TEXT, payload[:2], final=False, reserved=COMPRESSED)
    later += client_frame(CONTINUATION, payload[2:], reserved=COMPRESSED)
    assert heard(echo, later).codes == {1002}
    assert heard(echo, client_frame(PING, b"", reserved=COMPRESSED)).codes == {1002}


@given(garbage=st.binary(min_size=1, max_size=200))
@MANY
def test_garbage(echo: EchoServer, garbage: bytes) -> None:
    stream = client_frame(PING, b"before") + client_frame(TEXT, garbage, reserved=COMPRESSED) + goodbye()
    try:
        model = expected(stream, TERMS)
    except Unspecified:
        assume(False)
    found = heard(echo, stream)
    assert model.permit(found), (garbage, found, model)


def bomb(size: int) -> bytes:
    """`size` zeros, compressed to a thousandth."""
    return deflated(b"\0" * size, 9)


@pytest.mark.parametrize("fragments", [1, 7])
def test_a_bomb_closes_its_socket_and_fills_no_memory(echo: EchoServer, fragments: int) -> None:
    """1.9 KB are within what a message may have, and inflate to 2 MB; there is no need to know how many."""
    payload = bomb(2_000_000)
    assert len(payload) < MESSAGE_BYTES
    step = -(-len(payload) // fragments)
    parts = [payload[at : at + step] for at in range(0, len(payload), step)]
    stream = b"".join(
        client_frame(
            TEXT if index == 0 else CONTINUATION, part, final=index == len(parts) - 1,
            reserved=0 if index else COMPRESSED,
        )
        for index, part in enumerate(parts)
    )
    tracemalloc.start()
    try:
        for _ in range(5):
            assert heard(echo, stream + client_frame(TEXT, b"never")) == Answers((), (), frozenset({1009}))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * INFLATED_BYTES


def test_a_message_that_inflates_to_a_little_too_much_is_refused_only(echo: EchoServer) -> None:
    stream = client_frame(TEXT, bomb(MESSAGE_BYTES), reserved=COMPRESSED)
    stream += client_frame(TEXT, bomb(MESSAGE_BYTES + 1), reserved=COMPRESSED)
    stream += client_frame(TEXT, bomb(INFLATED_BYTES), reserved=COMPRESSED) + goodbye()
    assert heard(echo, stream) == Answers((b"\0" * MESSAGE_BYTES, None, None), (), BYE)
    assert heard(echo, client_frame(TEXT, bomb(INFLATED_BYTES + 1), reserved=COMPRESSED)).codes == {1009}


@pytest.mark.parametrize(
    ("offer", "agreed"),
    [
        ("permessage-deflate", True),
        ("permessage-deflate; client_max_window_bits", True),
        ("permessage-deflate; client_max_window_bits=10", True),
        ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", True),
        ("permessage-deflate; server_max_window_bits=15", True),
        ("x-webkit-deflate-frame, permessage-deflate", True),
        ("permessage-deflate; server_max_window_bits=7, permessage-deflate", True),
        ("permessage-deflate; server_max_window_bits=16", False),
        ("permessage-deflate; server_max_window_bits=012", False),
        ("permessage-deflate; server_max_window_bits", False),
        ("permessage-deflate; client_max_window_bits=99", False),
        ("permessage-deflate; server_no_context_takeover=1", False),
        ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", False),
        ("permessage-deflate; surprise", False),
        ("permessage-bzip2", False),
    ],
)
def test_offers(echo: EchoServer, offer: str, agreed: bool) -> None:
    """7.1: an offer with anything unknown, doubled or out of range is declined, and the connection is plain."""
    talk = Conversation(echo.port, f"Sec-WebSocket-Extensions: {offer}")
    assert bool(talk.extensions) is agreed
    talk.send(client_frame(TEXT, b"Hello", reserved=0) + goodbye())
    assert answers(talk.frames()) == Answers((b"Hello",), (), BYE)


@pytest.mark.parametrize("bits", [None, *range(8, 16)])
def test_what_the_server_compresses_fits_the_window_it_agreed_to(echo: EchoServer, bits: int | None) -> None:
    asked = "" if bits is None else f"; server_max_window_bits={bits}"
    talk = Conversation(echo.port, f"Sec-WebSocket-Extensions: permessage-deflate{asked}")
    agreed = [part.partition("=")[2] for part in talk.extensions.split("; ") if part.startswith("server_max")]
    window = int(agreed[0]) if agreed else 15
    assert not talk.extensions or window <= (bits or 15)
    assert talk.next_frame().opcode == TEXT  # WELCOME
    board = Prepared.of(VoteUpdate([LeanRow(f"c{n:04d}", n * n, 0.1, n) for n in range(300)], 1), 0, "show")
    for _ in range(2):
        echo.call(lambda: echo.hub.publish(board))
        said = talk.next_frame()
        assert said.compressed is bool(talk.extensions)
        payload = said.payload
        if said.compressed:
            payload = zlib.decompressobj(-window).decompress(payload + TAIL)
        assert payload == board.json
    talk.send(goodbye())
    talk.frames()
