"""Snapshots that are larger than what may wait for a socket: a line-up of 200 contestants twice, a result, a board."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator

import msgspec

from broadcast_sync.hub.hub import Hub
from broadcast_sync.hub.session import Session
from broadcast_sync.wire.client import Position
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import Warning_
from clients.load.frames import TEXT, masked
from tests.contract.hub.conftest import Open
from tests.contract.hub.test_hub_deadlines import HANDSHAKE
from tests.support.hub import EPOCH, Client, Rig

LARGE = 400_000
"""Bytes of each: more than the kernel takes for a client that does not read."""
KEPT = 65_536


def snapshot(channel: str) -> list[Prepared]:
    if channel != "show":
        return []
    return [Prepared.of(Warning_(name + "x" * LARGE, 0), 0, channel) for name in ("state ", "results ")]


@contextlib.asynccontextmanager
async def asleep(rig: Rig) -> AsyncIterator[tuple[socket.socket, Session]]:
    """A client that reads nothing from its first byte on."""
    rig.hub.snapshot = snapshot
    with socket.create_connection(("127.0.0.1", rig.port)) as client:
        client.sendall(HANDSHAKE)
        await rig.sockets(1)
        (session,) = rig.hub.sessions.values()
        assert not session.ready and session.is_open  # the kernel has not taken it all
        yield client, session


async def ask(rig: Rig, session: Session, client: socket.socket, message: dict[str, object]) -> None:
    before = session.received
    client.sendall(masked(TEXT, msgspec.json.encode(message)))
    await rig.until(lambda: session.received > before or not session.is_open)


async def test_a_joiner_is_greeted_with_more_than_may_wait_for_it(open_rig: Open) -> None:
    rig = await open_rig(outbox_bytes=KEPT)
    async with asleep(rig) as (_, session):
        rig.emit(Warning_("what comes next has room all the same", 0))
        await rig.settled()
        assert session.is_open and held(session) < KEPT


async def test_so_is_who_subscribes_later(open_rig: Open) -> None:
    rig = await open_rig(outbox_bytes=KEPT)
    client = await rig.joined()
    session = rig.session(client)
    rig.hub.snapshot = snapshot
    client.connection.transport.pause_reading()
    await client.say({"type": "SUBSCRIBE", "channels": ["show", "results"]})
    await rig.until(lambda: not session.ready)
    rig.emit(Warning_("what comes next has room all the same", 0))
    await rig.settled()
    assert session.is_open and held(session) < KEPT
    client.connection.transport.resume_reading()
    assert await codes(client, 5) == ["SUBSCRIBED", "state", "results", "SUBSCRIBED", "what"]


async def test_whoever_asks_again_and_again_without_reading_is_not_sent_away(open_rig: Open) -> None:
    rig = await open_rig(outbox_bytes=KEPT)
    async with asleep(rig) as (client, session):
        for _ in range(20):
            await ask(rig, session, client, {"type": "REQUEST_UPDATE"})
        assert session.is_open and held(session) <= KEPT + LARGE + 1_000


async def test_who_subscribes_anew_meanwhile_gets_it_all_in_order(open_rig: Open) -> None:
    """As the SDKs do: the path has subscribed them already, and they say where they were."""
    rig = await open_rig(outbox_bytes=3 * LARGE)
    rig.hub.snapshot = snapshot
    client = await rig.connect(max_queue=1)
    session = rig.session(await client.welcomed())
    await client.say({"type": "SUBSCRIBE", "channels": ["show"]})
    await rig.until(lambda: session.received == 1)
    rig.emit(Warning_("after", 0))
    assert await codes(client, 6) == ["state", "results", "SUBSCRIBED", "state", "results", "after"]


async def codes(client: Client, count: int) -> list[str]:
    heard = [await client.hear() for _ in range(count)]
    return [message["data"].get("code", message["type"]).split(" ")[0] for message in heard]


def held(session: Session) -> int:
    """Bytes that wait for a session, apart from what its connection has taken already."""
    return 0 if session._outbox is None else session._outbox.size


async def test_a_large_replay_is_no_replay(open_rig: Open) -> None:
    """It would be made for one socket alone, where all share a snapshot."""
    rig = await open_rig()
    for _ in range(3):
        rig.emit(Warning_("x" * 30_000, 0))
    assert _replayed(rig.hub, 1) == 2
    assert _replayed(rig.hub, 0) is None


def _replayed(hub: Hub, offset: int) -> int | None:
    missed = hub._missed("show", Position(EPOCH, offset))
    return None if missed is None else len(missed)
