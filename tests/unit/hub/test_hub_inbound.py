"""Bytes to messages: ours against websockets' own reading of the same bytes, cut anywhere."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import OPEN, State
from websockets.server import ServerProtocol

from broadcast_sync.hub.inbound import BINARY, CONT, TEXT, Inbound, Message

LIMIT, FRAME_LIMIT = 70, 200


def made(opcode: int, data: bytes, fin: bool = True, **bits: bool) -> bytes:
    """A client's frame, masked."""
    frame = Frame(Opcode(opcode), data, fin)
    raw = bytearray(frame.serialize(mask=True))
    for bit, mask in (("rsv1", 0x40), ("rsv2", 0x20)):
        if bits.get(bit):
            raw[0] |= mask
    return bytes(raw)


class Ours:
    def __init__(self) -> None:
        self.conn = ServerProtocol(state=OPEN, max_size=FRAME_LIMIT)
        self.inbound = Inbound(self.conn, FRAME_LIMIT, LIMIT)

    def __call__(self, *chunks: bytes) -> list[Message]:
        return [message for chunk in chunks for message in self.inbound.receive(chunk)]

    @property
    def said(self) -> bytes:
        return b"".join(self.conn.data_to_send())


def reference(*chunks: bytes) -> tuple[list[Message], bytes, State]:
    """What websockets alone makes of it, messages put together by hand."""
    conn = ServerProtocol(state=OPEN, max_size=FRAME_LIMIT)
    messages: list[Message] = []
    kind, parts = 0, b""
    for chunk in chunks:
        conn.receive_data(chunk)
        for event in conn.events_received():
            assert isinstance(event, Frame)
            if event.opcode in (Opcode.CLOSE, Opcode.PING, Opcode.PONG):
                messages.append((int(event.opcode), bytes(event.data)))
                continue
            if event.opcode is not Opcode.CONT:
                kind, parts = int(event.opcode), b""
            parts += bytes(event.data)
            messages.append((kind, parts if len(parts) <= LIMIT else None) if event.fin else (CONT, b""))
    return messages, b"".join(conn.data_to_send()), conn.state


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = sorted({min(place, len(data)) for place in at} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(places)]


ascii_bytes = st.binary(max_size=90).map(lambda data: bytes(byte & 127 for byte in data))
frames = st.one_of(
    st.builds(made, st.sampled_from([TEXT, BINARY, CONT]), ascii_bytes, st.booleans()),
    st.builds(made, st.sampled_from([9, 10]), st.binary(max_size=125)),
    st.builds(made, st.sampled_from([TEXT, BINARY]), st.just(b"x" * 150)),
    st.just(made(8, Close(1000, "bye").serialize())),
    st.builds(made, st.just(TEXT), st.just(b"{}"), rsv1=st.booleans(), rsv2=st.booleans()),
    st.binary(min_size=1, max_size=20),
)


@given(st.lists(frames, max_size=12).map(b"".join), st.lists(st.integers(0, 2000), max_size=10))
def test_reads_what_websockets_reads(data: bytes, places: list[int]) -> None:
    """Same messages, same answers, same end, whatever comes and wherever it is cut.

    A frame with a fault in its header may be judged by websockets before its payload is complete, by us after, so
    where websockets has failed ours may still be waiting for the rest; never the other way round.
    """
    ours = Ours()
    chunks = cut(data, places)
    messages = ours(*chunks)
    expected, said, state = reference(*chunks)
    utf8 = all(payload is None or kind != TEXT or payload.isascii() for kind, payload in expected)
    if not utf8:
        return
    assert messages == expected
    if ours.conn.state is state:
        assert ours.said == said
    else:
        assert ours.conn.state is OPEN
        assert ours.inbound._tail is not None


def test_frames_in_one_piece_and_byte_by_byte() -> None:
    data = made(TEXT, b"one") + made(BINARY, b"\xff\x00") + made(TEXT, "ឃ្លា".encode())
    expected = [(TEXT, b"one"), (BINARY, b"\xff\x00"), (TEXT, "ឃ្លា".encode())]
    assert Ours()(data) == expected
    assert Ours()(*(data[n : n + 1] for n in range(len(data)))) == expected


def test_a_large_message_is_told_apart_from_a_large_frame() -> None:
    ours = Ours()
    assert ours(made(TEXT, b"x" * (LIMIT + 1))) == [(TEXT, None)]
    assert ours(made(TEXT, b"y")) == [(TEXT, b"y")]
    assert ours(made(TEXT, b"x" * (FRAME_LIMIT + 1))[:8]) == []
    assert ours.conn.close_sent is not None
    assert ours.conn.close_sent.code == 1009
    assert ours(made(TEXT, b"z")) == []


def test_fragments() -> None:
    ours = Ours()
    assert ours(made(TEXT, b"a", False), made(9, b"p"), made(CONT, b"b", False), made(CONT, b"c")) == [
        (CONT, b""), (9, b"p"), (CONT, b""), (TEXT, b"abc"),
    ]
    assert ours.said == b"\x8a\x01p"


def test_a_fragmented_message_that_grows_too_large() -> None:
    ours = Ours()
    half = b"x" * (LIMIT // 2 + 1)
    assert ours(made(TEXT, half, False), made(CONT, half, False), made(CONT, b"")) == [
        (CONT, b""), (CONT, b""), (TEXT, None),
    ]
    assert ours(made(TEXT, b"y")) == [(TEXT, b"y")]


@pytest.mark.parametrize("split", range(1, 6))
def test_utf8_across_fragments(split: int) -> None:
    word = "ហ€".encode()
    assert Ours()(made(TEXT, word[:split], False), made(CONT, word[split:]))[-1] == (TEXT, word)


@pytest.mark.parametrize("bad", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"abc\xe2\x82"])
def test_text_that_is_not_utf8_closes_1007(bad: bytes) -> None:
    for chunks in ([made(TEXT, bad)], [made(TEXT, bad[:1], False), made(CONT, bad[1:])]):
        ours = Ours()
        assert [message for message in ours(*chunks) if message[0] == TEXT] == []
        assert ours.conn.close_sent is not None
        assert ours.conn.close_sent.code == 1007


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\x03abc",  # not masked
        made(TEXT, b"{}", rsv1=True),
        b"\x83\x80\0\0\0\0",  # reserved opcode
        made(CONT, b"x"),
        made(TEXT, b"x", False) + made(TEXT, b"y"),
        b"\x89\xfe\x00\x7e\0\0\0\0" + bytes(126),  # ping of 126 bytes
        b"\x09\x80\0\0\0\0",  # fragmented ping
        made(8, b"\x03"),
        made(8, b"\x03\xed"),  # 1005 over the wire
    ],
)
def test_violations_close_1002(data: bytes) -> None:
    ours = Ours()
    ours(data)
    assert ours.conn.close_sent is not None
    assert ours.conn.close_sent.code == 1002


def test_after_our_close_only_the_answer_is_heard() -> None:
    ours = Ours()
    ours.conn.send_close(4000, "draining")
    assert ours(made(TEXT, b"late") + made(8, b"\x0f\xa0")) == [(8, b"\x0f\xa0")]
