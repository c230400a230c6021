"""A crowd that comes back at once: the engine is not asked, nobody is told half of what was missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.clock import EngineClock
from broadcast_sync.hub.hub import Hub
from broadcast_sync.show.machine import decide
from broadcast_sync.show.mirror import StageMirror
from broadcast_sync.show.orders import EndShow, StartPerformance, StartShow
from broadcast_sync.show.store import Committed, StageStore
from broadcast_sync.wire.server import Warning_
from tests.contract.hub.conftest import Open
from tests.support.hub import Rig
from tests.support.stages import SHOW, open_voting

CROWD = 1_000
AT_ONCE = 100
HANDSHAKE = (
    b"GET /voting/sync HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
KEYS = StageKeys("default")
WATCHED = {"cmdstat_get", "cmdstat_publish", "cmdstat_ping", "cmdstat_info"}
"""What a node asks the engine for by itself: the canary's GET and PUBLISH, and pings; INFO is the test's."""


class House:
    """A rig whose show is the real one: a mirror on the real engine."""

    def __init__(self, rig: Rig, mirror: StageMirror, store: StageStore) -> None:
        self.rig = rig
        self.hub: Hub = rig.hub
        self.mirror = mirror
        self.store = store

    async def take(self, *commands: Any) -> None:
        """Takes commands, and returns when the hub has them too."""
        clock = EngineClock()
        for command in commands:
            stage, now_ms = await self.store.load(), clock.now_ms()
            decision = decide(stage, command, now_ms)
            assert isinstance(await self.store.commit(stage.revision, decision, now_ms), Committed)
        stage = await self.store.load()
        await self.rig.until(lambda: self.mirror.position("show") == (stage.epoch, stage.offset))
        await self.rig.settled()


@pytest.fixture
async def house(open_rig: Open, valkey: Redis) -> AsyncIterator[House]:
    rig = await open_rig()
    store = StageStore(valkey, KEYS, "default")
    await store.begin()
    mirror = StageMirror(valkey, KEYS, store, EngineClock(), "default", rig.hub.publish)
    rig.hub.snapshot, rig.hub.position, rig.hub.replay = mirror.snapshot, mirror.position, mirror.replay
    running = asyncio.create_task(mirror.run())
    await mirror.wait_ready()
    await rig.until(lambda: mirror.canary.alive)
    yield House(rig, mirror, store)
    running.cancel()
    await asyncio.wait([running])


async def commands(valkey: Redis) -> dict[str, int]:
    stats: Any = await valkey.info("commandstats")
    return {name: entry["calls"] for name, entry in stats.items()}


async def came_back(port: int, epoch: str, offset: int) -> list[dict[str, Any]]:
    """Connects and resumes; what is sent from SUBSCRIBED on until the answer to a PING."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HANDSHAKE)
    await reader.readuntil(b"\r\n\r\n")
    writer.write(masked(subscribe(epoch, offset)) + masked({"type": "PING", "t0": 1}))
    messages: list[dict[str, Any]] = []
    while not messages or messages[-1]["type"] != "PONG":
        message = msgspec.json.decode(await payload(reader))
        if messages or message["type"] == "SUBSCRIBED":
            messages.append(message)
    writer.close()
    return messages[:-1]


def subscribe(epoch: str, offset: int) -> dict[str, object]:
    return {"type": "SUBSCRIBE", "channels": ["show"], "since": {"show": {"epoch": epoch, "offset": offset}}}


def masked(message: object) -> bytes:
    """A client's frame with the mask 0."""
    text = msgspec.json.encode(message)
    return b"\x81\xfe" + len(text).to_bytes(2, "big") + bytes(4) + text


async def payload(reader: asyncio.StreamReader) -> bytes:
    _, length = await reader.readexactly(2)
    if length == 126:
        length = int.from_bytes(await reader.readexactly(2), "big")
    return await reader.readexactly(length)


def counted(calls: Callable[[int], Any]) -> tuple[list[int], Callable[[int], Any]]:
    made: list[int] = []

    def count(now_ms: int) -> Any:
        made.append(now_ms)
        return calls(now_ms)

    return made, count


