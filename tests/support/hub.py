"""A hub under a real uvicorn on uvloop, with a show of the test's own behind it and the real `websockets` client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from broadcast_sync.hub.hub import Hub
from broadcast_sync.hub.session import Session
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import Countdown, Data, Envelope, LeanRow, VoteUpdate, Warning_
from broadcast_sync.wire.times import iso
from broadcast_sync.wire.visibility import beside, is_beside

EPOCH = "e1"


class Client:
    """The real client, speaking JSON (or MessagePack on that subprotocol) in dicts."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.session_id = ""

    async def say(self, message: object) -> None:
        """Sends a dict as JSON, str and bytes as they are."""
        if isinstance(message, str | bytes):
            await self.connection.send(message)
        else:
            await self.connection.send(msgspec.json.encode(message).decode())

    async def hear(self, *types: str) -> dict[str, Any]:
        """The next message, or the next of `types`."""
        while True:
            received = await self.connection.recv()
            message: dict[str, Any]
            if isinstance(received, str):
                message = msgspec.json.decode(received)
            else:
                message = msgspec.msgpack.decode(received)
            if not types or message["type"] in types:
                return message

    async def ask(self, message: object, *types: str) -> dict[str, Any]:
        await self.say(message)
        return await self.hear(*types)

    async def welcomed(self) -> Client:
        welcome = await self.hear()
        assert welcome["type"] == "WELCOME"
        self.session_id = welcome["data"]["sessionId"]
        return self

    async def greeted(self) -> Client:
        """Past WELCOME and the two snapshots."""
        await self.welcomed()
        assert (await self.hear())["data"]["code"] == "snapshot"
        assert (await self.hear())["type"] == "VOTE_UPDATE"
        return self

    async def ended(self) -> int:
        """Reads until the server closes; the close code."""
        try:
            while True:
                await self.connection.recv()
        except ConnectionClosed:
            assert self.connection.close_code is not None
            return self.connection.close_code


class Rig:
    """The server and the show behind it: channel `show` has an epoch, offsets and a ring of all events."""

    def __init__(self, hub: Hub, port: int, stack: AsyncExitStack) -> None:
        self.hub = hub
        self.port = port
        self._stack = stack
        self.events: list[Prepared] = []
        self.oldest = 0
        self.private: list[Prepared] = []
        """What a joiner is sent of `results` beside the public boards."""
        hub.position = lambda channel: (EPOCH, len(self.events)) if channel == "show" else (EPOCH, 0)
        hub.snapshot = self._snapshot
        hub.replay = self._replay

    def _snapshot(self, channel: str) -> list[Prepared]:
        if is_beside(channel):
            return self.private if channel == beside("results") else []
        if channel == "results":
            return [self.board(0)]
        return [_event(Warning_("snapshot", 0), channel, len(self.events) if channel == "show" else 0)]

    def _replay(self, channel: str, epoch: str, offset: int) -> list[Prepared] | None:
        if channel != "show" or epoch != EPOCH or not self.oldest <= offset <= len(self.events):
            return None
        return self.events[offset:]

    def emit(self, data: Data) -> Prepared:
        """The show's next must-arrive event, published."""
        prepared = _event(data, "show", len(self.events) + 1)
        self.events.append(prepared)
        self.hub.publish(prepared)
        return prepared

    def board(self, total: int, rows: int = 0) -> Prepared:
        """A newest-only message of channel `results`; a row has 80 bytes."""
        return Prepared.of(VoteUpdate([LeanRow("c" * 20, 10**6, 99.9, 1)] * rows, total), 0, "results")

    async def publish(self, *boards: Prepared) -> None:
        """Publishes boards one by one, each to its last socket."""
        for board in boards:
            self.hub.publish(board)
            await self.settled()

    async def settled(self) -> None:
        """Until the fan-out has nothing left to do."""
        await self.until(lambda: not self.hub.fanout.waiting)

    async def sockets(self, count: int) -> None:
        """Until the hub has so many."""
        await self.until(lambda: self.hub.socket_count == count)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Gives the loop turns until something inside the hub, which tells nobody, has happened."""
        while not condition():  # noqa: ASYNC110 - there is no event to await, and a turn of the loop is no wait
            await asyncio.sleep(0)

    def session(self, client: Client) -> Session:
        """The server's side of a client."""
        return self.hub.sessions[client.session_id]

    def tick(self, remaining: int) -> None:
        self.hub.publish(Prepared.of(Countdown(remaining), 0, "show"))

    def url(self, path: str = "/voting/sync") -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    async def connect(self, path: str = "/voting/sync", *protocols: str, **options: Any) -> Client:
        options = {"compression": None, "ping_interval": None, "max_size": None, **options}
        connection = await connect(
            self.url(path), subprotocols=[Subprotocol(name) for name in protocols] or None, **options
        )
        self._stack.push_async_callback(connection.close)
        return Client(connection)

    async def joined(self, path: str = "/voting/sync", *protocols: str, **options: Any) -> Client:
        return await (await self.connect(path, *protocols, **options)).greeted()

    def token(self, *roles: str, org: str = "default", ttl_s: float = 600, sub: str = "u1") -> str:
        return self.hub.tokens.sign(sub, org, list(roles), int(time.time() + ttl_s))

    async def operator(self) -> Client:
        client = await (await self.connect("/control/sync")).welcomed()
        assert (await client.ask({"type": "AUTH", "token": self.token("control")}))["type"] == "AUTH_OK"
        return client


def _event(data: Data, channel: str, offset: int) -> Prepared:
    envelope = Envelope(data.TYPE, data, iso(0), channel, EPOCH, offset)
    return Prepared.received(msgspec.json.encode(envelope))
