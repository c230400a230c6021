"""The director's duties in the show: warn, close, settle, certify, advance. One node has them at a time, by lease;
what cues that wait need is the taker's.

Every duty follows from the stage and the clock, so a new director carries on wherever the last one stopped. Every
commit compares the revision, so even two directors could do nothing twice; and it carries the lease's fencing number,
so one that was held up and has lost its lease does nothing at all. Engine outages are waited out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Literal

import structlog
from msgspec import Struct

from broadcast_sync.bus.connect import heed_cancellation
from broadcast_sync.bus.leases import Lease
from broadcast_sync.clock import Clock
from broadcast_sync.errors import Refusal
from broadcast_sync.ids import uuid7
from broadcast_sync.settings import Settings
from broadcast_sync.show.countdown import warning_at, warning_due
from broadcast_sync.show.execution import Execution
from broadcast_sync.show.fresh import Fresh
from broadcast_sync.show.machine import decide
from broadcast_sync.show.model import RoundPort, SettlePort, Stage, WindowPort
from broadcast_sync.show.orders import Certify, CloseByTimer, Command, CompleteAdvance, Warn
from broadcast_sync.show.outages import ENGINE_ERRORS, Outage
from broadcast_sync.show.store import Committed, Fenced, StageStore
from broadcast_sync.wire.server import ResultsReady

log = structlog.get_logger()

TELL_WINDOW_S: Final = 5.0
"""How often a window in progress is told its times again, should a node or shard have missed a change."""
ATTEMPTS: Final = 8


class Duty(Struct, frozen=True):
    """What is to be done next, and from when on."""

    at_ms: int
    what: Literal["warn", "close", "settle", "advance"]
    window_id: str


def next_duty(stage: Stage, now_ms: int, drain_ms: int) -> Duty | None:
    """The director's next duty; `at_ms` in the past means now. None: there is nothing to wait for. Pure."""
    window = stage.window
    if window is None:
        return None
    if stage.voting == "CLOSING":
        return Duty(window.hard_closes_ms + drain_ms, "settle", window.window_id)
    if stage.voting == "CLOSED" and stage.season is not None and stage.season.advance is not None:
        return Duty(window.hard_closes_ms, "advance", window.window_id)
    if stage.voting != "OPEN":
        return None
    warning_ms = warning_at(window)
    if warning_ms is not None and (now_ms < warning_ms or warning_due(window, now_ms)):
        return Duty(warning_ms, "warn", window.window_id)
    return Duty(window.closes_ms, "close", window.window_id)


