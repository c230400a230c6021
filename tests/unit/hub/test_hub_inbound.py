"""Bytes to messages: ours against websockets' own reading of the same bytes, cut anywhere."""

from __future__ import annotations

import tracemalloc
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from broadcast_sync.hub.inbound import INFLATE_FACTOR, Bounds, Inbound, Message
from broadcast_sync.wire.frames import BINARY, CLOSE, CONT, PING, PONG, TEXT

LIMIT, FRAME_LIMIT = 70, 200
SMALL = Bounds(FRAME_LIMIT, LIMIT, deflate=False)
TOO_BIG, VIOLATION = (CLOSE, b"\x03\xf1"), (CLOSE, b"\x03\xea")
ROOMY = Bounds(20_000, 10_000, deflate=True)


def made(opcode: int, data: bytes, fin: bool = True, **bits: bool) -> bytes:
    """A client's frame, masked."""
    frame = Frame(Opcode(opcode), data, fin)
    raw = bytearray(frame.serialize(mask=True))
    for bit, mask in (("rsv1", 0x40), ("rsv2", 0x20)):
        if bits.get(bit):
            raw[0] |= mask
    return bytes(raw)


def deflated(data: bytes, bits: int = 15) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -bits)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Ours:
    def __init__(self, bounds: Bounds = SMALL) -> None:
        self.inbound = Inbound(bounds)

    def __call__(self, *chunks: bytes) -> list[Message]:
        return [message for chunk in chunks for message in self.inbound.receive(chunk)]

    @property
    def failed(self) -> int:
        """The code it closed with, which must be the last thing it says."""
        assert self.inbound.finished and not self.inbound.open
        said = frames_in(self.inbound.take())
        assert said[-1][0] == CLOSE
        code = int(Close.parse(said[-1][1]).code)
        assert code == self.inbound.close_code
        return code


def frames_in(said: bytes) -> list[tuple[int, bytes]]:
    """Small, unmasked frames."""
    found = []
    while said:
        assert said[1] <= 125
        found.append((said[0] & 15, said[2 : 2 + said[1]]))
        said = said[2 + said[1] :]
    return found


def reference(bounds: Bounds, *chunks: bytes) -> tuple[list[Message], bytes, bool]:
    """What websockets alone makes of it, messages put together by hand; and whether the connection is still open."""
    conn = ServerProtocol(state=OPEN, max_size=bounds.frame_bytes)
    if bounds.deflate:
        conn.extensions = [PerMessageDeflate(True, True, 15, 12)]
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
            messages.append((kind, parts if len(parts) <= bounds.message_bytes else None) if event.fin else (CONT, b""))
    return messages, b"".join(conn.data_to_send()), conn.state is OPEN


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = sorted({min(place, len(data)) for place in at} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(places)]


ascii_bytes = st.binary(max_size=90).map(lambda data: bytes(byte & 127 for byte in data))
compressed = st.builds(deflated, ascii_bytes, st.integers(9, 15))
frames = st.one_of(
    st.builds(made, st.sampled_from([TEXT, BINARY, CONT]), ascii_bytes, st.booleans()),
    st.builds(made, st.sampled_from([9, 10]), st.binary(max_size=125)),
    st.builds(made, st.sampled_from([TEXT, BINARY]), st.just(b"x" * 150)),
    st.just(made(8, Close(1000, "bye").serialize())),
    st.builds(made, st.just(TEXT), st.just(b"{}"), rsv1=st.booleans(), rsv2=st.booleans()),
    st.builds(made, st.sampled_from([TEXT, BINARY]), compressed, st.booleans(), rsv1=st.just(True)),
    st.builds(made, st.just(CONT), compressed, st.booleans()),
    st.binary(min_size=1, max_size=20),
)


