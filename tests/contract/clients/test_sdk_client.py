from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from broadcast_sync.wire.server import Error, LiveResults, Reconnect, ResultsReady, Warning_
from broadcast_sync.wire.times import iso
from clients.python.client import BroadcastSyncClient
from clients.python.connection import Backoff, Heartbeat
from clients.python.errors import ConnectionEnded, Refused
from clients.python.messages import Message
from clients.python.requests import Patience
from tests.support.small_server import SmallServer, now_ms, open_state

QUICK = Backoff(base_s=0.01, cap_s=0.05, settled_s=0.0)
EAGER = Patience(answer_s=0.05, backoff=QUICK)


@pytest.fixture
async def server() -> AsyncIterator[SmallServer]:
    small = SmallServer()
    async with small.running():
        yield small


def client(server: SmallServer, **options: Any) -> BroadcastSyncClient:
    return BroadcastSyncClient(
        f"{server.url}/voting/sync", proxy=None, backoff=QUICK, patience=EAGER, **options
    )


class Seen:
    """Messages of a client, awaited."""

    def __init__(self, of: BroadcastSyncClient, type: str = "*") -> None:
        self.messages: list[Message] = []
        self._more = asyncio.Event()
        of.on(type, self._take)

    def _take(self, message: Message) -> None:
        self.messages.append(message)
        self._more.set()

    async def wait(self, count: int) -> list[Message]:
        async with asyncio.timeout(10):
            while len(self.messages) < count:
                self._more.clear()
                await self._more.wait()
        return self.messages


async def test_it_follows_the_show(server: SmallServer) -> None:
    async with client(server) as show:
        states = Seen(show, "STATE_UPDATE")
        await Seen(show, "SUBSCRIBED").wait(2)
        await show_is_current(server, show)
        assert show.window is not None and show.window.window_id == "w1"
        assert show.remaining_s is not None and 50 < show.remaining_s <= 60
        assert show.clock_error_ms < 1_000
        server.publish(open_state(30.0, 2, "CLOSED"))
        await states.wait(len(states.messages) + 1)
        assert show.remaining_s is None and show.state is not None and show.state.revision == 2
    with pytest.raises(ConnectionEnded):
        await show.vote("c01")


@pytest.mark.parametrize("asking", [False, True])
async def test_what_must_arrive_is_acknowledged_once(asking: bool, server: SmallServer) -> None:
    def acked() -> list[int]:
        acks = [message["ack"] for message in server.messages if "ack" in message]
        return [ack["show"]["offset"] for ack in acks if "show" in ack]

    # with a random of 1 its own PING is 5 s away: another message takes the position along
    async with client(server, random=lambda: float(asking)) as show:
        await show.wait_live()
        await Seen(show, "SUBSCRIBED").wait(2)
        warnings = Seen(show, "WARNING")
        for offset in (1, 2):
            server.publish(Warning_("1_MINUTE", 60))
            await warnings.wait(offset)
            if asking:
                show.request_update()
            await server.wait_for(lambda: offset in acked())  # noqa: B023 - awaited in this turn
    assert acked().count(1) <= 1 and acked()[-1] == 2


async def test_a_vote_is_acked(server: SmallServer) -> None:
    async with client(server, token="good") as show:
        ack = await show.vote("c02", metadata={"a": 1})
        assert (ack.contestant_id, ack.replayed) == ("c02", False)
        assert server.votes == {ack.id: "c02"} and show.remaining == {"free": 4}
        assert [m["type"] for m in server.messages if m["type"] in ("AUTH", "VOTE")] == ["AUTH", "VOTE"]


async def test_a_lost_ack_and_a_busy_server_cost_no_vote_and_count_none_twice(server: SmallServer) -> None:
    def trouble(socket: ServerConnection, vote: dict[str, Any]) -> Error | None:
        if len(server.attempts) == 1:
            raise SmallServer.Drop
        if len(server.attempts) == 2:
            return Error("TRY_AGAIN", "again", True, 0.01)
        return None

    server.before_ack = trouble
    async with client(server, token="good") as show:
        ack = await show.vote("c01", id="mine")
    assert ack.replayed and server.attempts == ["mine"] * 3 and server.votes == {"mine": "c01"}


