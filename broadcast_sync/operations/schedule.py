"""The director's maintenance: jobs that may come a minute early or late, by APScheduler.

Nothing of the show is here: a cue's frame and a window's close are the director's own, by the engine's clock. A job
that fails is logged and tried again at its next time; one that is still running is not begun a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from msgspec import Struct

log = structlog.get_logger()


class Job(Struct, frozen=True):
    """`run` is called when the director begins, and each `every_s` seconds from then on."""

    name: str
    every_s: float
    run: Callable[[], Awaitable[object]]


class Schedule:
    """One of the director's loops."""

    def __init__(self, *jobs: Job) -> None:
        self._jobs = jobs

    async def run(self) -> None:
        """Runs the jobs, until cancelled; those under way are cancelled with it."""
        scheduler = AsyncIOScheduler(timezone=UTC)
        for job in self._jobs:
            scheduler.add_job(
                _guarded, "interval", (job,), seconds=job.every_s, id=job.name, next_run_time=datetime.now(UTC),
                coalesce=True, max_instances=1, misfire_grace_time=None,
            )
        scheduler.start()
        try:
            await asyncio.Event().wait()
        finally:
            scheduler.shutdown(wait=False)


async def _guarded(job: Job) -> None:
    try:
        await job.run()
    except Exception as error:
        # whatever a job raises is its own trouble: the next time may be better, and the show goes on
        log.warning("job_failed", job=job.name, error=repr(error))