@given(
    st.sampled_from([SMALL, ROOMY]),
    st.lists(frames, max_size=12).map(b"".join),
    st.lists(st.integers(0, 2000), max_size=10),
)
def test_reads_what_websockets_reads(bounds: Bounds, data: bytes, places: list[int]) -> None:
    """Same messages, same answers, same end, whatever comes and wherever it is cut.

    A frame that is not whole yet may be judged by its header, or waited for: there one may have gone further than the
    other by one message, or by having failed. Fragments of a compressed message are inflated when it is whole, by
    websockets as they come: it fails sooner, and ours has heard of fragments and control frames meanwhile, no more.
    """
    ours = Ours(bounds)
    chunks = cut(data, places)
    messages = ours(*chunks)
    expected, said, is_open = reference(bounds, *chunks)
    if any(payload is not None and kind == TEXT and not payload.isascii() for kind, payload in expected):
        return  # websockets leaves UTF-8 to its caller
    if ours.inbound._skip and len(messages) > len(expected):
        messages.pop()
    answers, answers_expected = (
        [(opcode, text[:2] if opcode == CLOSE else text) for opcode, text in frames_in(raw)]
        for raw in (ours.inbound.take(), said)
    )
    if bounds.deflate and not is_open and len(messages) > len(expected):
        meanwhile = [opcode for opcode, _ in messages[len(expected) :]]
        assert meanwhile[0] == CONT and set(meanwhile) <= {CONT, PING, PONG}
        assert messages[: len(expected)] == expected
        assert answers[: len(answers_expected) - 1] == answers_expected[:-1]
        return
    assert messages == expected
    if ours.inbound.open is not is_open:
        (answers if is_open else answers_expected).pop()
        assert ours.inbound._tail is not None or is_open
    elif answers[-1:] == [TOO_BIG] and answers_expected[-1:] == [VIOLATION]:
        answers[-1] = VIOLATION  # a header with both faults
    assert answers == answers_expected


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
    assert ours.failed == 1009
    assert ours(made(TEXT, b"z")) == []


def test_fragments() -> None:
    ours = Ours()
    assert ours(made(TEXT, b"a", False), made(9, b"p"), made(CONT, b"b", False), made(CONT, b"c")) == [
        (CONT, b""), (9, b"p"), (CONT, b""), (TEXT, b"abc"),
    ]
    assert ours.inbound.take() == b"\x8a\x01p"


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
        assert ours.failed == 1007


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
    ids=range(9),
)
def test_violations_close_1002(data: bytes) -> None:
    ours = Ours()
    ours(data)
    assert ours.failed == 1002


def test_after_our_close_only_the_answer_is_heard() -> None:
    ours = Ours()
    ours.inbound.close(4000, "draining")
    assert ours.inbound.take() == b"\x88\x0a\x0f\xa0draining"
    assert not ours.inbound.finished
    assert ours(made(TEXT, b"late") + made(8, b"\x0f\xa0")) == [(8, b"\x0f\xa0")]
    assert ours.inbound.finished and ours.inbound.take() == b""


def test_after_our_close_no_ping_is_answered() -> None:
    """Who goes on pinging, and reads no answer, would fill the memory with pongs until it is cut off."""
    ours = Ours()
    ours(made(9, b"before"))
    ours.inbound.close(4501, "")
    assert frames_in(ours.inbound.take()) == [(10, b"before"), (CLOSE, b"\x11\x95")]
    assert ours(made(9, b"after")) == [(9, b"after")]
    assert ours.inbound.take() == b""


def test_a_large_message_is_passed_over_and_not_kept() -> None:
    ours = Ours(Bounds(2**21, 2**14, deflate=False))
    large = made(TEXT, b"x" * 2_000_000)
    assert ours(large[:14]) == [(TEXT, None)]
    assert ours(large[14:100_000], large[100_000:-1]) == []
    assert ours.inbound._tail is None
    assert ours(large[-1:] + made(TEXT, b"y")) == [(TEXT, b"y")]


