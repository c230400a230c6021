"""A node that is leaving: each socket in its own time, with nothing unanswered."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from broadcast_sync.hub import drain
from broadcast_sync.hub.drain import send_away
from broadcast_sync.hub.hub import Hub
from broadcast_sync.hub.session import Session
from broadcast_sync.wire.client import Vote
from broadcast_sync.wire.server import VoteAck
from tests.contract.hub.conftest import Open
from tests.support.hub import Client, Rig

VOTE = {"type": "VOTE", "id": "1", "contestantId": "c1"}


class Engine:
    """Takes votes and answers them when it is told to."""

    def __init__(self, rig: Rig) -> None:
        self.waiting: list[tuple[Session, Vote]] = []
        self.taken = asyncio.Event()
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()
        rig.hub.router.register(Vote, self.take)
        rig.hub.answered = self.answered

    def take(self, session: Session, vote: Vote, received_ms: int) -> None:
        self.waiting.append((session, vote))
        self.taken.set()

    async def answered(self) -> None:
        self.asked.set()
        await self.answers.wait()
        for session, vote in self.waiting:
            session.reply(VoteAck(vote.id, "v", "queued", vote.contestant_id, "free", 1, {}, False))
        self.waiting.clear()


async def ends(client: Client) -> tuple[int, int]:
    """The end of the slot that a client is told, and the code it is closed with."""
    notice = await client.hear("RECONNECT")
    assert notice["data"]["reason"] == "deploy"
    return notice["data"]["afterMs"], await client.ended()


async def test_each_socket_has_a_slot_of_its_own(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    leaving: list[str] = []

    async def watched(hub: Hub, sessions: list[Session], reason: str) -> None:
        leaving.extend(session.id for session in sessions)
        await send_away(hub, sessions, reason)

    monkeypatch.setattr(drain, "send_away", watched)
    clients = [await rig.joined() for _ in range(40)]
    ending = asyncio.gather(*map(ends, clients))
    await rig.hub.drain(1.0, "deploy")
    slots = {client.session_id: slot for client, (slot, _) in zip(clients, await ending, strict=True)}
    # evenly spread, one in each fortieth of the second, in no order of joining; and they left in the order of the slots
    assert sorted(slot * 40 // 1000 for slot in slots.values()) == pytest.approx(range(40), abs=1)
    assert list(slots.values()) != sorted(slots.values())
    assert [slots[session] for session in leaving] == sorted(slots.values())
    assert rig.hub.counts.closes == {4000: 40}


async def test_newcomers_are_refused_and_those_inside_are_served_until_their_time(rig: Rig) -> None:
    client = await rig.joined()
    draining = asyncio.create_task(rig.hub.drain(60, "deploy"))
    slot = (await client.hear("RECONNECT"))["data"]["afterMs"]
    assert 0 <= slot <= 60_000
    with pytest.raises(InvalidStatus) as refused:
        await rig.connect()
    assert refused.value.response.status_code == 503
    async with httpx.AsyncClient() as http:  # what is no socket is still answered: probes, pages, the API
        assert (await http.get(f"http://127.0.0.1:{rig.port}/")).status_code == 200
    rig.tick(5)
    assert (await client.hear())["data"]["remaining"] == 5
    assert (await client.ask({"type": "PING", "t0": 1}))["type"] == "PONG"
    await client.connection.close()
    await draining  # nobody is left: there is nothing to wait for


async def test_what_was_taken_is_answered_before_the_close(rig: Rig) -> None:
    engine = Engine(rig)
    client = await rig.joined()
    await client.say(VOTE)
    await engine.taken.wait()
    draining = asyncio.create_task(rig.hub.drain(0, "deploy"))
    await engine.asked.wait()
    await client.say({**VOTE, "id": "2"})  # too late: it is not taken, and not acknowledged
    await client.connection.ping()
    assert len(engine.waiting) == 1
    engine.answers.set()
    assert (await client.hear("VOTE_ACK"))["data"]["id"] == "1"
    assert await client.ended() == 4000
    await draining
    assert engine.waiting == []


async def test_a_stop_answers_first_as_well(rig: Rig) -> None:
    engine = Engine(rig)
    client = await rig.joined()
    await client.say(VOTE)
    await engine.taken.wait()
    engine.answers.set()
    stopping = asyncio.create_task(rig.hub.stop("deploy"))
    assert (await client.hear("VOTE_ACK"))["data"]["id"] == "1"
    assert await client.ended() == 4000
    await stopping


async def test_an_engine_that_does_not_answer_holds_nobody(open_rig: Open) -> None:
    rig = await open_rig(stop_s=0.2)
    engine = Engine(rig)
    client = await rig.joined()
    await client.say(VOTE)
    await engine.taken.wait()
    draining = asyncio.create_task(rig.hub.drain(0, "deploy"))
    assert (await ends(client))[1] == 4000
    await draining
    assert len(engine.waiting) == 1


async def test_a_drain_that_is_cut_short_leaves_the_rest_to_the_stop(rig: Rig) -> None:
    clients = [await rig.joined() for _ in range(5)]
    draining = asyncio.create_task(rig.hub.drain(600, "deploy"))
    for client in clients:
        await client.hear("RECONNECT")
    draining.cancel()
    stopping = asyncio.create_task(rig.hub.stop("deploy", spread_ms=100))
    for client in clients:
        after_ms, code = await ends(client)
        assert after_ms <= 100 and code == 4000
    await stopping
    assert rig.hub.sessions == {}
