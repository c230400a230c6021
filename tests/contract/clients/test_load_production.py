from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random

import pytest
from msgspec.structs import replace

from broadcast_sync.wire.server import BoardRow, ResultsReady, StateUpdate, VotingClosed
from clients.load import audience as audience_module
from clients.load.audience import Audience
from clients.load.operator import Operator
from clients.load.production import GivenUp, Production
from clients.load.target import parse_target
from clients.load.tokens import NoTokens
from clients.python.control import ControlDesk
from tests.support.small_server import SmallServer, open_state


@pytest.fixture
async def server() -> AsyncIterator[SmallServer]:
    small = SmallServer()
    async with small.running():
        yield small


async def tokens(count: int) -> list[str]:
    return ["good"] * count


def production(server: SmallServer, voters: int = 12) -> Production:
    """A rehearsal that finds itself in an open window, so that it has no cue to give."""
    target, chance = parse_target(server.url.replace("ws:", "http:")), Random(3)
    audience = Audience(target, voters, tokens, chance)
    return Production(target, ControlDesk(target.http(), b"s" * 32), Operator("demo", 1, 9, chance), audience, 1)


def rehearsed(remaining_s: float, revision: int = 1, voting: str = "OPEN") -> StateUpdate:
    """A state as the small server has it, of a rehearsal."""
    state = open_state(remaining_s, revision, voting)
    assert state.show is not None and state.window is not None
    return replace(state, show=replace(state.show, rehearsal=True), window=replace(state.window, rehearsal=True))


async def test_a_real_show_gets_no_votes(server: SmallServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audience_module, "ARRIVE_S", 0.1)
    server.state = open_state(5)
    played = production(server)
    running = asyncio.create_task(played.run())
    await server.wait_for(lambda: len(server.sockets) == 13)
    assert played._audience.ledger is None
    server.publish(rehearsed(5, 2))
    await server.wait_for(lambda: len(server.votes) >= 1)
    running.cancel()
    await asyncio.wait({running})


def results(votes: dict[str, str]) -> ResultsReady:
    counted = list(votes.values())
    rows = [
        BoardRow(one, one, "", counted.count(one), "", 0.0, 1, 0, "stable") for one in sorted(set(counted))
    ]
    return ResultsReady("w1", rows, len(counted), True, len(counted), {})


@pytest.mark.parametrize("lost", [0, 1])
async def test_a_round_that_began_without_it(
    server: SmallServer, lost: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audience_module, "ARRIVE_S", 0.1)
    server.state = rehearsed(1.5)
    played = production(server)
    running = asyncio.create_task(played.run())
    await server.wait_for(lambda: len(server.votes) >= 3)
    # the server goes away in mid-window, with every socket, and comes back
    for socket in list(server.sockets):
        socket.transport.abort()
    await server.wait_for(lambda: len(server.sockets) == 13)
    server.publish(VotingClosed("w1", "t", "TIMER"))
    server.publish(replace(rehearsed(0, 2, "CLOSED"), results_released=True))
    votes = dict(list(server.votes.items())[lost:])
    server.publish(results(votes))
    async with asyncio.timeout(10):
        await running
    said = capsys.readouterr().out
    assert "lines open" in said and "lines closed" in said and "certified" in said
    assert played.rounds_done == 1 and played.mismatches == lost
    if lost:
        assert "MISMATCH" in said and "1 are NOT in the result" in said
    else:
        assert f"{len(votes)} acked = {len(votes)} certified" in said
    await server.wait_for(lambda: not server.sockets)


async def test_without_tokens_it_gives_up(server: SmallServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(count: int) -> list[str]:
        raise NoTokens("guests get no tokens here")

    played = production(server)
    monkeypatch.setattr(played._audience, "_tokens", none)
    with pytest.raises(GivenUp, match="no tokens") as given_up:
        await played.run()
    assert given_up.value.exit_code == 2


async def test_it_leaves_nothing_behind_when_it_is_stopped(
    server: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience_module, "ARRIVE_S", 0.1)
    running = asyncio.create_task(production(server).run())
    await server.wait_for(lambda: len(server.sockets) == 13)
    running.cancel()
    async with asyncio.timeout(2):
        await asyncio.wait({running})
    await server.wait_for(lambda: not server.sockets)
