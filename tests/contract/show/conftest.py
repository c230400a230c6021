"""A store, an intake and a mirror on the real Valkey, as a node has them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
from redis.asyncio import Redis

from broadcast_sync.bus.connect import connect
from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.clock import EngineClock
from broadcast_sync.settings import Settings
from broadcast_sync.show.intake import CueIntake
from broadcast_sync.show.mirror import StageMirror
from broadcast_sync.show.store import StageStore
from broadcast_sync.wire.delivery import Delivery
from broadcast_sync.wire.prepared import Prepared
from tests.support.stages import FakeWindow, intake_of


class Seen:
    """What a mirror delivered; `until` waits for something to be among it."""

    def __init__(self) -> None:
        self.messages: list[Prepared] = []
        self._more = asyncio.Event()

    def __call__(self, message: Prepared) -> None:
        self.messages.append(message)
        self._more.set()

    def of(self, type: str) -> list[Prepared]:
        return [message for message in self.messages if message.type == type]

    @property
    def offsets(self) -> list[int]:
        """The offsets of the must-arrive events, in the order of delivery."""
        events = [message for message in self.messages if message.delivery is Delivery.MUST_ARRIVE]
        return [message.offset for message in events if message.offset is not None]

    async def until(self, true: Callable[[], bool]) -> None:
        while not true():
            self._more.clear()
            await self._more.wait()


@pytest.fixture
def keys() -> StageKeys:
    return StageKeys("default")


@pytest.fixture
def clock() -> EngineClock:
    return EngineClock()


@pytest.fixture
def store(valkey: Redis, keys: StageKeys) -> StageStore:
    return StageStore(valkey, keys, "default")


@pytest.fixture
def window() -> FakeWindow:
    return FakeWindow()


@pytest.fixture
def intake(store: StageStore, window: FakeWindow, clock: EngineClock) -> CueIntake:
    return intake_of(Settings(), store, window, clock)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
async def mirror(
    valkey: Redis, valkey_url: str, keys: StageKeys, clock: EngineClock, seen: Seen
) -> AsyncIterator[StageMirror]:
    """A running mirror on a client of its own, loaded."""
    client = connect(valkey_url)
    made = StageMirror(client, keys, StageStore(client, keys, "default"), clock, "default", seen)
    task = asyncio.create_task(made.run())
    await made.wait_ready()
    yield made
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await client.aclose()
