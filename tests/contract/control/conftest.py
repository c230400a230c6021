"""What the show's tests stand on: a store and an intake on the real Valkey."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.clock import EngineClock
from broadcast_sync.settings import Settings
from broadcast_sync.show.intake import CueIntake
from broadcast_sync.show.store import StageStore
from tests.support.stages import FakeWindow, intake_of


@pytest.fixture
def clock() -> EngineClock:
    return EngineClock()


@pytest.fixture
def store(valkey: Redis) -> StageStore:
    return StageStore(valkey, StageKeys("default"), "default")


@pytest.fixture
def intake(store: StageStore, clock: EngineClock) -> CueIntake:
    return intake_of(Settings(), store, FakeWindow(), clock)
