"""The engine's clock is set by an hour in mid-window, and again: no close moves, not even in a process started then.

`make soak` runs it; tests/contract/bus/test_bus_time.py has its parts for `make test`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from broadcast_sync.show.sender import ask
from broadcast_sync.wire.times import parse_iso
from tests.e2e.conftest import Starter
from tests.e2e.test_failures import engines
from tests.e2e.test_show import DEMO
from tests.support.process import ServerProcess
from tests.support.stepped import SteppedValkey, stepped_valkey
from tests.support.viewer import Viewer

pytestmark = [pytest.mark.timeout(90), pytest.mark.soak]
HOUR_MS = 3_600_000
NEAR_MS = 2_000


async def stepped(engine: SteppedValkey, server: ServerProcess, secret: bytes, ms: int, held_ms: int) -> None:
    """Sets the engine's clock by `ms` and waits until the director has taken it up, which is asked for with a signature
    of this machine's clock."""
    await engine.step(ms)

    def held() -> int:
        answer = ask(server.url, secret, "GET", "/control/tally", None)
        assert answer.accepted, answer.body
        return int(answer.body["clock_held_ms"])

    while abs(await asyncio.to_thread(held) - held_ms) > NEAR_MS:  # noqa: ASYNC110 - as Companion asks
        await asyncio.sleep(0.2)


async def time_of(server: ServerProcess) -> int:
    """The time by the server's clock."""
    viewer = await Viewer.open(server.url)
    await viewer.send({"type": "PING", "t0": 0})
    pong = await viewer.expect("PONG")
    await viewer.close()
    return int(pong["data"]["t2"])


async def test_the_window_closes_at_its_time_whoever_sees_to_it(start_server: Starter, tmp_path: Path) -> None:
    async with stepped_valkey(tmp_path / "engine") as engine:
        first = await asyncio.to_thread(start_server, {"engine.valkey_url": engine.url})
        keys = first.data / "keys"
        secret = (keys / "control.secret").read_bytes().strip()
        [voter] = first.tokens(1)
        first.cue_at_once("SHOW_START", DEMO)
        first.cue_at_once("VOTING_OPEN", {"duration": 13})
        await stepped(engine, first, secret, HOUR_MS, -HOUR_MS)
        await asyncio.to_thread(first.kill)
        second = await asyncio.to_thread(start_server, {
            "engine.valkey_url": engine.url, "engine.postgres_url": engines(first)["postgres"]["url"],
            "control.secret_file": str(keys / "control.secret"), "auth.private_key_file": str(keys / "signing.pem"),
        })
        phone = await Viewer.open(second.url, token=voter)
        window = (await phone.expect("STATE_UPDATE"))["data"]["window"]
        assert window["state"] == "OPEN" and (await phone.vote(1, "c01"))["type"] == "VOTE_ACK"
        await stepped(engine, second, secret, -2 * HOUR_MS, HOUR_MS)
        assert (await phone.vote(2, "c01"))["type"] == "VOTE_ACK"
        closed = await phone.expect("VOTING_CLOSED", timeout_s=30)
        assert (closed["data"]["reason"], closed["data"]["closedAt"]) == ("TIMER", window["closesAt"])
        assert 0 <= parse_iso(closed["timestamp"]) - parse_iso(window["closesAt"]) < NEAR_MS
        assert [tick["data"]["remaining"] for tick in phone.seen("COUNTDOWN")][-5:] == [5, 4, 3, 2, 1]
        result = await phone.expect("RESULTS_READY", timeout_s=30)
        assert (result["data"]["certified"], result["data"]["totalVotes"]) == (True, 2)
        # off air the time is the engine's again, and nobody who is connected is thrown out for it
        second.cue_at_once("SHOW_END")
        while abs(await time_of(second) - await engine.now_ms()) > NEAR_MS:
            pass
        await phone.send({"type": "PING", "t0": 0})
        await phone.expect("PONG")
        await phone.close()
