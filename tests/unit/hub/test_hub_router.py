"""Messages to handlers, with a session that only remembers what it was told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from broadcast_sync.errors import Refusal
from broadcast_sync.hub.router import MAX_PENDING, Router, identify
from broadcast_sync.hub.session import Session
from broadcast_sync.tokens import Identity
from broadcast_sync.wire.client import ClientMessage, CueMessage, Ping, Position, Vote
from broadcast_sync.wire.codecs import JSON, MSGPACK, Codec


class Remembering:
    """Stands in for a Session."""

    def __init__(self, codec: Codec = JSON) -> None:
        self.id = "s1"
        self.address = "192.0.2.7"
        self.codec = codec
        self.path = "/voting/sync"
        self.identity: Identity | None = None
        self.pending = 0
        self.refused: list[tuple[str, str | None, str | None]] = []
        self.bads: list[tuple[str, str | None, str | None]] = []
        self.messages: list[str] = []
        self.acks: list[dict[str, Position]] = []

    def acknowledge(self, acks: dict[str, Position]) -> None:
        self.acks.append(acks)

    def refuse(self, refusal: Refusal, id: str | None = None, cue_id: str | None = None) -> None:
        self.refused.append((refusal.code, id, cue_id))
        self.messages.append(refusal.message)

    def bad(self, refusal: Refusal, id: str | None = None, cue_id: str | None = None) -> None:
        self.bads.append((refusal.code, id, cue_id))
        self.messages.append(refusal.message)


def dispatch(router: Router, session: Remembering, payload: object, received_ms: int = 7) -> None:
    raw = payload if isinstance(payload, bytes) else session.codec.encode(payload)
    router.dispatch(cast(Session, session), raw, received_ms)


class Heard:
    def __init__(self, raises: Exception | None = None) -> None:
        self.calls: list[tuple[ClientMessage, int]] = []
        self._raises = raises

    def __call__(self, session: Session, message: Any, received_ms: int) -> None:
        self.calls.append((message, received_ms))
        if self._raises:
            raise self._raises


@pytest.fixture
def router() -> Router:
    return Router()


@pytest.mark.parametrize("codec", [JSON, MSGPACK])
def test_flat_and_nested(router: Router, codec: Codec) -> None:
    router.register(Ping, heard := Heard())
    dispatch(router, Remembering(codec), {"type": "PING", "t0": 3})
    dispatch(router, Remembering(codec), {"type": "PING", "data": {"t0": 3}})
    assert heard.calls == [(Ping(3), 7)] * 2
    assert router.counts() == {"PING": 2, "other": 0}


@pytest.mark.parametrize("codec", [JSON, MSGPACK])
def test_any_message_may_take_acknowledgements_along(router: Router, codec: Codec) -> None:
    router.register(Ping, heard := Heard())
    session, ack = Remembering(codec), {"show": {"epoch": "e", "offset": 3}}
    dispatch(router, session, {"type": "PING", "t0": 1, "ack": ack})
    dispatch(router, session, {"type": "PING", "data": {"t0": 2}, "ack": ack})
    dispatch(router, session, {"type": "PING", "t0": 3})
    assert session.acks == [{"show": Position("e", 3)}] * 2 and len(heard.calls) == 3
    many: object = {str(n): ack["show"] for n in range(65)}
    for wrong in (True, [], {"show": 3}, {"show": {"epoch": "e", "offset": -1}}, many):
        dispatch(router, session, {"type": "PING", "t0": 4, "ack": wrong})
    assert [code for code, *_ in session.bads] == ["BAD_MESSAGE"] * 5 and len(session.acks) == 2


def test_a_type_has_one_handler(router: Router) -> None:
    router.register(Ping, Heard())
    with pytest.raises(ValueError, match="PING"):
        router.register(Ping, Heard())


@pytest.mark.parametrize(
    ("payload", "code", "id", "cue_id"),
    [
        (b"", "BAD_MESSAGE", None, None),
        (b"{", "BAD_MESSAGE", None, None),
        (b'{"type":"VOTE","id":"a"', "BAD_MESSAGE", None, None),
        (b"[]", "BAD_MESSAGE", None, None),
        (b"null", "BAD_MESSAGE", None, None),
        (b"{}", "BAD_MESSAGE", None, None),
        (b'{"id":"a"}', "BAD_MESSAGE", "a", None),
        (b'{"type":5,"id":"a"}', "BAD_MESSAGE", "a", None),
        (b'{"type":"WHAT","id":"a"}', "UNSUPPORTED", "a", None),
        (b'{"type":"vote","id":"a"}', "UNSUPPORTED", "a", None),
        (b'{"type":"VOTE","id":"a"}', "BAD_MESSAGE", "a", None),
        (b'{"type":"VOTE","id":5,"contestantId":"c"}', "BAD_MESSAGE", None, None),
        (b'{"type":"VOTE","id":"","contestantId":"c"}', "BAD_MESSAGE", None, None),
        (b'{"type":"VOTE","data":{"id":"a","voteCount":"3"}}', "BAD_MESSAGE", "a", None),
        (b'{"type":"VOTE","data":[]}', "BAD_MESSAGE", None, None),
        (b'{"type":"VOTE","id":"a","contestantId":"c","voteCount":1' + b"0" * 5000 + b"}", "BAD_MESSAGE", "a", None),
        (b'{"type":"CUE","cueId":"k","event":5}', "BAD_MESSAGE", None, "k"),
        (b'{"type":"VOTE","id":"a\xff"}', "BAD_MESSAGE", None, None),
        (b'{"type":"VOTE","id":"\\ud800","contestantId":"c"}', "BAD_MESSAGE", None, None),
        (b'{"type":"VOTE","data":' + b"[" * 16000, "BAD_MESSAGE", None, None),
        (b"[" * 16000, "BAD_MESSAGE", None, None),
    ],
)
def test_what_cannot_be_understood(
    router: Router, payload: bytes, code: str, id: str | None, cue_id: str | None
) -> None:
    router.register(Vote, heard := Heard())
    router.register(CueMessage, heard)
    session = Remembering()
    dispatch(router, session, payload)
    assert session.bads == [(code, id, cue_id)]
    assert heard.calls == []
    assert router.counts()["other"] == 1
    msgspec.json.encode(session.messages)


def test_the_message_says_what_and_where(router: Router) -> None:
    router.register(Vote, Heard())
    session = Remembering()
    dispatch(router, session, {"type": "VOTE", "id": "a", "contestantId": "c", "voteCount": "3"})
    assert session.messages == ["Expected `int`, got `str` - at `$.voteCount`."]


@given(st.binary(max_size=60) | st.text().map(str.encode), st.sampled_from([JSON, MSGPACK]))
def test_rubbish_never_raises(payload: bytes, codec: Codec) -> None:
    router = Router()
    router.register(Vote, Heard())
    session = Remembering(codec)
    dispatch(router, session, payload)
    identify(codec, payload)
    assert len(session.bads) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


vote_fields = st.sampled_from(["id", "contestantId", "voteType", "voteCount", "metadata", "data"])


@given(st.dictionaries(vote_fields, json_values))
def test_wrong_fields_are_an_answer_or_a_vote(fields: dict[str, object]) -> None:
    router = Router()
    router.register(Vote, heard := Heard())
    session = Remembering()
    dispatch(router, session, {"type": "VOTE", **fields})
    assert len(session.bads) + len(heard.calls) == 1


@pytest.mark.parametrize(
    ("path", "roles", "code"),
    [
        ("/control/sync", None, "UNAUTHENTICATED"),
        ("/control/sync", ["user"], "FORBIDDEN"),
        ("/voting/sync", ["control"], "UNSUPPORTED"),
        ("/control/sync", ["control"], None),
        ("/control/sync", ["admin"], None),
        ("/control/sync", ["control", "expired"], "TOKEN_EXPIRED"),
    ],
)
def test_roles_and_paths(router: Router, path: str, roles: list[str] | None, code: str | None) -> None:
    router.register(
        CueMessage, heard := Heard(), roles=frozenset({"control"}), paths=frozenset({"/control/sync"})
    )
    session = Remembering()
    session.path = path
    if roles is not None:
        session.identity = Identity("u", "default", frozenset(roles), 5 if "expired" in roles else 6, 2)
    with capture_logs() as lines:
        dispatch(router, session, {"type": "CUE", "cueId": "k", "event": "SHOW_END"})
    said = [(line["event"], line["code"]) for line in lines]
    assert said == ([] if code is None else [("message_not_allowed", code)])
    assert session.refused == ([] if code is None else [(code, None, "k")])
    assert len(heard.calls) == (code is None)
    assert session.bads == []


def test_of_many_messages_that_are_not_allowed_some_have_their_lines(router: Router) -> None:
    router.register(CueMessage, Heard(), roles=frozenset({"control"}))
    session = Remembering()
    with capture_logs() as lines:
        for _ in range(200):
            dispatch(router, session, {"type": "CUE", "event": "SHOW_END"})
    assert len(session.refused) == 200 and 1 <= len(lines) < 20


def test_refusals_and_faults_of_a_handler(router: Router) -> None:
    vote = {"type": "VOTE", "id": "a", "contestantId": "c"}
    router.register(Vote, Heard(Refusal("NO_FREE_VOTES")))
    session = Remembering()
    dispatch(router, session, vote)
    faulty = Router()
    faulty.register(Vote, Heard(ZeroDivisionError()))
    dispatch(faulty, session, vote)
    assert session.refused == [("NO_FREE_VOTES", "a", None), ("TRY_AGAIN", "a", None)]
    assert faulty.faults == 1


async def test_asynchronous_handlers(router: Router) -> None:
    release = asyncio.Event()
    session = Remembering()

    async def handler(at: Session, message: Vote, received_ms: int) -> None:
        await release.wait()
        raise Refusal("VOTING_CLOSED") if message.id == "a" else ZeroDivisionError

    router.register(Vote, handler)
    for id in "ab":
        dispatch(router, session, {"type": "VOTE", "id": id, "contestantId": "c"})
    assert session.pending == 2
    release.set()
    await router.settle()
    assert session.refused == [("VOTING_CLOSED", "a", None), ("TRY_AGAIN", "b", None)]
    assert session.pending == 0


async def test_handlers_at_work_are_bounded_and_cut_off_in_the_end(router: Router) -> None:
    session = Remembering()
    done: list[str] = []

    def handler(at: Session, message: Vote, received_ms: int) -> Awaitable[None]:
        async def rest() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                done.append(message.id)

        return rest()

    router.register(Vote, handler)
    for number in range(MAX_PENDING + 1):
        dispatch(router, session, {"type": "VOTE", "id": str(number), "contestantId": "c"})
    assert session.refused == [("BUSY", str(MAX_PENDING), None)]
    await asyncio.sleep(0)
    await router.finish()
    assert len(done) == MAX_PENDING