@pytest.mark.parametrize("code", [1001, 4000, 4005])
async def test_a_vote_survives_the_connection(server: SmallServer, code: int) -> None:
    def cut(socket: ServerConnection, vote: dict[str, Any]) -> Error | None:
        if len(server.attempts) == 1:
            socket.protocol.send_close(code)
            socket.send_data()
            raise SmallServer.Drop
        return None

    server.before_ack = cut
    async with client(server, token="good") as show:
        ack = await show.vote("c01")
        assert ack.replayed and show.connections == 2 and len(server.votes) == 1


async def test_a_vote_survives_the_end_of_its_token(server: SmallServer) -> None:
    def cut(socket: ServerConnection, vote: dict[str, Any]) -> Error | None:
        if len(server.attempts) == 1:
            socket.protocol.send_close(4003)
            socket.send_data()
            raise SmallServer.Drop
        return None

    server.before_ack = cut
    async with client(server, token="t1", refresh_token=Source("t2")) as show:
        assert (await show.vote("c01")).replayed and show.connections == 2 and said(server) == ["t1", "t2"]


async def test_a_refusal_is_final(server: SmallServer) -> None:
    server.before_ack = lambda socket, vote: Error("NO_FREE_VOTES", "none left", False)
    async with client(server, token="good") as show:
        with pytest.raises(Refused, match="NO_FREE_VOTES"):
            await show.vote("c01")
    assert len(server.attempts) == 1


@pytest.mark.parametrize("code", [4500, 4505])
async def test_it_stays_away_when_told_to(server: SmallServer, code: int) -> None:
    async with client(server, token="good") as show:
        await show.wait_live()
        waiting = asyncio.ensure_future(show.vote("c01"))
        server.before_ack = lambda socket, vote: (_ for _ in ()).throw(SmallServer.Drop)
        await server.wait_for(lambda: len(server.attempts) > 0)
        server.sockets[0].protocol.send_close(code, "go")
        server.sockets[0].send_data()
        with pytest.raises(ConnectionEnded) as ended:
            await waiting
        assert ended.value.code == code and not show.live
        with pytest.raises(ConnectionEnded):
            await show.wait_live()
    assert show.connections == 1


async def test_what_was_missed_comes_once_and_in_order(server: SmallServer) -> None:
    server.publish(open_state(60, 2))
    async with client(server) as show:
        seen = Seen(show)
        await Seen(show, "SUBSCRIBED").wait(2)
        assert show.state is not None and show.state.revision == 2
        server.publish(open_state(60, 3), unseen=True)
        server.publish(Warning_("1_MINUTE", 60), unseen=True)
        server.publish(open_state(60, 4), unseen=True)
        server.sockets[0].transport.abort()
        states: list[int] = []
        show.on("*", lambda message: states.append(show.state.revision))  # type: ignore[union-attr]  # it has one
        await server.wait_for(lambda: server.heard_of("SUBSCRIBE") == 2)
        await show_is_current(server, show)
        events = [(m.offset, m.type) for m in seen.messages if m.offset is not None]
        assert events == [(2, "STATE_UPDATE"), (3, "WARNING"), (4, "STATE_UPDATE")]
        assert show.connections == 2 and states == sorted(states) and states[-1] == 4


async def test_another_epoch_brings_a_snapshot(server: SmallServer) -> None:
    server.publish(open_state(60, 9))
    async with client(server) as show:
        await Seen(show, "SUBSCRIBED").wait(2)
        server.epoch, server.log = "e2", []
        server.publish(open_state(60, 1), unseen=True)
        server.sockets[0].transport.abort()
        await server.wait_for(lambda: server.heard_of("SUBSCRIBE") == 2)
        await show_is_current(server, show)
        assert show.state is not None and show.state.revision == 1 and show.connections == 2


async def test_its_own_slot_for_a_reconnect(server: SmallServer) -> None:
    async with client(server, token="good") as show:
        await show.wait_live()
        server.send(server.sockets[0], Reconnect(30, "deploy"))
        await show.vote("c01")
        before = server.sockets[0]
        await server.wait_for(lambda: bool(server.sockets) and server.sockets[0] is not before)
        await show.wait_live()
        assert (await show.vote("c02")).contestant_id == "c02"


async def test_a_busy_handshake_is_tried_again_and_a_forbidden_one_is_not(server: SmallServer) -> None:
    answers: list[tuple[int, dict[str, str]] | None] = [(503, {"Retry-After": "0"}), None]
    server.refuse_handshake = lambda request: answers.pop(0)
    async with client(server) as show:
        await show.wait_live()
    answers.append((403, {}))
    async with client(server) as show:
        with pytest.raises(ConnectionEnded, match="403"):
            await show.wait_live()


