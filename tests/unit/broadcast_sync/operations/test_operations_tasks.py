from __future__ import annotations

import asyncio

from broadcast_sync.operations.tasks import TaskCollector


def shown() -> float:
    [metric] = TaskCollector().collect()
    [sample] = metric.samples
    return float(sample.value)


async def test_tasks_are_counted_while_they_live() -> None:
    before = shown()
    over = asyncio.Event()
    tasks = [asyncio.create_task(over.wait()) for _ in range(3)]
    assert shown() == before + 3
    over.set()
    await asyncio.gather(*tasks)
    assert shown() == before