class Director:
    """Runs the duties while `lease` is held. `also` are further loops of the same node (the cue log's copier):
    started with the duties, cancelled with them. Everything given is the caller's to close."""

    def __init__(
        self, settings: Settings, lease: Lease, fresh: Fresh, store: StageStore, clock: Clock,
        window_port: WindowPort, settle_port: SettlePort, round_port: RoundPort, execution: Execution,
        also: tuple[Callable[[], Awaitable[None]], ...] = (),
    ) -> None:
        self._lease = lease
        self._fresh = fresh
        self._execution = execution
        self._store = store
        self._clock = clock
        self._window_port = window_port
        self._settle_port = settle_port
        self._round_port = round_port
        self._grace_ms = round(settings.show.grace_s * 1000)
        self._also = also
        self._drain_ms = round(settings.show.drain_s * 1000)
        self._release = settings.results.release == "auto"

    async def run(self) -> None:
        """Waits for the lease, does the duties until it is lost, and so on until cancelled. The caller runs the
        lease itself."""
        while True:
            await self._lease.wait_held()
            log.info("director_began", token=self._lease.token)
            try:
                async with asyncio.TaskGroup() as tasks:
                    duties = [tasks.create_task(self._keep_time()), tasks.create_task(self._keep_window_told())]
                    duties += [tasks.create_task(self._keep(loop)) for loop in self._also]
                    await self._lease.wait_lost()
                    for duty in duties:
                        duty.cancel()
            finally:
                log.info("director_ended", token=self._lease.token)

    async def _keep(self, loop: Callable[[], Awaitable[None]]) -> None:
        await loop()

    # --- time -------------------------------------------------------------------------------------------------

    async def _keep_time(self) -> None:
        outage = Outage("director")
        while True:
            heed_cancellation()
            fed, stage = self._fresh.fed, self._fresh.stage
            duty = next_duty(stage, self._clock.now_ms(), self._drain_ms)
            if duty is None:
                await self._fresh.wait_change(fed)
                continue
            wait_s = (duty.at_ms - self._clock.now_ms()) / 1000
            if wait_s > 0:
                await self._fresh.wait_change_or(fed, wait_s)
                continue
            try:
                if not await self._do(duty):
                    # the store knows better than our copy, which is about to hear of it
                    await asyncio.sleep(0.2)
                outage.over()
            except ENGINE_ERRORS as error:
                await asyncio.sleep(outage.failed(error))
            except Exception as error:
                # whatever the settling wing raises must not stop the timers of the next window
                log.exception("director_duty_failed", duty=duty.what, window_id=duty.window_id)
                await asyncio.sleep(outage.failed(error))

    async def _do(self, duty: Duty) -> bool:
        """Does `duty`; False if the stage has moved on and it is no longer due."""
        if duty.what == "warn":
            return await self._commit(lambda: Warn(duty.window_id))
        if duty.what == "close":
            return await self._commit(lambda: CloseByTimer(duty.window_id))
        if duty.what == "advance":
            return await self._advance()
        results = await self._settle(duty)
        return results is not None and await self._commit(lambda: Certify(results, self._release))

    async def _settle(self, duty: Duty) -> ResultsReady | None:
        """The window's result; None if the stage went on without it (its data were lost), so that a ledger that
        never catches up cannot hold up the windows after it."""
        log.info("settling", window_id=duty.window_id)
        settling = asyncio.ensure_future(self._settle_port.settle(self._fresh.stage))
        try:
            while True:
                fed, stage = self._fresh.fed, self._fresh.stage
                if stage.window is None or stage.window.window_id != duty.window_id or stage.voting != "CLOSING":
                    return None
                change = asyncio.ensure_future(self._fresh.wait_change(fed))
                try:
                    await asyncio.wait((settling, change), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    change.cancel()
                if settling.done():
                    return settling.result()
        finally:
            settling.cancel()

    async def _advance(self) -> bool:
        """Decides the slot and opens the next. A window that was prepared and then not committed must never be heard
        of again, so each attempt makes a new id."""
        stage = await self._store.load()
        if stage.season is None or stage.season.advance is None or stage.voting != "CLOSED":
            return False
        won = await self._round_port.decide(stage, stage.season.slot)
        return await self._commit(
            lambda: CompleteAdvance(won, str(uuid7(self._clock.now_ms())), self._grace_ms)
        )

    async def _commit(self, command: Callable[[], Command]) -> bool:
        for _ in range(ATTEMPTS):
            stage = await self._store.load()
            now_ms = self._clock.now_ms()
            try:
                decision = decide(stage, command(), now_ms)
            except Refusal as refusal:
                log.info("duty_no_longer_due", reason=refusal.message)
                self._fresh.note(stage)
                return False
            await self._execution.prepare(stage, decision.stage)
            outcome = await self._execution.commit(stage, decision, now_ms, token=self._lease.token)
            if isinstance(outcome, Fenced):
                log.warning("director_fenced", token=self._lease.token)
                return False
            if isinstance(outcome, Committed):
                self._fresh.note(outcome.stage)
                log.info("duty_done", duty=type(command()).__name__, revision=outcome.stage.revision)
                return True
        return False

    # --- the window -------------------------------------------------------------------------------------------

    async def _keep_window_told(self) -> None:
        outage = Outage("window-port")
        while True:
            heed_cancellation()
            fed, stage = self._fresh.fed, self._fresh.stage
            if stage.voting not in ("OPEN", "CLOSING"):
                await self._fresh.wait_change(fed)
                continue
            try:
                await self._window_port.changed(stage)
                outage.over()
            except ENGINE_ERRORS as error:
                await asyncio.sleep(outage.failed(error))
                continue
            await asyncio.sleep(TELL_WINDOW_S)
