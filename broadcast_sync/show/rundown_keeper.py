"""Arms the rundowns that were loaded for a date, shortly before it: the lease holder's. The stage says which wait, so a
new director goes on with them, and a restart of everything forgets none.

By the clock of the show and not by APScheduler, whose times are the machine's own: see operations/schedule.py.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from broadcast_sync.bus.connect import heed_cancellation
from broadcast_sync.bus.leases import Lease
from broadcast_sync.clock import Clock
from broadcast_sync.show.fresh import Fresh
from broadcast_sync.show.outages import ENGINE_ERRORS, Outage
from broadcast_sync.show.rundown_loader import RundownLoader
from broadcast_sync.show.scheduling import ARM_AHEAD_MS

log = structlog.get_logger()

STALE_S: Final = 0.2


class RundownKeeper:
    """Works while the node is the director; everything given is the caller's."""

    def __init__(self, lease: Lease, fresh: Fresh, loader: RundownLoader, clock: Clock) -> None:
        self._lease = lease
        self._fresh = fresh
        self._loader = loader
        self._clock = clock

    async def run(self) -> None:
        """Arms what is due, until cancelled. Engine outages are waited out."""
        outage = Outage("due-rundowns")
        while True:
            heed_cancellation()
            fed, due = self._fresh.fed, self._fresh.stage.due
            wait_ms = due[0].due_ms - ARM_AHEAD_MS - self._clock.now_ms() if due else 2**62
            if wait_ms > 0:
                await self._fresh.wait_change_or(fed, min(wait_ms, 3_600_000) / 1000)
                continue
            try:
                after = await self._loader.arm_due(due[0], self._lease.token)
                outage.over()
            except ENGINE_ERRORS as error:
                await asyncio.sleep(outage.failed(error))
                continue
            except Exception as error:
                # one that breaks something must not stop those after it for good
                log.exception("due_rundown_failed", name=due[0].name)
                await asyncio.sleep(outage.failed(error))
                continue
            if after is not None:
                self._fresh.note(after)
            else:
                # the store knows better than our copy, which is about to hear of it
                await asyncio.sleep(STALE_S)
