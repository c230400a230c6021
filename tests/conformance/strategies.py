"""Frames as hypothesis makes them: good ones, bad ones, and streams of both. A stream ends with a good close frame,
so that whatever came before it, the connection has an end."""

from __future__ import annotations

import zlib
from typing import Final

from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.conformance.echo import FRAME_BYTES, MESSAGE_BYTES
from tests.conformance.rfc6455 import BINARY, CLOSE, CONTINUATION, NORMAL, PING, PONG, TAIL, TEXT

MANY: Final = profile(deadline=None, max_examples=4 * profile().max_examples)
"""Conversations are cheap: some hundreds in `make test`, thousands under the profile `soak`."""

KEYS: Final = st.sampled_from((b"\0\0\0\0", b"\x37\xfa\x21\x3d", b"\xff\x00\xff\x01"))
GOODBYE: Final = NORMAL.to_bytes(2, "big")


def client_frame(
    opcode: int, payload: bytes, *, final: bool = True, reserved: int = 0, key: bytes | None = b"\1\2\3\4",
    length_bytes: int | None = None, length: int | None = None,
) -> bytes:
    """Any frame, good or bad. `key` None leaves it unmasked; `length_bytes` (0, 2, 8) and `length` lie about it."""
    said = len(payload) if length is None else length
    if length_bytes is None:
        length_bytes = 0 if said < 126 else 2 if said < 65_536 else 8
    second = {0: said, 2: 126, 8: 127}[length_bytes] | (0 if key is None else 0x80)
    head = bytes((final << 7 | reserved << 4 | opcode, second))
    if length_bytes:
        head += said.to_bytes(length_bytes, "big")
    if key is None:
        return head + payload
    return head + key + bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


def deflated(payload: bytes, level: int = 6) -> bytes:
    """The payload of a compressed message (RFC 7692, 7.2.1)."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


SIZES: Final = st.one_of(
    st.integers(0, 40),
    st.sampled_from((125, 126, 127, MESSAGE_BYTES - 1, MESSAGE_BYTES, MESSAGE_BYTES + 1, FRAME_BYTES)),
)
TEXTS: Final = st.one_of(
    st.text(max_size=40).map(str.encode),
    SIZES.map(lambda size: b"t" * size),
    st.sampled_from(("\u17a0\u17c1\u17a1\u17c4 \U0001f3a4".encode(), "\ufeff\u0000\uffff\U0010ffff".encode())),
)
BAD_TEXTS: Final = st.sampled_from(
    (
        b"\x80", b"\xbf", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xed\xa0\x80", b"\xed\xbf\xbf",
        b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfe", b"\xff", b"\xe2\x82", b"\xf0\x9f\x8e", b"ok \xc3(",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80\x65",
    )
)
PAYLOADS: Final = st.one_of(st.binary(max_size=40), TEXTS, BAD_TEXTS)
CLOSE_PAYLOADS: Final = st.one_of(
    st.just(b""),
    st.binary(min_size=1, max_size=1),
    st.tuples(
        st.one_of(st.sampled_from((999, 1000, 1003, 1004, 1005, 1006, 1011, 1014, 1015, 1016, 2999, 3000, 4999, 5000)),
                  st.integers(0, 65_535)),
        st.one_of(st.just(b""), st.text(max_size=20).map(str.encode), st.just(b"\xff\xfe"), st.just(b"r" * 123)),
    ).map(lambda pair: (pair[0].to_bytes(2, "big") + pair[1])[:125]),
)


@st.composite
def controls(draw: st.DrawFn) -> bytes:
    """A ping or a pong as it should be."""
    opcode = draw(st.sampled_from((PING, PONG)))
    payload = draw(st.one_of(st.binary(max_size=20), st.just(b"p" * 125)))
    return client_frame(opcode, payload, key=draw(KEYS))


@st.composite
def messages(draw: st.DrawFn, *, deflate: bool = False) -> list[bytes]:
    """A message, its text good or bad, in one frame or cut anywhere, with control frames between the fragments."""
    opcode = draw(st.sampled_from((TEXT, TEXT, BINARY)))
    payload = draw(PAYLOADS)
    reserved = 0
    if deflate and draw(st.booleans()):
        reserved = 4
        payload = draw(st.one_of(st.just(deflated(payload, draw(st.sampled_from((0, 1, 9))))), st.binary(max_size=30)))
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4)))
    parts = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
    found = []
    for index, part in enumerate(parts):
        found.append(
            client_frame(
                opcode if index == 0 else CONTINUATION, part, final=index == len(parts) - 1,
                reserved=reserved if index == 0 else 0, key=draw(KEYS),
            )
        )
        if index < len(parts) - 1:
            found += draw(st.lists(controls(), max_size=2))
    return found


@st.composite
def oddities(draw: st.DrawFn) -> list[bytes]:
    """One frame with anything about it wrong, or right."""
    opcode = draw(st.integers(0, 15))
    payload = draw(CLOSE_PAYLOADS if opcode == CLOSE else PAYLOADS)
    lengths = [length for length in (0, 2, 8) if len(payload) < 126 or length]
    odd = client_frame(
        opcode, payload, final=draw(st.booleans()), reserved=draw(st.sampled_from((0, 0, 0, 1, 2, 4, 7))),
        key=draw(st.one_of(KEYS, KEYS, KEYS, st.none())), length_bytes=draw(st.sampled_from((None, *lengths))),
    )
    return [odd]


@st.composite
def too_long(draw: st.DrawFn) -> list[bytes]:
    """A head that promises more than any message may have, up to lengths with the top bit set."""
    length = draw(st.sampled_from((FRAME_BYTES + 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1)))
    opcode = draw(st.sampled_from((TEXT, BINARY, PING, CLOSE, CONTINUATION, 3)))
    length_bytes = 2 if length < 65_536 and draw(st.booleans()) else 8
    return [client_frame(opcode, b"some of it", length=length, length_bytes=length_bytes, final=draw(st.booleans()))]


def streams(*, deflate: bool = False) -> SearchStrategy[list[bytes]]:
    """Frames of a whole conversation, mostly good ones, in order."""
    good = messages(deflate=deflate)
    bits = st.one_of(good, good, controls().map(lambda frame: [frame]), oddities(), too_long())
    return st.lists(bits, max_size=6).map(lambda parts: [frame for part in parts for frame in part] + [goodbye()])


def goodbye(payload: bytes = GOODBYE) -> bytes:
    """A close frame."""
    return client_frame(CLOSE, payload)


@st.composite
def cut(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    """`stream` in pieces, as TCP may deliver it."""
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) if a < b]
