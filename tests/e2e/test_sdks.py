"""Both SDKs against a real server: the first lines of their READMEs, and what they promise on a bad network."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from tests.e2e.test_show import CONTESTANTS, DEMO
from tests.support.crowds import Crowd, Heard, javascript_crowd, python_crowd, until
from tests.support.faults import CALM, HANG_UP, FaultProxy, Faults
from tests.support.process import ROOT, ServerProcess
from tests.support.viewer import Viewer

WEB = ROOT / "tests" / "web"
VOTERS = 4
PRESSES = 7
FREE = 5
"""What the show gives a voter for an episode; the other presses are refused."""
ROUGH = Faults(drop=0.06, duplicate=0.06, overtake=0.06, delay=0.15, cut=0.02, hole=0.005)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One for all: a show on air, with a window open that outlasts the tests."""
    process = ServerProcess(tmp_path_factory.mktemp("sdks") / "data")
    process.start()
    try:
        process.cue("SHOW_START", DEMO)
        process.cue("VOTING_OPEN", {"duration": 600})
        yield process
    finally:
        process.cleanup()


def first_lines(readme: Path, server: ServerProcess) -> str:
    """The lines that a README starts with, word for word but for the server's port."""
    block = re.search(r"\A# .*\n\n```\w+\n(.*?)```\n", readme.read_text(), re.DOTALL)
    assert block is not None, f"{readme} does not start with code"
    assert block[1].count("\n") == 5, f"{readme}: five lines"
    assert "127.0.0.1:8000" in block[1]
    return block[1].replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")


@asynccontextmanager
async def running(*command: str | Path, token: str, cwd: Path) -> AsyncIterator[asyncio.StreamReader]:
    """A process of its own; its output, standard error included."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env={**os.environ, "TOKEN": token},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def printed(output: asyncio.StreamReader, *patterns: str) -> None:
    """Until the output has matched each of these."""
    seen = ""
    while not all(re.search(pattern, seen) for pattern in patterns):
        line = await output.readline()
        assert line, f"it ended with\n{seen}"
        seen += line.decode()


@pytest.mark.timeout(60)
async def test_the_first_lines_of_the_javascript_readme(server: ServerProcess, tmp_path: Path) -> None:
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (modules / "broadcast-sync").symlink_to(ROOT / "clients" / "web" / "sdk")
    (modules / "ws").symlink_to(WEB / "node_modules" / "ws")
    (tmp_path / "lines.mjs").write_text(first_lines(ROOT / "clients/web/sdk/README.md", server))
    (token,) = server.tokens(1, sub="javascript")
    async with running("node", "lines.mjs", token=token, cwd=tmp_path) as output:
        acked = (r"status: 'queued'", r"contestantId: 'c07'", r"remaining: \{ free: 4 \}")
        await printed(output, *acked, r"\d+ s left, \w+")


@pytest.mark.timeout(60)
async def test_the_first_lines_of_the_python_readme(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "lines.py").write_text(first_lines(ROOT / "clients/python/README.md", server))
    (token,) = server.tokens(1, sub="python")
    async with running(sys.executable, "lines.py", token=token, cwd=tmp_path) as output:
        await printed(output, r"VoteAck\(.*status='queued', contestant_id='c07'.*remaining=\{'free': 4\}")
        assert await output.read() == b""


# --- a bad network ------------------------------------------------------------------------------------------------


class Stand:
    """One SDK's crowd, its way to the server, and what its voters have pressed."""

    def __init__(self, name: str, seed: int, crowd: Crowd, proxy: FaultProxy) -> None:
        self.name, self.crowd, self.proxy = name, crowd, proxy
        self.sub = f"{name}-{seed}-"
        self.pressed: set[tuple[str, str]] = set()
        """Voter and ballot id."""

    def voter(self, client: int) -> str:
        return f"{self.sub}{client + 1}"

    def press(self, client: int, contestant: str) -> None:
        id = f"{self.sub}{client}-{len(self.pressed)}"
        self.pressed.add((self.voter(client), id))
        self.crowd.vote(client, id, contestant)

    async def all(self, told: Any) -> None:
        """Until every client was told so; `told` judges what one has heard."""
        try:
            await until(self.crowd, lambda: all(told(self.crowd.heard[client]) for client in range(VOTERS)))
        except TimeoutError:
            late = {client: str(self.crowd.heard[client]) for client in range(VOTERS)}
            raise AssertionError(f"{self.name}: {late}") from None