async def test_a_thousand_come_back_and_the_engine_is_not_asked(
    house: House, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.take(StartShow(SHOW), StartPerformance("c01"))
    epoch, seen = house.mirror.position("show")
    await house.take(EndShow(), StartShow(SHOW), StartPerformance("c02"), open_voting(600))
    snapshots, count = counted(house.mirror._make_snapshot)
    monkeypatch.setattr(house.mirror, "_make_snapshot", count)
    before = await commands(valkey)
    for _ in range(CROWD // AT_ONCE):
        for heard in await asyncio.gather(*(came_back(house.rig.port, epoch, seen) for _ in range(AT_ONCE))):
            assert heard[0]["data"] == {"channel": "show", "recovered": True, "epoch": epoch, "offset": seen + 5}
            assert [message["offset"] for message in heard[1:]] == list(range(seen + 1, seen + 6))
    after = await commands(valkey)
    assert house.hub.counts.opened == CROWD
    spent = {name: calls - before.get(name, 0) for name, calls in after.items() if calls != before.get(name, 0)}
    assert spent.keys() <= WATCHED
    assert abs(spent.get("cmdstat_get", 0) - spent.get("cmdstat_publish", 0)) <= 1  # the canary's, both
    # what they were greeted with was made once a second of the countdown, not once a socket
    assert len(snapshots) == len({now_ms // 1000 for now_ms in snapshots}) < CROWD / 10


@pytest.mark.parametrize(
    ("epoch", "offset", "recovered"),
    [
        (None, 0, True), (None, 3, True), (None, 4, False), (None, 2**53 - 1, False), ("", 0, False), ("", 3, False),
        ("another", 3, False), ("e" * 64, 0, False),
    ],
)
async def test_recovered_is_all_or_nothing(house: House, epoch: str | None, offset: int, recovered: bool) -> None:
    await house.take(StartShow(SHOW), StartPerformance("c01"), EndShow())
    current, last = house.mirror.position("show")
    assert last == 3
    answer, *rest = await came_back(house.rig.port, current if epoch is None else epoch, offset)
    assert answer["data"] == {"channel": "show", "recovered": recovered, "epoch": current, "offset": 3}
    if recovered:
        assert [message["offset"] for message in rest] == list(range(offset + 1, 4))
    else:
        assert [message["type"] for message in rest] == ["STATE_UPDATE"]
        assert rest[0]["data"]["revision"] == 3


@pytest.mark.parametrize("offset", [-1, 2**53, 2**64, 1.5, "1", None])
async def test_an_offset_that_is_none_is_refused_and_changes_nothing(house: House, offset: object) -> None:
    client = await house.rig.connect()
    since = {"show": {"epoch": house.mirror.position("show")[0], "offset": offset}}
    error = await client.ask({"type": "SUBSCRIBE", "channels": ["show", "contestant:c1"], "since": since}, "ERROR")
    assert error["data"]["code"] == "BAD_MESSAGE"
    assert house.hub.channels.counts() == {"show": 1, "results": 1}


async def test_what_is_older_than_the_ring_is_no_replay(house: House) -> None:
    house.mirror._recent.reset(*house.mirror.position("show"))
    await house.take(StartShow(SHOW), StartPerformance("c01"))
    epoch, _ = house.mirror.position("show")
    stage, events = await house.store.load_recent(1)
    house.mirror._recent.reset(epoch, stage.offset, events)
    assert (await came_back(house.rig.port, epoch, 1))[0]["data"]["recovered"] is True
    assert (await came_back(house.rig.port, epoch, 0))[0]["data"]["recovered"] is False


async def test_a_large_replay_is_a_snapshot(open_rig: Open) -> None:
    rig = await open_rig(outbox_bytes=4_096, outbox_messages=8)
    for _ in range(12):
        rig.emit(Warning_("small", 0))
    client = await rig.joined()
    assert (await client.ask(subscribe("e1", 0)))["data"]["recovered"] is True
    assert [(await client.hear())["offset"] for _ in range(12)] == list(range(1, 13))
    rig.emit(Warning_("x" * 4_096, 0))
    assert (await client.ask(subscribe("e1", 12), "SUBSCRIBED"))["data"]["recovered"] is False
    assert (await client.hear())["data"]["code"] == "snapshot"


async def test_a_client_that_reads_nothing_of_its_replay_is_not_closed_for_it(open_rig: Open) -> None:
    """It would come back and meet the same again."""
    rig = await open_rig(outbox_bytes=65_536, outbox_messages=8)
    for _ in range(60):
        rig.emit(Warning_("x" * 900, 0))
    _, writer = await asyncio.open_connection("127.0.0.1", rig.port, limit=1_024)
    writer.write(HANDSHAKE)
    await rig.sockets(1)
    (session,) = rig.hub.sessions.values()
    while session.ready:
        asked = session.received
        writer.write(masked(subscribe("e1", 0)))
        await rig.until(lambda asked=asked: session.received > asked)  # type: ignore[misc]
    assert session.is_open
    writer.close()
