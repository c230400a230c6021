from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.wire.client import ClientMessage, CueMessage, Position, RequestUpdate, Subscribe, Vote
from broadcast_sync.wire.server import Error, StateUpdate, Subscribed
from clients.python.clock import ServerClock
from clients.python.connection import Backoff, may_reconnect, retry_after_s
from clients.python.control import sign
from clients.python.errors import ConnectionEnded, Overloaded, Refused, Unconfirmed
from clients.python.inbox import Inbox
from clients.python.messages import Message, Misshapen, decode, encode, with_acks
from clients.python.requests import Patience, Requests
from clients.python.subscriptions import Subscriptions

# --- connection ------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_is_full_jitter_below_its_cap(attempt: int, random: float) -> None:
    backoff = Backoff(base_s=0.5, cap_s=20.0)
    assert backoff.delay_s(attempt, random) == random * min(20.0, 0.5 * 2 ** min(attempt, 30))
    assert backoff.delay_s(attempt, 0.0) == 0.0


@pytest.mark.parametrize(("code", "again"), [
    (None, True), (1000, True), (1001, True), (1006, True), (4000, True), (4003, True), (4005, True), (4499, True),
    (4500, False), (4502, False), (4505, False), (4999, False),
])
def test_close_codes(code: int | None, again: bool) -> None:
    assert may_reconnect(code) is again


def test_retry_after() -> None:
    values = (None, "3", " 7 ", "-1", "Fri, 31 Dec 1999 23:59:59 GMT", "999999")
    assert [retry_after_s(value) for value in values] == [0, 3, 7, 0, 0, 3600]


# --- clock -----------------------------------------------------------------------------------------------------


class Local:
    """This machine's time, as the test says."""

    def __init__(self) -> None:
        self.ms = 0.0

    def __call__(self) -> float:
        return self.ms


@given(st.lists(st.tuples(st.floats(0, 500), st.floats(0, 500)), min_size=1, max_size=20), st.floats(-1e6, 1e6))
def test_the_offset_is_off_by_at_most_half_the_best_round_trip(ways: list[tuple[float, float]], offset: float) -> None:
    local = Local()
    clock = ServerClock(local)
    clock.guess(5.0)
    for there, back in ways:
        local.ms += 10_000.0
        t0, local.ms = local.ms, local.ms + there + 1 + back
        clock.add(t0, t0 + there + offset, t0 + there + offset + 1, local.ms)
        assert abs(clock.offset_ms - offset) <= clock.error_ms + 1e-3
    local.ms += 20_000.0  # time enough to be corrected by a second
    assert abs(clock.offset_ms - offset) <= clock.error_ms + 1e-3
    kept = clock.offset_ms
    clock.guess(1.0)
    clock.add(10.0, 0.0, 0.0, 9.0)
    assert clock.offset_ms == kept
    clock.restart()
    assert (clock.offset_ms, clock.error_ms) == (kept, float("inf"))


def test_a_correction_is_slewed_and_a_large_one_a_step() -> None:
    local = Local()
    clock = ServerClock(local)
    clock.add(0.0, 200.0, 200.0, 400.0)  # the first sample moves it at once
    assert clock.offset_ms == 0.0
    local.ms = 1_000.0
    clock.add(1_000.0, 1_150.0, 1_150.0, 1_100.0)  # a better one: 100 ms ahead
    before, shown = clock.now_ms(), []
    for _ in range(30):
        local.ms += 100.0
        shown.append(clock.now_ms() - before)
        before += shown[-1]
    assert all(95.0 - 1e-6 <= step <= 105.0 + 1e-6 for step in shown)
    assert clock.offset_ms == pytest.approx(100.0)
    clock.restart()
    clock.add(4_000.0, 9_000.0, 9_000.0, 4_000.0)
    assert clock.offset_ms == 5_000.0


# --- subscriptions -----------------------------------------------------------------------------------------------


class Said:
    """What subscriptions ask for."""

    def __init__(self, *channels: str, random: float = 0.5) -> None:
        self.messages: list[ClientMessage] = []
        self.pings = 0
        self.subscriptions = Subscriptions(channels, self, answer_s=4.0, random=lambda: random)

    def say(self, message: ClientMessage) -> bool:
        self.messages.append(message)
        return True

    def ping(self) -> None:
        self.pings += 1

    def take(self, *offsets: int, epoch: str = "e", type: str = "WARNING") -> list[bool]:
        return [self.subscriptions.take(type, "show", epoch, offset) for offset in offsets]

    def subscribed(self, offset: int, *, recovered: bool, epoch: str = "e") -> None:
        self.subscriptions.subscribed(Subscribed("show", recovered, epoch, offset))