@asynccontextmanager
async def stands(server: ServerProcess, seed: int) -> AsyncIterator[list[Stand]]:
    """Both SDKs' crowds, each behind a network of its own; everybody is signed in and knows their place."""
    async with AsyncExitStack() as stack:
        found: list[Stand] = []
        for name, crowd in (("python", python_crowd), ("javascript", javascript_crowd)):
            proxy = await stack.enter_async_context(FaultProxy(server.port, Random(seed)).running())
            url = f"ws://127.0.0.1:{proxy.port}/voting/sync"
            stand = Stand(name, seed, await stack.enter_async_context(crowd(url, seed)), proxy)
            found.append(stand)
            for client, token in enumerate(server.tokens(VOTERS, sub=stand.sub)):
                stand.crowd.join(client, token)
        for stand in found:
            await stand.all(lambda heard: heard.live and heard.recovered)
        yield found


async def ballots(server: ServerProcess) -> list[tuple[str, str, str]]:
    """(voter, ballot id, vote id) of every row of the ledger, read past the server."""
    connection = await asyncpg.connect(json.loads((server.data / "engines.json").read_text())["postgres"]["url"])
    try:
        rows = await connection.fetch("SELECT voter, client_id, vote_id FROM votes")
    finally:
        await connection.close()
    return [(row["voter"], row["client_id"], str(row["vote_id"])) for row in rows]


async def cue(server: ServerProcess, event: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
    return await asyncio.to_thread(server.cue_at_once, event, data, cueId=uuid4().hex)


async def sing(server: ServerProcess, done: asyncio.Event) -> None:
    """Performances begin and end all the while: each is an event that must arrive."""
    while not done.is_set():
        for event in ("PERFORMANCE_START", "PERFORMANCE_END"):
            await cue(server, event, {"contestantId": "c01"})
            await asyncio.sleep(0.35)  # ten of them are more than the server gives to who missed them


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("seed", "seconds"), [
    (1255, 6), *(pytest.param(seed, 30, marks=pytest.mark.soak) for seed in range(4)),
])
async def test_a_show_over_a_bad_network(server: ServerProcess, seed: int, seconds: int) -> None:
    dice = Random(seed)
    async with AsyncExitStack() as stack:
        studio = await Viewer.open(server.url)
        stack.push_async_callback(studio.close)
        if server.get("/api/v1/status")["voting"] == "OPEN":
            await cue(server, "VOTING_CLOSE")
            await studio.expect("RESULTS_READY")
        crowds = await stack.enter_async_context(stands(server, seed))
        began = len(studio.messages)
        done = asyncio.Event()
        singing = asyncio.create_task(sing(server, done))
        for stand in crowds:
            stand.proxy.faults = ROUGH
        await cue(server, "VOTING_OPEN", {"duration": seconds})
        presses = [(stand, client) for stand in crowds for client in range(VOTERS)] * PRESSES
        dice.shuffle(presses)
        for number, (stand, client) in enumerate(presses):
            stand.press(client, dice.choice(CONTESTANTS))
            if number == len(presses) // 2:
                await storm(crowds)
            await asyncio.sleep(seconds * 0.3 / len(presses))
        closed = len(studio.seen("VOTING_CLOSED"))
        await studio.expect("RESULTS_READY", timeout_s=seconds + 30, after=len(studio.seen("RESULTS_READY")))
        for stand in crowds:
            stand.proxy.faults = CALM
        told = [message for message in studio.messages[began:] if message.get("channel") == "show"]
        must = [(message["epoch"], message["offset"]) for message in told if "offset" in message]
        for stand in crowds:  # what was lost last is missed when something comes after it
            await stand.all(lambda heard: heard.shown()[-1:] > must[-1:])
            await stand.all(lambda heard: len(heard.answers) == PRESSES)
        done.set()
        await singing
        assert len(studio.seen("VOTING_CLOSED")) == closed + 1 and len(must) > seconds
        rows = await ballots(server)
        for stand in crowds:
            await check(stand, must, rows, seconds)


