"""A loop whose library swallows a cancellation ends all the same."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from broadcast_sync.bus.connect import heed_cancellation


async def test_a_swallowed_cancellation_ends_the_next_round() -> None:
    rounds = 0
    waiting = asyncio.Event()

    async def loop() -> None:
        nonlocal rounds
        while True:
            heed_cancellation()
            rounds += 1
            waiting.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    task = asyncio.create_task(loop())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rounds == 1


async def test_a_task_that_nobody_cancels_goes_on() -> None:
    heed_cancellation()
