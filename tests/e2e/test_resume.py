"""A node dies under its sockets: each resumes on another one where it was, with nothing missed and nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any
from uuid import uuid4

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.e2e.conftest import Starter
from tests.e2e.test_show import DEMO
from tests.support.flock import Flock, Member
from tests.support.process import ServerProcess

EVERY_S = 0.1
"""From cue to cue: the control room works on, whatever happens to a node."""


class Operator:
    """A control room that starts and ends performances; `offset` is that of the last event."""

    def __init__(self, console: ClientConnection) -> None:
        self.offset = 0
        self._console = console
        self._cues = 0
        self._name = uuid4().hex

    async def cue(self) -> None:
        self._cues += 1
        start = self._cues % 2 == 1
        event = {"event": "PERFORMANCE_START", "data": {"contestantId": "c01", "songName": f"Song {self._cues}"}}
        if not start:
            event = {"event": "PERFORMANCE_END", "data": {"contestantId": "c01"}}
        await self._console.send(json.dumps({"type": "CUE", "cueId": f"{self._name}-{self._cues}", **event}))
        revision, offsets = 0, dict[int, int]()
        while revision not in offsets:
            message: dict[str, Any] = json.loads(await self._console.recv())
            assert message["type"] != "ERROR", message
            if message["type"] == "CUE_ACK":
                revision = message["data"]["revision"]
            elif message["type"] == "STATE_UPDATE" and "offset" in message:
                offsets[message["data"]["revision"]] = message["offset"]
        self.offset = offsets[revision]

    async def work(self, done: asyncio.Event) -> None:
        """Cue after cue until `done` and no performance is left running."""
        while not done.is_set() or self._cues % 2:
            await self.cue()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), EVERY_S)


def together(first: ServerProcess) -> dict[str, object]:
    """The settings of a second node of the same show."""
    engines = json.loads((first.data / "engines.json").read_text())
    return {
        "engine.valkey_url": engines["valkey"]["url"], "engine.postgres_url": engines["postgres"]["url"],
        "auth.private_key_file": first.data / "keys" / "signing.pem",
    }


@pytest.mark.timeout(300)
@pytest.mark.parametrize("clients", [500, pytest.param(5_000, marks=pytest.mark.soak)])
async def test_sockets_of_a_killed_node_resume_on_the_other(start_server: Starter, clients: int) -> None:
    first = start_server()
    second = start_server(together(first))
    second.cue("SHOW_START", DEMO)
    token = second.run("token", "--role", "control").stdout.strip()
    flock = Flock(clients)
    members = flock.members
    await flock.join(first.port)
    started = [member.offset for member in members]

    async def come_back(member: Member) -> None:
        await member.lost.wait()
        await member.join(second.port)

    coming_back = asyncio.gather(*(come_back(member) for member in members))
    async with connect(f"{second.url.replace('http', 'ws', 1)}/control/sync", compression=None) as console:
        await console.send(json.dumps({"type": "AUTH", "token": token}))
        operator = Operator(console)
        done = asyncio.Event()
        working = asyncio.create_task(operator.work(done))
        await flock.until(lambda: all(member.taken >= 3 for member in members))
        await asyncio.to_thread(first.kill)
        await asyncio.wait_for(coming_back, 120)
        done.set()
        await working
        await operator.cue()  # one that all get on their new node
    await flock.until(lambda: all(member.offset >= operator.offset for member in members))
    assert [member.faults for member in members if member.faults] == []
    assert {tuple(member.recovered) for member in members} == {(False, True)}
    assert all(member.taken == member.offset - start for member, start in zip(members, started, strict=True))
    flock.leave()
