"""An episode on air for sockets of the cable, and a client that speaks ActionCable in dicts."""

from __future__ import annotations

from typing import Any

import msgspec

from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import (
    BoardRow,
    ContestantInfo,
    ContestantUpdate,
    Envelope,
    LiveResults,
    ShowInfo,
    StateUpdate,
    WindowInfo,
)
from broadcast_sync.wire.times import iso
from tests.support.hub import EPOCH, Client, Rig

LINE_UP = [
    ContestantInfo(f"c{n:02d}", n, f"Name {n}", f"/{n}.jpg", "active", khmer_name=f"K{n}", hometown=f"Town {n}")
    for n in (1, 2, 3)
]


def identifier(**params: object) -> str:
    """As the client's library makes it."""
    return msgspec.json.encode({"channel": "VotingChannel", **params}).decode()


class Air:
    """What is on air behind a rig's hub; each change is published as the show would."""

    def __init__(self, rig: Rig, episode: int | None = 1) -> None:
        self.rig = rig
        self.state: Prepared | None = None
        self.board: Prepared | None = None
        self.offset = 0
        rig.hub.snapshot = self._snapshot
        self.show(episode)

    def _snapshot(self, channel: str) -> list[Prepared]:
        found = {"show": self.state, "results": self.board}.get(channel)
        return [] if found is None else [found]

    def show(
        self, episode: int | None, voting: str = "OPEN", window: str = "w1", *, visibility: str = "public",
        released: bool = False,
    ) -> None:
        self.offset += 1
        shown = WindowInfo(
            window, voting, iso(0), iso(90_000), iso(95_000), episode or 0, "h", {}, LINE_UP, visibility=visibility
        )
        self.state = self._publish(StateUpdate(
            None if episode is None else ShowInfo("demo", episode, "Demo"), None, voting,
            None if voting == "IDLE" else shown, self.offset, False, released, [] if episode is None else LINE_UP,
        ), "show", EPOCH, self.offset)

    def vote(self, *counts: int) -> None:
        """A board with these counts, best first, and an update of the winner's channel."""
        total = sum(counts)
        rows = [
            BoardRow(each.id, each.name, each.photo_url, count, str(count), round(100 * count / total, 1), rank, 0,
                     "rising_fast")
            for rank, (each, count) in enumerate(zip(LINE_UP, counts, strict=False), 1)
        ]
        self.board = self._publish(LiveResults(rows, total, iso(1_000), 42), "results", "w1", total)
        first = rows[0]
        update = ContestantUpdate(first.contestant_id, counts[0], first.percentage, 1, 7, "hot")
        self._publish(update, f"contestant:{first.contestant_id}", "w1", total)

    def _publish(self, data: Any, channel: str, epoch: str, offset: int) -> Prepared:
        made = Prepared.received(msgspec.json.encode(Envelope(data.TYPE, data, iso(0), channel, epoch, offset)))
        if channel == "show":
            self.state = made  # the state holds every message that is published
        elif channel == "results":
            self.board = made
        self.rig.hub.publish(made)
        return made


class Cable:
    """A client on the plain `websockets` library."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @classmethod
    async def connect(cls, rig: Rig, query: str = "", **options: Any) -> Cable:
        return cls(await rig.connect(f"/cable{query}", "actioncable-v1-json", "actioncable-unsupported", **options))

    @classmethod
    async def welcomed(cls, rig: Rig, query: str = "", **options: Any) -> Cable:
        cable = await cls.connect(rig, query, **options)
        assert await cable.hear() == {"type": "welcome"}
        return cable

    async def hear(self) -> dict[str, Any]:
        """The next message that is no heartbeat."""
        while True:
            message: dict[str, Any] = msgspec.json.decode(await self.client.connection.recv())
            if message.get("type") != "ping":
                return message

    async def told(self) -> tuple[str, Any]:
        """The next message of a subscription: its type and its data."""
        message = (await self.hear())["message"]
        return message["type"], message["data"]

    async def say(self, command: str, identifier: str, **data: object) -> None:
        message: dict[str, object] = {"command": command, "identifier": identifier}
        if data:
            message["data"] = msgspec.json.encode(data).decode()
        await self.client.say(message)

    async def subscribe(self, identifier: str) -> dict[str, Any]:
        await self.say("subscribe", identifier)
        return await self.hear()