async def storm(crowds: list[Stand]) -> None:
    """Everybody loses their connection, and for a while nobody gets another. How often they try is bounded."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    before = [stand.proxy.opened for stand in crowds]
    for stand in crowds:
        stand.proxy.shut = HANG_UP
        stand.proxy.cut_all()
    await asyncio.sleep(0.8)
    tried = [stand.proxy.opened - opened for stand, opened in zip(crowds, before, strict=True)]
    lasted = loop.time() - began
    for stand, tries in zip(crowds, tried, strict=True):
        stand.proxy.shut = b""
        # full jitter from 50 ms to 0.4 s is 0.2 s on average once it has grown, and less for the first four
        assert 0 < tries <= VOTERS * (4 + lasted / 0.1), (stand.name, tries, lasted)


async def check(stand: Stand, must: list[tuple[str, int]], rows: list[tuple[str, str, str]], seconds: int) -> None:
    """What both SDKs promise, of every client of a crowd."""
    assert min(stand.proxy.inflicted[fault] for fault in ("drop", "duplicate", "overtake", "delay", "cut")) > 0
    acked: set[tuple[str, str, str]] = set()
    gaps: list[int] = []
    for client in range(VOTERS):
        heard = stand.crowd.heard[client]
        who = (stand.name, client)
        check_answers(heard, who)
        acked |= {(stand.voter(client), id, vote) for id, [(code, vote)] in heard.answers.items() if code == "ACK"}
        gaps.append(check_events(heard, must, who))
        assert heard.seconds == sorted(set(heard.seconds), reverse=True), (who, heard.seconds)
        # the clock is some ms off: it may show a second too much at first, and the news of the close may be quicker
        assert heard.seconds[0] <= seconds + 1 and heard.seconds[-1] <= 1, (who, heard.seconds)
        stand.crowd.look(client)
        await until(stand.crowd, lambda: heard.looked is not None)  # noqa: B023 - awaited in this turn
        assert heard.looked is not None and abs(heard.looked["offMs"]) < 100, (who, heard.looked)
    assert gaps.count(0) > VOTERS // 2, (stand.name, gaps)
    ours = [row for row in rows if (row[0], row[1]) in stand.pressed]
    assert sorted(ours) == sorted(acked), stand.name


def check_events(heard: Heard, must: list[tuple[str, int]], who: tuple[str, int]) -> int:
    """Each event once and in order. One that is missed is one that the server did not give any more: the network
    was away for too long, the server said so, and a snapshot came. Returns how often."""
    at = [must.index(place) for place in heard.shown() if place in must]
    gaps = sum(later != earlier + 1 for earlier, later in itertools.pairwise([-1, *at, len(must)]))
    assert at == sorted(set(at)), (who, str(heard))
    assert gaps <= heard.recovered[1:].count(False), (who, at, str(heard))
    return gaps


def check_answers(heard: Heard, who: tuple[str, int]) -> None:
    """Each ballot has one answer: as many acks as the voter has votes. The others are refused for that reason, or
    because the network brought them too late."""
    codes = [code for each in heard.answers.values() for code, _ in each]
    late = codes.count("VOTING_ENDED")
    assert len(codes) == PRESSES and {*codes} <= {"ACK", "NO_FREE_VOTES", "VOTING_ENDED"}, (who, codes)
    assert FREE - late <= codes.count("ACK") <= FREE, (who, codes)