async def test_nothing_is_taken_twice() -> None:
    said = Said("show")
    assert said.take(1, 1, 2, 1) == [True, False, True, False]
    assert said.take(1, epoch="f") == [True]
    assert said.subscriptions.take_acks() == {"show": Position("f", 1)} and said.subscriptions.take_acks() == {}
    assert said.subscriptions.take("COUNTDOWN", "show", None, None) and said.messages == []
    said.subscriptions.lost()


async def test_a_gap_is_asked_for_and_what_comes_after_it_waits() -> None:
    said = Said("show")
    said.subscribed(4, recovered=False)
    assert said.take(6, 5, 7) == [False, True, False]
    assert said.messages == [Subscribe(["show"], {"show": Position("e", 4)})]
    said.subscribed(7, recovered=True)
    assert said.take(5, 6, 7) == [False, True, True]
    said.subscriptions.lost()


async def test_boards_may_skip_numbers() -> None:
    said = Said("results")
    assert said.take(1_000, 3_000, 2_000, type="LIVE_RESULTS") == [True, True, False]
    assert said.messages == [] and said.subscriptions.take_acks() == {}


async def test_a_snapshot_stands_for_all_before_it_unless_the_node_lags() -> None:
    said = Said("show")
    said.take(4)
    said.subscribed(9, recovered=False)
    assert said.take(9, 10) == [False, True]
    said.subscribed(7, recovered=False)
    assert said.take(8, 10, 11) == [False, False, True]
    said.subscribed(2, recovered=False, epoch="f")
    assert said.take(3, epoch="f") == [True]
    said.subscriptions.lost()


async def test_a_refused_subscribe_is_said_once_more_without_a_place() -> None:
    said = Said("show")
    said.take(4, 9)
    said.subscriptions.refused()
    said.subscriptions.refused()
    assert said.messages == [Subscribe(["show"], {"show": Position("e", 4)}), Subscribe(["show"])]
    said.subscriptions.lost()


# --- messages --------------------------------------------------------------------------------------------------


def test_known_messages_have_their_structs_and_unknown_ones_stay_plain() -> None:
    state = decode(
        '{"type":"STATE_UPDATE","data":{"show":null,"performance":null,"voting":"IDLE","window":null,"revision":3,'
        '"degraded":false,"resultsReleased":false,"contestants":[]},"timestamp":"t","channel":"show","epoch":"e",'
        '"offset":5}'
    )
    assert isinstance(state.data, StateUpdate) and state.data.revision == 3
    assert (state.channel, state.epoch, state.offset) == ("show", "e", 5)
    later = decode('{"type":"LATER","data":{"x":[1]},"timestamp":"t"}')
    assert (later.data, later.channel) == ({"x": [1]}, None)


def test_data_of_another_shape_say_what_is_wrong() -> None:
    misshapen = decode('{"type":"PONG","data":{"t0":"x"},"timestamp":"","channel":"show","epoch":"e","offset":3}')
    assert isinstance(misshapen.data, Misshapen) and "$.t0" in misshapen.data.reason and misshapen.offset == 3