async def test_a_refused_token_is_said_and_the_client_goes_on_watching(server: SmallServer) -> None:
    async with client(server, token="bad") as show:
        with pytest.raises(Refused, match="UNAUTHENTICATED"):
            await show.vote("c01")
        with pytest.raises(Refused, match="UNAUTHENTICATED"):
            await show.wait_live()
        warnings = Seen(show, "WARNING")
        server.publish(Warning_("1_MINUTE", 60))
        await warnings.wait(1)
        assert server.heard_of("AUTH") == 1 and show.connections == 1
        show.set_token("good")
        assert (await show.vote("c01")).contestant_id == "c01"


class Source:
    """Gives these tokens in turn; an exception is raised."""

    def __init__(self, *tokens: str | Exception | None) -> None:
        self.tokens = list(tokens)

    async def __call__(self) -> str | None:
        token = self.tokens.pop(0)
        if isinstance(token, Exception):
            raise token
        return token


def said(server: SmallServer) -> list[str]:
    return [message["token"] for message in server.messages if message["type"] == "AUTH"]


async def test_a_token_is_renewed_before_it_ends_on_the_same_connection(server: SmallServer) -> None:
    server.expires_at = iso(now_ms() + 400)
    async with client(server, token="t1", refresh_token=Source("t2")) as show:
        await show.wait_live()
        server.expires_at = iso(now_ms() + 3_600_000)
        await server.wait_for(lambda: said(server) == ["t1", "t2"])
        assert (await show.vote("c01")).contestant_id == "c01" and show.connections == 1


async def test_a_vote_that_meets_the_end_of_its_token_goes_out_again_with_the_next_one(server: SmallServer) -> None:
    def ended(socket: ServerConnection, vote: dict[str, Any]) -> Error | None:
        return Error("TOKEN_EXPIRED", "over", False) if said(server)[-1] == "t1" else None

    server.before_ack = ended
    async with client(server, token="t1", refresh_token=Source(OSError("no network"), "t2")) as show:
        assert not (await show.vote("c01", id="mine")).replayed
        assert server.attempts == ["mine"] * 2 and said(server) == ["t1", "t2"] and show.connections == 1


@pytest.mark.parametrize("next_token", [None, "t1"])
async def test_no_next_token_is_told_to_what_waits(server: SmallServer, next_token: str | None) -> None:
    server.before_ack = lambda socket, vote: Error("TOKEN_EXPIRED", "over", False)
    async with client(server, token="t1", refresh_token=Source(next_token)) as show:
        with pytest.raises(Refused, match="TOKEN_EXPIRED"):
            await show.vote("c01")
        with pytest.raises(Refused, match="UNAUTHENTICATED"):
            await show.vote("c01")


async def test_a_token_that_is_refused_on_connecting_has_a_successor(server: SmallServer) -> None:
    async with client(server, token="bad", refresh_token=Source("bad2", "good")) as show:
        assert (await show.vote("c01")).contestant_id == "c01"
        assert said(server) == ["bad", "bad2", "good"] and show.connections == 1


async def test_a_silent_connection_is_asked_then_given_up(server: SmallServer) -> None:
    server.deaf = True
    async with client(server, heartbeat=Heartbeat(ask_s=0.05, lost_s=0.15)) as show:
        await server.wait_for(lambda: len(server.sockets) == 1 and server.heard_of("PING") > 0)
        first = server.sockets[0]
        answered = Seen(show, "SUBSCRIBED")
        await server.wait_for(lambda: first not in server.sockets)
        server.deaf = False
        await answered.wait(1)
        assert show.connections > 1


async def test_a_gap_is_healed_and_what_comes_twice_is_taken_once(server: SmallServer) -> None:
    async with client(server) as show:
        warnings = Seen(show, "WARNING")
        await Seen(show, "SUBSCRIBED").wait(2)
        for number in range(5):
            server.publish(Warning_("1_MINUTE", number), unseen=number in (1, 3))
        server.say(server.log[-1].decode())
        await warnings.wait(5)
        await show_is_current(server, show)
        assert [message.data.remaining for message in warnings.messages] == [0, 1, 2, 3, 4]
        assert show.connections == 1