def test_a_half_frame_after_a_failure_is_not_collected() -> None:
    ours = Ours()
    assert ours(b"\x81\x7fabc", b"x" * 1000) == []
    assert ours.failed == 1002
    assert ours(*[b"x" * 1000] * 3) == [] and ours.inbound._tail is None


# --- compressed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", range(9, 16))
def test_a_compressed_message_in_one_frame_and_in_fragments(bits: int) -> None:
    text = b'{"type":"VOTE","id":"1","contestantId":"c07"}' * 20
    raw = deflated(text, bits)
    assert Ours(ROOMY)(made(TEXT, raw, rsv1=True)) == [(TEXT, text)]
    pieces = (made(TEXT, raw[:3], False, rsv1=True), made(9, b""), made(CONT, raw[3:9], False), made(CONT, raw[9:]))
    assert Ours(ROOMY)(*pieces)[-1] == (TEXT, text)


def test_each_compressed_message_stands_alone() -> None:
    ours = Ours(ROOMY)
    for text in (b"a" * 100, b"", b"a" * 100, "ហ".encode() * 50):
        assert ours(made(TEXT, deflated(text), rsv1=True)) == [(TEXT, text)]
    assert ours(made(TEXT, b"plain")) == [(TEXT, b"plain")]
    last_block = b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"  # "Hello" in a final block: RFC 7692, 7.2.3.4
    assert ours(made(TEXT, last_block, rsv1=True)) == [(TEXT, b"Hello")]


@pytest.mark.parametrize("size", [101, 100 * INFLATE_FACTOR])
def test_what_inflates_too_large_is_refused(size: int) -> None:
    ours = Ours(Bounds(2**20, 100, deflate=True))
    assert ours(made(TEXT, deflated(b"x" * size), rsv1=True)) == [(TEXT, None)]
    assert ours(made(TEXT, deflated(b"x" * 100), rsv1=True)) == [(TEXT, b"x" * 100)]


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("size", [16_384 * INFLATE_FACTOR + 1, 1_000_000, 10_000_000, 100_000_000])
def test_a_bomb_closes_1009_and_is_not_inflated(size: int, whole: bool) -> None:
    raw = deflated(bytes(size))
    frames = [made(BINARY, raw, rsv1=True)]
    if not whole:
        frames = [made(BINARY, raw[:1], False, rsv1=True), made(CONT, raw[1:])]
    ours = Ours(Bounds(2**21, 16_384, deflate=True))
    tracemalloc.start()
    try:
        messages = ours(*frames)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [message for message in messages if message[0] == BINARY] == []
    assert ours.failed == 1009
    assert peak < max(16_384 * INFLATE_FACTOR, 2 * len(raw))  # less than it may inflate to, or what came over the wire


@pytest.mark.parametrize(
    "data",
    [
        made(TEXT, b"\xff\xff\xff", rsv1=True),  # no deflate
        made(TEXT, deflated(b"x"), False) + made(CONT, b"", rsv1=True),
        made(9, b"", rsv1=True),
        made(CONT, b"", rsv1=True),
        made(TEXT, deflated(b"x"), rsv1=True, rsv2=True),
    ],
    ids=["no deflate", "on a continuation", "on a ping", "on a stray continuation", "another bit"],
)
def test_violations_of_the_extension_close_1002(data: bytes) -> None:
    ours = Ours(ROOMY)
    ours(data)
    assert ours.failed == 1002


def test_compressed_text_that_is_not_utf8_closes_1007() -> None:
    ours = Ours(ROOMY)
    assert ours(made(TEXT, deflated(b"\xff"), rsv1=True)) == []
    assert ours.failed == 1007


def test_a_compressed_message_is_judged_when_it_is_whole() -> None:
    ours = Ours(ROOMY)
    broken = deflated(b"x" * 50) + b"\xff" * 10
    assert ours(made(TEXT, broken, False, rsv1=True), made(9, b"")) == [(CONT, b""), (9, b"")]
    assert ours(made(CONT, b"")) == []
    assert ours.failed == 1002
