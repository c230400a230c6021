"""A plain viewer on the `websockets` client: no SDK of ours between the test and the wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

Message = dict[str, Any]

MUST_ARRIVE: Final = frozenset({"STATE_UPDATE", "VOTING_OPEN", "VOTING_CLOSED", "WARNING", "RESULTS_READY"})
ACK_WITHIN_S: Final = 5.0
"""As the SDKs have it: what must arrive is acknowledged within this, each client in its own time."""


class Viewer:
    """One socket. Everything received is kept in `messages`; `expect` also waits for what is still to come.

    What must arrive is acknowledged by the next message that is sent as a dict, without one by a PING.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.messages: list[Message] = []
        self._arrived = asyncio.Event()
        self._acks: dict[str, Message] = {}
        self._reached = asyncio.Event()
        self._reader = asyncio.create_task(self._read())
        self._acker = asyncio.create_task(self._acknowledge())

    @classmethod
    async def open(cls, url: str, path: str = "/voting/sync", token: str | None = None, **options: Any) -> Viewer:
        """Connects to `url` (http://...); with a token it is signed in when this returns."""
        connection = await connect(
            f"{url.replace('http', 'ws', 1)}{path}", compression=None, max_queue=None, open_timeout=15, **options
        )
        viewer = cls(connection)
        if token is not None:
            await viewer.send({"type": "AUTH", "token": token})
            await viewer.expect("AUTH_OK")
        return viewer

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):  # however it ended, the code is in close_code
            async for text in self.connection:
                message = json.loads(text)
                self.messages.append(message)
                self._note(message)
                self._arrived.set()
        self._acker.cancel()
        self._arrived.set()

    def _note(self, message: Message) -> None:
        """How far it has got: by what must arrive, or by SUBSCRIBED where a snapshot follows, not what was missed."""
        subscribed = message["type"] == "SUBSCRIBED" and not message["data"]["recovered"]
        place = message["data"] if subscribed else message
        if (subscribed or message["type"] in MUST_ARRIVE) and "offset" in place:
            self._acks[place["channel"]] = {"epoch": place["epoch"], "offset": place["offset"]}
            self._reached.set()

    async def _acknowledge(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._reached.wait()
                await asyncio.sleep(ACK_WITHIN_S * random.random())
                if self._acks:
                    await self.send({"type": "PING", "t0": 0})

    async def send(self, message: Message | str | bytes) -> None:
        """A dict as JSON, with what there is to acknowledge; text and bytes as they are."""
        if isinstance(message, dict):
            acks, self._acks = self._acks, {}
            self._reached.clear()
            message = json.dumps({**message, "ack": acks} if acks else message)
        await self.connection.send(message)

    def seen(self, kind: str, **fields: object) -> list[Message]:
        """The messages of a type received so far whose data has `fields`."""
        return [
            message for message in self.messages
            if message["type"] == kind and all(message["data"].get(key) == value for key, value in fields.items())
        ]

    async def expect(self, kind: str, timeout_s: float = 15, after: int = 0, **fields: object) -> Message:
        """The message number `after` of that kind, waiting for it if need be."""
        async with asyncio.timeout(timeout_s):
            while len(found := self.seen(kind, **fields)) <= after:
                if self._reader.done():
                    raise AssertionError(f"socket closed with {self.connection.close_code} before {kind}")
                self._arrived.clear()
                await self._arrived.wait()
        return found[after]

    async def vote(self, number: object, contestant: str, timeout_s: float = 15, **fields: object) -> Message:
        """Votes with id `number`; the VOTE_ACK or ERROR."""
        key = str(number)
        before = len(self.messages)
        await self.send({"type": "VOTE", "id": key, "contestantId": contestant, **fields})
        async with asyncio.timeout(timeout_s):
            while True:
                for message in self.messages[before:]:
                    if message["type"] in {"VOTE_ACK", "ERROR"} and message["data"].get("id") == key:
                        return message
                if self._reader.done():
                    raise ConnectionError("the socket closed before the answer")
                self._arrived.clear()
                await self._arrived.wait()

    async def closed(self, timeout_s: float = 15) -> int | None:
        """Waits for the close; its code."""
        async with asyncio.timeout(timeout_s):
            await self._reader
        return self.connection.close_code

    async def close(self) -> None:
        await self.connection.close()
        await self._reader