async def show_is_current(server: SmallServer, show: BroadcastSyncClient) -> None:
    """Returns when everything that the server has sent has been taken."""
    ticks = Seen(show, "COUNTDOWN")
    server.say('{"type":"COUNTDOWN","data":{"remaining":9},"timestamp":""}')
    await ticks.wait(1)


async def test_unknown_types_are_handed_on_and_reported_once(
    server: SmallServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with client(server) as show:
        await show.wait_live()
        holograms = Seen(show, "HOLOGRAM")
        for _ in range(3):
            server.say('{"type":"HOLOGRAM","data":{"x":1},"timestamp":""}')
        await holograms.wait(3)
        assert holograms.messages[0].data == {"x": 1}
    assert caplog.text.count("HOLOGRAM") == 1


async def test_the_countdown_needs_no_messages(server: SmallServer) -> None:
    server.state = open_state(2.2)
    seconds: list[int] = []
    done = asyncio.Event()
    async with client(server) as show:
        show.on_second(seconds.append)
        show.on_second(lambda left: done.set() if left == 0 else None)
        await asyncio.wait_for(done.wait(), 10)
        assert show.seconds == 0
    assert seconds == [3, 2, 1, 0]


async def test_the_result_of_each_snapshot_is_told_once(server: SmallServer) -> None:
    async with client(server) as show:
        results = Seen(show, "RESULTS_READY")
        server.state = open_state(voting="CLOSED")
        await Seen(show, "SUBSCRIBED").wait(2)
        server.publish(ResultsReady("w1", [], 3, True, 3, {}))
        await results.wait(1)
        server.sockets[0].transport.abort()
        await server.wait_for(lambda: show.connections == 2 and server.heard_of("SUBSCRIBE") == 2)
        await show_is_current(server, show)
        assert len(results.messages) == 1 and show.results is not None and show.results.total_votes == 3


async def test_it_finds_a_server_that_comes_later() -> None:
    first = SmallServer()
    async with first.running():
        port = int(first.url.rpartition(":")[2])
        show = client(first, token="good")
        show.start()
        await show.wait_live()
    later = SmallServer()
    async with later.running(port):
        assert (await show.vote("c01")).contestant_id == "c01"
        await show.close()
    assert len(later.votes) == 1


async def test_the_iterator_gets_everything_in_order(server: SmallServer) -> None:
    async with client(server) as show:
        messages = aiter(show)
        await show.wait_live()
        for number in range(3):
            server.publish(Warning_("1_MINUTE", number))
        seen: list[int] = []
        async with asyncio.timeout(5):
            async for message in messages:
                if message.type == "WARNING":
                    seen.append(message.data.remaining)
                if len(seen) == 3:
                    break
    assert seen == [0, 1, 2]


async def test_a_reader_that_is_too_slow_gets_a_snapshot(server: SmallServer, caplog: pytest.LogCaptureFixture) -> None:
    async with client(server, inbox=4) as show:
        messages = aiter(show)
        await show.wait_live()
        await server.wait_for(lambda: server.heard_of("PING") > 0)
        warnings = Seen(show, "WARNING")
        for number in range(10):
            server.publish(Warning_("1_MINUTE", number))
        await warnings.wait(10)
        answer, snapshot = await anext(messages), await anext(messages)
        assert (answer.type, answer.data.recovered, answer.data.offset) == ("SUBSCRIBED", False, 10)
        assert snapshot.type == "STATE_UPDATE" and show.connections == 1
    assert "too slow" in caplog.text


async def test_a_callback_that_fails_costs_nothing(server: SmallServer, caplog: pytest.LogCaptureFixture) -> None:
    async with client(server) as show:
        show.on("WARNING", lambda message: 1 / 0)  # type: ignore[arg-type]  # it fails, whatever it returns
        boards = Seen(show, "LIVE_RESULTS")
        await show.wait_live()
        server.publish(Warning_("1_MINUTE", 60))
        server.publish(LiveResults([], 0, "t", 1))
        await boards.wait(1)
        assert show.board is not None
    assert "a callback for WARNING failed" in caplog.text


async def test_cues(server: SmallServer) -> None:
    async with client(server, token="good") as desk:
        ack = await desk.cue("VOTING_OPEN", {"duration": 5}, expected_revision=1)
        assert ack.revision == 2
    cue = next(message for message in server.messages if message["type"] == "CUE")
    assert (cue["event"], cue["data"], cue["expectedRevision"]) == ("VOTING_OPEN", {"duration": 5}, 1)
