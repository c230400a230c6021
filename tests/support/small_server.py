"""A small server of the protocol for tests of its clients: one show, faults on demand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State

from broadcast_sync.wire.server import (
    AuthOk,
    ContestantInfo,
    CueAck,
    Data,
    Envelope,
    Error,
    Pong,
    ResultsReady,
    ShowInfo,
    StateUpdate,
    Subscribed,
    VoteAck,
    Welcome,
    WindowInfo,
)
from broadcast_sync.wire.times import iso

CONTESTANTS = [ContestantInfo(f"c{n:02d}", n, f"Name {n}", "", "active") for n in range(1, 4)]


def now_ms() -> int:
    return int(time.time() * 1000)


def open_state(seconds: float = 60.0, revision: int = 1, voting: str = "OPEN") -> StateUpdate:
    """A show whose window closes in `seconds`, 5 s of grace included in its hard close."""
    now = now_ms()
    closes = now + int(seconds * 1000)
    window = WindowInfo(
        "w1", voting, iso(now), iso(closes), iso(closes + 5_000), 1, "h", {}, CONTESTANTS
    )
    return StateUpdate(ShowInfo("demo", 1, "Demo"), None, voting, window, revision, False, False, CONTESTANTS)


class SmallServer:
    """Greets, accepts tokens that do not begin with `bad`, keeps a log of channel `show`, counts each vote id once.

    `before_ack` sees every VOTE before it is answered and may return an Error instead, close the connection, or
    raise `Drop` to swallow the answer.
    """

    class Drop(Exception):
        """This message gets no answer."""

    def __init__(self) -> None:
        self.epoch = "e1"
        self.log: list[bytes] = []
        self.state = open_state()
        self.result: ResultsReady | None = None
        self.expires_at = iso(0)
        """What AUTH_OK says."""
        self.votes: dict[str, str] = {}
        self.attempts: list[str] = []
        self.messages: list[dict[str, Any]] = []
        self.sockets: list[ServerConnection] = []
        self.deaf = False
        """True: it hears, and answers nobody."""
        self.connected = asyncio.Event()
        self.heard = asyncio.Event()
        self.refuse_handshake: Callable[[Request], tuple[int, dict[str, str]] | None] = lambda request: None
        self.before_ack: Callable[[ServerConnection, dict[str, Any]], Error | None] = lambda socket, vote: None
        self.url = ""

    def publish(self, data: Data, *, unseen: bool = False) -> None:
        """Appends to the channel's log and sends it to everybody, or to nobody."""
        if isinstance(data, StateUpdate):
            self.state = data
        elif isinstance(data, ResultsReady):
            self.result = data
        self.log.append(self._encode(data, len(self.log) + 1))
        for socket in () if unseen else self.sockets:
            socket.protocol.send_text(self.log[-1])
            socket.send_data()

    def say(self, payload: str) -> None:
        """Sends everybody a text frame as it is."""
        for socket in self.sockets:
            socket.protocol.send_text(payload.encode())
            socket.send_data()

    def send(self, socket: ServerConnection, data: Data) -> None:
        """One message for one socket."""
        socket.protocol.send_text(self._encode(data))
        socket.send_data()

    def heard_of(self, type: str) -> int:
        """How many messages of `type` have come."""
        return sum(message["type"] == type for message in self.messages)

    async def wait_for(self, happened: Callable[[], bool]) -> None:
        """Until `happened` after some message of a client."""
        async with asyncio.timeout(10):
            while not happened():
                self.heard.clear()
                await self.heard.wait()

    def _encode(self, data: Data, offset: int | None = None) -> bytes:
        envelope = Envelope(data.TYPE, data, iso(now_ms()))
        if offset is not None:
            envelope = msgspec.structs.replace(envelope, channel="show", epoch=self.epoch, offset=offset)
        return msgspec.json.encode(envelope)

    def _snapshot(self, socket: ServerConnection) -> None:
        """The state as it is, and the result if there is one: without an offset, as it stands for all before it."""
        self.send(socket, self.state)
        if self.result is not None:
            self.send(socket, self.result)

    async def _handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        refused = self.refuse_handshake(request)
        if refused is None:
            return None
        response = connection.respond(refused[0], "")
        for name, value in refused[1].items():
            response.headers[name] = value
        return response

    async def _serve(self, socket: ServerConnection) -> None:
        self.sockets.append(socket)
        if not self.deaf:
            self.send(socket, Welcome("s", "n", iso(now_ms()), 20.0))
            self._snapshot(socket)
        self.connected.set()
        self.heard.set()
        try:
            async for frame in socket:
                if socket.state is not State.OPEN:
                    break
                self._answer(socket, msgspec.json.decode(frame))
                self.heard.set()
        except ConnectionClosed:
            pass  # the test closed it
        finally:
            self.sockets.remove(socket)
            self.heard.set()

    def _answer(self, socket: ServerConnection, message: dict[str, Any]) -> None:
        self.messages.append(message)
        if self.deaf:
            return
        match message["type"]:
            case "AUTH" if message["token"].startswith("bad"):
                self.send(socket, Error("UNAUTHENTICATED", "no", False))
            case "AUTH":
                self.send(socket, AuthOk("u", ["user"], "default", self.expires_at, {"free": 5}))
            case "SUBSCRIBE":
                self._subscribe(socket, message)
            case "PING":
                self.send(socket, Pong(message["t0"], now_ms(), now_ms()))
            case "REQUEST_UPDATE":
                self._snapshot(socket)
            case "VOTE":
                self._vote(socket, message)
            case "CUE":
                self.send(socket, CueAck(message["cueId"], 2, iso(0), 0, False))

    def _subscribe(self, socket: ServerConnection, message: dict[str, Any]) -> None:
        for channel in message["channels"]:
            since = message.get("since", {}).get(channel)
            recovered = since is not None and since["epoch"] == self.epoch
            self.send(socket, Subscribed(channel, recovered, self.epoch, len(self.log)))
            if not recovered:
                self._snapshot(socket)
            for payload in self.log[since["offset"] :] if recovered else ():
                socket.protocol.send_text(payload)
            socket.send_data()

    def _vote(self, socket: ServerConnection, vote: dict[str, Any]) -> None:
        id = vote["id"]
        self.attempts.append(id)
        try:
            error = self.before_ack(socket, vote)
        except SmallServer.Drop:
            self.votes.setdefault(id, vote["contestantId"])
            return
        if self.state.voting != "OPEN" and id not in self.votes:
            error = Error("VOTING_ENDED", "closed", False)
        if error is not None:
            self.send(socket, msgspec.structs.replace(error, id=id))
            return
        replayed = id in self.votes
        self.votes.setdefault(id, vote["contestantId"])
        self.send(socket, VoteAck(
            id, f"v-{id}", "queued", vote["contestantId"], vote["voteType"] if "voteType" in vote else "free", 1,
            {"free": 4}, replayed,
        ))

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator[Server]:
        """Serves on `port` of loopback until left."""
        async with serve(
            self._serve, "127.0.0.1", port, process_request=self._handshake, compression=None, ping_interval=None,
            close_timeout=0.2,
        ) as server:
            self.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            yield server
