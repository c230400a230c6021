"""SIGINT and SIGTERM against every state of the show."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from broadcast_sync.operations.departure import Departure
from broadcast_sync.show.model import Stage


@dataclass
class Feed:
    """A stage that the test moves."""

    stage: Stage = field(default_factory=lambda: Stage("default"))
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait_change(self, seen: Stage) -> None:
        while self.stage is seen:
            await self.changed.wait()
            self.changed.clear()

    def show(self, voting: str) -> None:
        self.stage = replace(self.stage, voting=voting)
        self.changed.set()


async def turns() -> None:
    """Lets the loop come to rest."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("voting", ["IDLE", "CLOSED"])
async def test_sigterm_drains_when_nobody_votes(voting: str) -> None:
    feed, said = Feed(), list[str]()
    feed.show(voting)
    departure = Departure(said.append)
    decided = asyncio.create_task(departure.decided(feed))
    await turns()
    assert not decided.done()
    departure.terminate()
    assert await decided and departure.draining and said == []


@pytest.mark.parametrize("voting", ["OPEN", "CLOSING"])
async def test_sigterm_waits_for_the_window_and_says_so_once(voting: str) -> None:
    feed, said = Feed(), list[str]()
    feed.show(voting)
    departure = Departure(said.append)
    departure.terminate()
    decided = asyncio.create_task(departure.decided(feed))
    for stage in ("OPEN", "CLOSING"):
        feed.show(stage)
        await turns()
        assert not decided.done() and not departure.draining
    assert len(said) == 1 and "voting is open" in said[0]
    feed.show("CLOSED")
    assert await decided and departure.draining


async def test_a_second_sigterm_drains_in_the_open_window_and_a_third_stops() -> None:
    feed = Feed()
    feed.show("OPEN")
    departure = Departure(lambda words: None)
    decided = asyncio.create_task(departure.decided(feed))
    departure.terminate()
    await turns()
    assert not decided.done()
    departure.terminate()
    assert await decided
    cut_short = asyncio.create_task(departure.at_once())
    await turns()
    assert not cut_short.done()
    departure.terminate()
    await cut_short


async def test_force_drains_in_the_open_window() -> None:
    feed = Feed()
    feed.show("OPEN")
    departure = Departure(lambda words: None, force=True)
    departure.terminate()
    assert await departure.decided(feed)


@pytest.mark.parametrize("voting", ["IDLE", "OPEN", "CLOSING", "CLOSED"])
async def test_sigint_stops_at_once_and_so_does_sigterm_in_a_rehearsal(voting: str) -> None:
    for gentle in (True, False):
        feed = Feed()
        feed.show(voting)
        departure = Departure(lambda words: None, gentle=gentle)
        decided = asyncio.create_task(departure.decided(feed))
        await turns()
        (departure.interrupt if gentle else departure.terminate)()
        assert not await decided and not departure.draining
        await departure.at_once()


async def test_sigint_ends_the_wait_for_a_window_and_a_drain() -> None:
    feed = Feed()
    feed.show("OPEN")
    departure = Departure(lambda words: None)
    departure.terminate()
    decided = asyncio.create_task(departure.decided(feed))
    await turns()
    departure.interrupt()
    assert not await decided
    other = Departure(lambda words: None)
    other.terminate()
    assert await other.decided(Feed())
    other.interrupt()
    await other.at_once()
