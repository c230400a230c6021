from __future__ import annotations

import asyncio
import contextlib

from broadcast_sync.operations.schedule import Job, Schedule


class Work:
    """A job that counts itself, fails at first, and can be waited for."""

    def __init__(self, failures: int = 0) -> None:
        self.begun, self.running, self.most = 0, 0, 0
        self.failures = failures
        self.cancelled = False
        self._more = asyncio.Event()

    async def quick(self) -> None:
        self.begun += 1
        self._more.set()
        if self.begun <= self.failures:
            raise ValueError("a bug")

    async def endless(self) -> None:
        self.begun += 1
        self._more.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise

    async def times(self, count: int) -> None:
        while self.begun < count:
            self._more.clear()
            await self._more.wait()


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)


async def test_a_job_that_fails_comes_again_and_leaves_the_others_alone() -> None:
    poor, good = Work(failures=2), Work()
    task = asyncio.create_task(Schedule(Job("poor", 0.02, poor.quick), Job("good", 0.02, good.quick)).run())
    await poor.times(4)
    await good.times(4)
    assert not task.done()
    await stopped(task)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_one_that_runs_is_not_begun_again_and_ends_with_its_director() -> None:
    slow, beside = Work(), Work()
    task = asyncio.create_task(Schedule(Job("slow", 0.01, slow.endless), Job("beside", 0.01, beside.quick)).run())
    await beside.times(5)
    assert slow.begun == 1
    await stopped(task)
    assert slow.cancelled
