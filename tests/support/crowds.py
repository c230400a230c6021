"""Clients on either SDK, led and listened to in the same words, so that one scenario holds for both."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final, Protocol

from clients.python.client import BroadcastSyncClient
from clients.python.connection import Backoff, Heartbeat
from clients.python.errors import ClientError, Refused
from clients.python.messages import Message
from clients.python.requests import Patience
from tests.support.process import ROOT

SCRIPT: Final = ROOT / "tests" / "web" / "crowd.mjs"
BASE_S: Final = 0.05
CAP_S: Final = 0.4
ANSWER_S: Final = 0.4
ASK_S: Final = 0.3
LOST_S: Final = 0.9
"""Everything is quicker than by default, so that a test has time for many losses."""


class Heard:
    """What one client has told its application."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, int]] = []
        """Type, epoch and offset of what came with an offset in channel `show` or `results`."""
        self.seconds: list[int] = []
        self.answers: dict[str, list[tuple[str, str]]] = defaultdict(list)
        """By ballot id: `ACK` and the server's vote id, or a code and nothing."""
        self.recovered: list[bool] = []
        """Of each SUBSCRIBED of `show`."""
        self.live = 0
        """How often it was signed in."""
        self.looked: dict[str, Any] | None = None

    def __str__(self) -> str:
        answered = sum(map(bool, self.answers.values()))
        news = f"{self.events[-3:]}, {self.seconds[-3:]}"
        return f"live {self.live}, recovered {self.recovered}, {answered} answers, {news}"

    def shown(self) -> list[tuple[str, int]]:
        """What must arrive, by epoch and offset."""
        return [(epoch, offset) for type, epoch, offset in self.events if type not in ("LIVE_RESULTS", "VOTE_UPDATE")]


class Crowd(Protocol):
    """`heard[n]` is what client `n` was told; `moved` is set when something was added to it."""

    heard: dict[int, Heard]
    moved: asyncio.Event

    def join(self, client: int, token: str) -> None: ...
    def vote(self, client: int, id: str, contestant: str) -> None: ...
    def look(self, client: int) -> None:
        """Its clock and its state, into `looked`."""
        ...


async def until(crowd: Crowd, condition: Callable[[], bool], timeout_s: float = 30) -> None:
    """Until `condition` holds, looked at whenever the crowd has heard something. TimeoutError after `timeout_s`."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            crowd.moved.clear()
            await crowd.moved.wait()


class PythonCrowd:
    """In this process."""

    def __init__(self, url: str, seed: int) -> None:
        self.heard: dict[int, Heard] = defaultdict(Heard)
        self.moved = asyncio.Event()
        self._url = url
        self._seed = seed
        self._clients: dict[int, BroadcastSyncClient] = {}
        self._votes: set[asyncio.Task[None]] = set()

    def join(self, client: int, token: str) -> None:
        heard = self.heard[client]
        show = self._clients[client] = BroadcastSyncClient(
            self._url, token=token, proxy=None, random=Random(self._seed + client).random,
            backoff=Backoff(base_s=BASE_S, cap_s=CAP_S), heartbeat=Heartbeat(ask_s=ASK_S, lost_s=LOST_S),
            patience=Patience(answer_s=ANSWER_S, backoff=Backoff(base_s=BASE_S, cap_s=CAP_S)),
        )

        def take(message: Message) -> None:
            if message.epoch is not None and message.offset is not None:
                heard.events.append((message.type, message.epoch, message.offset))
            elif message.type == "AUTH_OK":
                heard.live += 1
            elif message.type == "SUBSCRIBED" and message.data.channel == "show":
                heard.recovered.append(message.data.recovered)
            self.moved.set()

        show.on("*", take)
        show.on_second(heard.seconds.append)
        show.start()

    def vote(self, client: int, id: str, contestant: str) -> None:
        task = asyncio.create_task(self._vote(client, id, contestant))
        self._votes.add(task)
        task.add_done_callback(self._votes.discard)

    async def _vote(self, client: int, id: str, contestant: str) -> None:
        answers = self.heard[client].answers[id]
        try:
            answers.append(("ACK", (await self._clients[client].vote(contestant, id=id)).vote_id))
        except Refused as refused:
            answers.append((refused.code, ""))
        except ClientError as error:
            answers.append((type(error).__name__, ""))
        self.moved.set()

    def look(self, client: int) -> None:
        show = self._clients[client]
        assert show.state is not None
        self.heard[client].looked = {
            "offMs": show.now_ms() - time.time() * 1000, "voting": show.state.voting, "revision": show.state.revision,
        }
        self.moved.set()

    async def leave(self) -> None:
        await asyncio.gather(*(client.close() for client in self._clients.values()))


class JavaScriptCrowd:
    """In a Node process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.heard: dict[int, Heard] = defaultdict(Heard)
        self.moved = asyncio.Event()
        self.problems: list[dict[str, Any]] = []
        self._process = process
        self._reader = asyncio.create_task(self._read())

    def join(self, client: int, token: str) -> None:
        self._say(do="join", client=client, token=token)

    def vote(self, client: int, id: str, contestant: str) -> None:
        self._say(do="vote", client=client, id=id, contestant=contestant)

    def look(self, client: int) -> None:
        self._say(do="look", client=client)

    def _say(self, **command: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            self._take(self.heard[said["client"]], said["event"], said["data"])
            self.moved.set()

    def _take(self, heard: Heard, event: str, data: Any) -> None:
        match event:
            case "event":
                heard.events.append(tuple(data))
            case "live":
                heard.live += 1
            case "subscribed" if data["channel"] == "show":
                heard.recovered.append(data["recovered"])
            case "second":
                heard.seconds.append(data)
            case "answer":
                heard.answers[data[0]].append((data[1], data[2]))
            case "looked":
                heard.looked = data
            case "problem":
                self.problems.append(data)

    async def leave(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reader


@asynccontextmanager
async def python_crowd(url: str, seed: int) -> AsyncIterator[PythonCrowd]:
    """Nobody yet; whoever joins connects to `url`. Gone when left."""
    crowd = PythonCrowd(url, seed)
    try:
        yield crowd
    finally:
        await crowd.leave()


@asynccontextmanager
async def javascript_crowd(url: str, seed: int) -> AsyncIterator[JavaScriptCrowd]:
    """As `python_crowd`."""
    assert (SCRIPT.parent / "node_modules").is_dir(), "no ws: `make test` installs it"
    options = {
        "backoff": {"base": BASE_S * 1000, "cap": CAP_S * 1000}, "answerMs": ANSWER_S * 1000,
        "heartbeatMs": ASK_S * 1000, "silenceMs": LOST_S * 1000,
    }
    process = await asyncio.create_subprocess_exec(
        "node", str(SCRIPT), url, str(seed), json.dumps(options),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**20,
    )
    crowd = JavaScriptCrowd(process)
    try:
        yield crowd
    finally:
        await crowd.leave()
