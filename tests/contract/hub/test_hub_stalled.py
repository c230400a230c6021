"""One client that does not read, beside two thousand that do: nothing of theirs changes. Counted, not timed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from broadcast_sync.hub.session import Session
from broadcast_sync.wire.server import Warning_
from tests.contract.hub.conftest import Open
from tests.contract.hub.test_hub_slow import stall
from tests.support.flock import Flock
from tests.support.hub import Rig

HEALTHY = 2_000
EVENTS = 24
KEPT = 12
"""Events that the outbox of the one that does not read has room for."""


@asynccontextmanager
async def audience(rig: Rig) -> AsyncIterator[Flock]:
    flock = Flock(HEALTHY)
    try:
        await flock.join(rig.port)
        yield flock
    finally:
        flock.leave()
        await flock.until(lambda: all(member.lost.is_set() for member in flock.members))


async def show(rig: Rig, flock: Flock, healthy: list[Session]) -> list[tuple[int, int]]:
    """Events and boards by turns, each pair to the last client before the next. Of each pair: frames handed to
    sockets, and healthy sockets that something of it had to wait for in the server."""
    found = []
    for number in range(EVENTS):
        before = rig.hub.counts.deliveries
        rig.emit(Warning_("w", number))
        await rig.publish(rig.board(number))
        found.append((rig.hub.counts.deliveries - before, sum(not session.ready for session in healthy)))
        await everybody(flock, len(rig.events))
    return found


async def everybody(flock: Flock, offset: int) -> None:
    """Until each of the flock has the event `offset`."""
    await flock.until(lambda: all(member.offset >= offset for member in flock.members))


@pytest.mark.timeout(60)
async def test_two_thousand_do_not_notice_one_that_stalls(open_rig: Open) -> None:
    alone = await open_rig()
    async with audience(alone) as flock:
        without = await show(alone, flock, list(alone.hub.sessions.values()))
        assert all(member.taken == EVENTS and member.faults == [] for member in flock.members)
    rig = await open_rig(outbox_messages=KEPT)
    slow = await stall(rig)
    stalled = rig.session(slow)
    async with audience(rig) as flock:
        healthy = [session for session in rig.hub.sessions.values() if session is not stalled]
        beside = await show(rig, flock, healthy)
        assert all(member.taken == EVENTS and member.faults == [] for member in flock.members)
        assert not stalled.is_open
        assert all(session.is_open for session in healthy)
    assert without == [(2 * HEALTHY, 0)] * EVENTS
    # the one that stalls is offered what all are, until it is closed; of the others, none is kept waiting
    assert all(2 * HEALTHY <= handed <= 2 * HEALTHY + 2 and waiting == 0 for handed, waiting in beside)
    assert beside[-1] == without[-1]
    slow.connection.transport.resume_reading()
    assert await slow.ended() == 4001
