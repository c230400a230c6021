"""5,000 contestants on a real server: every wire tells of the first and the best, and nobody is closed for it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.e2e.conftest import Starter
from tests.support.doors import CABLE, MSGPACK, Ear, listening, streaming
from tests.support.process import ROOT, ServerProcess
from tests.support.viewer import Viewer

COUNT: Final = 5_000
LISTED: Final = 200
FRAME_BYTES: Final = 200_000
"""No message is larger: some clients take no more than a megabyte."""


def name_of(number: int) -> str:
    return f"contestant-{number:04d}"


def show_file(path: Path) -> Path:
    """A line-up as long as a show file may have it, with Khmer names and photos."""
    people = [
        {"id": name_of(n), "number": n, "name": f"Contestant {n}", "khmer_name": "ញឹម បុប្ផា", "photo": f"/p/{n}.jpg"}
        for n in range(1, COUNT + 1)
    ]
    content = {
        "season": {"id": "s", "title": "S"}, "show": {"id": "long", "title": "Long"},
        "episode": {"number": 1, "title": "All of them"}, "contestants": people,
    }  # fmt: skip
    path.write_text(json.dumps(content, ensure_ascii=False))
    return path


@asynccontextmanager
async def slow(server: ServerProcess) -> AsyncIterator[ClientConnection]:
    """A client that has read nothing of what it was greeted with, and has asked for more."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", server.port))
    url = f"{server.url.replace('http', 'ws', 1)}/voting/sync"
    async with connect(url, sock=plain, compression=None, max_queue=1, ping_interval=None) as client:
        for message in ({"type": "SUBSCRIBE", "channels": ["show", "results"]}, *[{"type": "REQUEST_UPDATE"}] * 3):
            await client.send(json.dumps(message))
        yield client


async def until(client: ClientConnection, kind: str) -> dict[str, Any]:
    while True:
        text = await client.recv()
        assert len(text) < FRAME_BYTES
        message: dict[str, Any] = json.loads(text)
        if message["type"] == kind:
            return message


def data_of(text: str) -> Any:
    return json.loads(text.removeprefix("data: "))["data"]


async def ears(server: ServerProcess, stack: AsyncExitStack) -> list[Ear]:
    """A client at every wire; the last one is an ActionCable app that follows the episode and one of the last."""
    episode, contestant = (
        {"command": "subscribe", "identifier": json.dumps({"channel": "VotingChannel", **wanted})}
        for wanted in ({"episode_id": 1}, {"contestant_id": "contestant-4321"})
    )
    return [
        await stack.enter_async_context(listening(server, "/voting/sync", name="JSON")),
        await stack.enter_async_context(listening(server, "/voting/sync", name="MessagePack", protocol=MSGPACK)),
        await stack.enter_async_context(streaming(server, "")),
        await stack.enter_async_context(listening(server, "/cable", episode, contestant, protocol=CABLE)),
    ]


async def everybody(http: httpx.AsyncClient, event: int) -> list[dict[str, Any]]:
    """The whole list, by cursor."""
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"sort": "number", "limit": 100}
    while True:
        page = (await http.get(f"/api/v1/events/{event}/contestants", params=query)).json()
        found += page["contestants"]
        if page["nextCursor"] is None:
            return found
        query["cursor"] = page["nextCursor"]


async def is_whole_elsewhere(http: httpx.AsyncClient, result: dict[str, Any]) -> None:
    """What the message left out is where it says."""
    answer = await http.get(result["certificate"]["at"])
    assert sha256(answer.content).hexdigest() == result["certificate"]["sha256"]
    assert len(answer.json()["contestants"]) == COUNT and answer.json()["voters"] == result["certificate"]["voters"]
    stored = (await http.get(f"/api/v1/results/{result['windowId']}")).json()
    assert len(stored["results"]) == COUNT and stored["results"][:LISTED] == result["results"]


SDK = """
import { WebSocket } from "ws";
import { BroadcastSync } from "../../clients/web/sdk/index.js";
const show = new BroadcastSync({ WebSocket });
show.connect(process.argv[1]);
await new Promise((resolve) => show.on("change", () => show.state.board && resolve()));
const found = await show.contestants({ search: "Contestant 4321" });
console.log(JSON.stringify({
  listed: show.state.contestants.length, count: show.state.contestantCount, rows: show.state.board.results.length,
  found: found.contestants.map((one) => [one.id, one.voteCount]),
}));
show.close();
"""


async def as_the_sdk_has_it(server: ServerProcess) -> Any:
    """What an app on the JavaScript SDK knows, and finds."""
    url = f"{server.url.replace('http', 'ws', 1)}/voting/sync"
    process = await asyncio.create_subprocess_exec(
        "node", "--input-type=module", "-e", SDK, url, cwd=ROOT / "tests" / "web", stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    return json.loads(told)


@pytest.mark.timeout(90)
async def test_a_show_of_five_thousand(start_server: Starter, tmp_path: Path) -> None:
    server = start_server()
    server.run("show", "load", str(show_file(tmp_path / "long.json")))
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=server.url, timeout=15))
        before = await ears(server, stack)
        server.cue_at_once("SHOW_START", {"showId": "long", "episode": 1})
        server.cue_at_once("VOTING_OPEN", {"duration": 600})
        [token] = server.tokens(1)
        voter = await Viewer.open(server.url, token=token)
        for number, contestant in enumerate(("contestant-4321", "contestant-4321", "contestant-0003")):
            assert (await voter.vote(number, contestant))["type"] == "VOTE_ACK"
        for ear in before[:3]:
            opened = data_of(await ear.until('"VOTING_OPEN"'))
            assert (len(opened["contestants"]), opened["contestantCount"]) == (LISTED, COUNT)
            await ear.until('"LIVE_RESULTS".*"totalVotes": ?3')
        await before[3].until('results_update.*"total_votes":3.*"contestant-4321"')
        after = await ears(server, stack)
        await after[3].until("contestant-4321.*confirm_subscription")
        late = await stack.enter_async_context(slow(server))
        state = (await until(late, "STATE_UPDATE"))["data"]
        assert [len(state["contestants"]), len(state["window"]["contestants"])] == [LISTED, LISTED]
        assert [state["contestantCount"], state["window"]["contestantCount"]] == [COUNT, COUNT]
        slept = await stack.enter_async_context(slow(server))
        app = await as_the_sdk_has_it(server)
        assert (app["listed"], app["count"], app["found"]) == (LISTED, COUNT, [["contestant-4321", 2]])
        assert app["rows"] >= 100

        server.cue_at_once("VOTING_CLOSE")
        for ear in (*before[:3], *after[:3]):
            result = data_of(await ear.until('"RESULTS_READY"'))
            assert (len(result["results"]), result["contestantCount"]) == (LISTED, COUNT)
            assert [row["contestantId"] for row in result["results"][:3]] == [name_of(n) for n in (4321, 3, 1)]
            assert all(len(text) < FRAME_BYTES for text in ear.told)
        await is_whole_elsewhere(http, result)
        rows = await everybody(http, state["show"]["event"])
        assert [row["id"] for row in rows] == [name_of(n) for n in range(1, COUNT + 1)]
        assert sum(row["voteCount"] for row in rows) == 3

        for client in (late, slept, await stack.enter_async_context(slow(server))):
            assert (await until(client, "RESULTS_READY"))["data"] == result
            await client.send('{"type":"PING","t0":1}')
            await until(client, "PONG")
        assert not [line for line in server.log.read_text().splitlines() if re.search("4001|slow", line)]
        await voter.close()