@pytest.mark.parametrize("frame", ["", "[]", "{}", '{"type":7,"data":{}}', b"\xff"])
def test_what_is_no_message(frame: str | bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        decode(frame)


def test_messages_to_the_server_are_flat() -> None:
    assert encode(RequestUpdate()) == '{"type":"REQUEST_UPDATE"}'
    vote = msgspec.json.decode(encode(Vote("i", "c01", metadata=msgspec.Raw(b'{"a":1}'))))
    assert vote == {
        "type": "VOTE", "id": "i", "contestantId": "c01", "voteType": "free", "voteCount": 1, "metadata": {"a": 1},
    }
    cue = msgspec.json.decode(encode(CueMessage("VOTING_OPEN", cue_id="c", data={"duration": 5})))
    assert (cue["type"], cue["cueId"], cue["data"]) == ("CUE", "c", {"duration": 5})


# --- inbox -----------------------------------------------------------------------------------------------------


def message(type: str, number: int = 0) -> Message:
    return Message(type, number, "t")


async def test_a_newer_board_replaces_a_waiting_one() -> None:
    inbox = Inbox(3, lambda: None)
    for each in (message("LIVE_RESULTS", 1), message("VOTING_OPEN", 2), message("LIVE_RESULTS", 3)):
        assert inbox.put(each)
    assert len(inbox) == 2
    assert inbox.put(message("WARNING", 4)) and inbox.put(message("LIVE_RESULTS", 6))
    got = [await inbox.get() for _ in range(3)]
    assert [one.data for one in got if one] == [6, 2, 4]
    inbox.put(message("LIVE_RESULTS", 7))
    inbox.end()
    assert (await inbox.get()) is not None and (await inbox.get()) is None


async def test_the_reader_waits_for_the_next_message() -> None:
    inbox = Inbox(3, lambda: None)
    reading = asyncio.ensure_future(inbox.get())
    await asyncio.sleep(0)
    inbox.put(message("WARNING", 1))
    got = await reading
    assert got is not None and got.data == 1


async def test_a_reader_that_is_too_slow_is_told_when_it_is_back() -> None:
    behind: list[int] = []

    def bring_the_state() -> None:
        behind.append(1)
        inbox.put(message("STATE_UPDATE", 9))

    inbox = Inbox(2, bring_the_state)
    assert [inbox.put(message("WARNING", number)) for number in range(4)] == [True, True, False, False]
    assert len(inbox) == 0 and not behind
    got = await inbox.get()
    assert behind == [1] and got is not None and got.data == 9
    assert inbox.put(message("WARNING"))


# --- requests --------------------------------------------------------------------------------------------------


class Server:
    """Takes what is sent while `up`; time stands still until told."""

    def __init__(self, patience: Patience | None = None) -> None:
        self.sent: list[str] = []
        self.arrived = asyncio.Event()
        self.up = True
        self.now_ms = 0.0
        self.requests = Requests(
            self.send, lambda: self.now_ms, lambda: 0.0, patience or Patience(answer_s=0.01, most=3)
        )

    def send(self, text: str) -> bool:
        if self.up:
            self.sent.append(text)
            self.arrived.set()
        return self.up

    async def wait_sent(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.sent) < count:
                self.arrived.clear()
                await self.arrived.wait()


async def test_a_request_is_sent_again_until_it_is_answered() -> None:
    server = Server()
    future = server.requests.add("a", "A", lambda: 1.0)
    await server.wait_sent(3)
    assert server.requests.answer("a", "ack") and await future == "ack"
    assert set(server.sent) == {"A"} and len(server.requests) == 0
    assert not server.requests.answer("a", "ack") and not server.requests.refuse("a", Error("BUSY", "", True))


async def test_what_waits_goes_out_when_the_connection_is_back() -> None:
    server = Server(Patience(answer_s=60.0))
    server.up = False
    future = server.requests.add("a", "A", lambda: 1.0)
    assert server.requests.add("a", "A", lambda: 1.0) is future
    server.up = True
    server.requests.flush()
    assert server.sent == ["A"]
    server.requests.fail_all(ConnectionEnded(4500))
    with pytest.raises(ConnectionEnded):
        await future


@pytest.mark.parametrize("code", ["TRY_AGAIN", "BUSY", "RATE_LIMIT"])
async def test_undecided_refusals_are_asked_again(code: str) -> None:
    server = Server(Patience(answer_s=60.0))
    future = server.requests.add("a", "A", lambda: 1.0)
    assert server.requests.refuse("a", Error(code, "", True, retry_after=0.001, id="a"))
    await server.wait_sent(2)
    assert server.requests.refuse("a", Error("NO_FREE_VOTES", "none", False, id="a"))
    with pytest.raises(Refused) as refused:
        await future
    assert (refused.value.code, refused.value.retry_after) == ("NO_FREE_VOTES", None)


async def test_after_the_deadline_nothing_is_sent_but_an_answer_is_awaited() -> None:
    server = Server()
    future = server.requests.add("a", "A", lambda: 1.0)
    server.now_ms = 2.0
    with pytest.raises(Unconfirmed) as unconfirmed:
        await future
    assert unconfirmed.value.sent and server.sent == ["A"]


async def test_an_extension_gives_another_attempt() -> None:
    server, deadline = Server(), [1.0]
    future = server.requests.add("a", "A", lambda: deadline[0])
    server.now_ms = 2.0
    deadline[0] = 3.0
    await server.wait_sent(2)
    future.cancel()
    await asyncio.sleep(0)
    assert len(server.requests) == 0


async def test_what_never_left_says_so() -> None:
    server = Server()
    server.up = False
    future = server.requests.add("a", "A", lambda: 1.0)
    server.now_ms = 2.0
    with pytest.raises(Unconfirmed) as unconfirmed:
        await future
    assert not unconfirmed.value.sent


async def test_only_so_many_may_wait() -> None:
    server = Server()
    waiting = [server.requests.add(str(n), "A", lambda: 1.0) for n in range(3)]
    with pytest.raises(Overloaded):
        server.requests.add("x", "A", lambda: 1.0)
    for future in waiting:
        future.cancel()


# --- control ---------------------------------------------------------------------------------------------------


@given(st.binary(min_size=1, max_size=64), st.integers(0, 2**33), st.binary(max_size=200))
def test_signatures(secret: bytes, timestamp: int, body: bytes) -> None:
    expected: Any = hmac.new(secret, f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert sign(secret, timestamp, body) == {
        "X-Signature-Timestamp": str(timestamp), "X-Signature": f"sha256={expected}",
    }


def test_a_message_takes_acknowledgements_along() -> None:
    for message in (RequestUpdate(), Vote("1", "c07")):
        told = msgspec.json.decode(with_acks(encode(message), {"show": Position("e", 3)}))
        assert told == msgspec.json.decode(encode(message)) | {"ack": {"show": {"epoch": "e", "offset": 3}}}
