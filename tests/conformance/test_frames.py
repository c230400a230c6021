"""The endpoint against RFC 6455: whatever comes in, what goes out is what the model says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast_sync.wire.codecs import MSGPACK
from tests.conformance.conversation import Conversation, answers
from tests.conformance.echo import FRAME_BYTES, INFLATED_BYTES, MESSAGE_BYTES, EchoServer
from tests.conformance.rfc6455 import BINARY, CLOSE, CONTINUATION, PING, TEXT, Answers, Terms, expected, may_be_sent
from tests.conformance.strategies import BAD_TEXTS, MANY, client_frame, goodbye, streams

JSON_TERMS = Terms(TEXT, MESSAGE_BYTES, FRAME_BYTES, INFLATED_BYTES)
MSGPACK_TERMS = Terms(BINARY, MESSAGE_BYTES, FRAME_BYTES, INFLATED_BYTES)
KHMER = "\u17a0\u17c1\u17a1\u17c4".encode()


def heard(echo: EchoServer, *pieces: bytes, protocol: str = "") -> Answers:
    """What the server answers to a conversation that ends."""
    talk = Conversation(echo.port, *([f"Sec-WebSocket-Protocol: {protocol}"] if protocol else []))
    talk.send(*pieces)
    return answers(talk.frames())


def check(echo: EchoServer, stream: bytes, terms: Terms = JSON_TERMS, protocol: str = "") -> None:
    """The server answers a stream as the model says."""
    found, model = heard(echo, stream, protocol=protocol), expected(stream, terms)
    assert model.permit(found), (stream, found, model)


@given(frames=streams())
@MANY
def test_any_conversation(echo: EchoServer, frames: list[bytes]) -> None:
    check(echo, b"".join(frames))


@given(frames=streams())
@MANY
def test_any_conversation_in_messagepack(echo: EchoServer, frames: list[bytes]) -> None:
    check(echo, b"".join(frames), MSGPACK_TERMS, protocol=MSGPACK.name)


@given(payload=BAD_TEXTS, before=st.sampled_from((b"", b"ok", KHMER)), after=st.sampled_from((b"", b"ok", KHMER)))
@settings(deadline=None, max_examples=25)
def test_bad_text_at_every_split(echo: EchoServer, payload: bytes, before: bytes, after: bytes) -> None:
    whole = before + payload + after
    for at in range(len(whole) + 1):
        parts = (
            client_frame(TEXT, whole[:at], final=False), client_frame(PING, b"between"),
            client_frame(CONTINUATION, whole[at:]), goodbye(),
        )
        check(echo, b"".join(parts))


def test_good_text_at_every_split(echo: EchoServer) -> None:
    whole = "\u17a0\U0001f3a4\u00e9".encode()
    for at in range(len(whole) + 1):
        for second in range(at, len(whole) + 1):
            parts = (
                client_frame(TEXT, whole[:at], final=False),
                client_frame(CONTINUATION, whole[at:second], final=False),
                client_frame(CONTINUATION, whole[second:]), goodbye(),
            )
            assert heard(echo, b"".join(parts)) == Answers((whole,), (), frozenset({1000}))


@pytest.mark.parametrize("code", [0, 999, *range(1000, 1018), 1100, 2999, 3000, 3999, 4000, 4999, 5000, 65_535])
def test_close_codes(echo: EchoServer, code: int) -> None:
    found = heard(echo, goodbye(code.to_bytes(2, "big") + b"why"))
    assert found.codes == {code if may_be_sent(code) else 1002}


@pytest.mark.parametrize(
    ("payload", "code"), [(b"", 1005), (b"\x03", 1002), (b"\x03\xe8\xff", 1007), (b"\x03\xe8" + b"r" * 123, 1000)]
)
def test_close_payloads(echo: EchoServer, payload: bytes, code: int) -> None:
    assert heard(echo, goodbye(payload)).codes == {code}


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("final", [True, False])
def test_reserved_opcodes(echo: EchoServer, opcode: int, final: bool) -> None:
    stream = client_frame(PING, b"first") + client_frame(opcode, b"x", final=final) + client_frame(TEXT, b"never")
    assert heard(echo, stream) == Answers((), (b"first",), frozenset({1002}))


@pytest.mark.parametrize("reserved", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
def test_reserved_bits(echo: EchoServer, opcode: int, reserved: int) -> None:
    stream = client_frame(TEXT, b"good") + client_frame(opcode, b"", reserved=reserved) + client_frame(TEXT, b"never")
    assert heard(echo, stream) == Answers((b"good",), (), frozenset({1002}))


@pytest.mark.parametrize("opcode", [CONTINUATION, TEXT, BINARY, PING, CLOSE])
def test_frames_that_are_not_masked(echo: EchoServer, opcode: int) -> None:
    stream = client_frame(opcode, b"", key=None) + client_frame(TEXT, b"never")
    assert heard(echo, stream) == Answers((), (), frozenset({1002}))


def test_nothing_is_said_after_the_close(echo: EchoServer) -> None:
    stream = goodbye() + client_frame(PING, b"late") + client_frame(TEXT, b"late") + goodbye(b"\x0f\xa0")
    assert heard(echo, stream) == Answers((), (), frozenset({1000}))


def test_who_hangs_up_in_the_middle_of_a_frame_is_let_go(echo: EchoServer) -> None:
    whole = client_frame(TEXT, b"t" * 200)
    for at in range(1, len(whole)):
        talk = Conversation(echo.port)
        talk.send(client_frame(PING, b"p"), whole[:at])
        talk.hang_up()
        assert answers(talk.frames()) == Answers((), (b"p",), frozenset())
