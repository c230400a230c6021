"""Decisions carried out: gates opened before a window is committed, told of its new times after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from broadcast_sync.clock import Clock
from broadcast_sync.errors import Refusal
from broadcast_sync.show.cues import CueRecord
from broadcast_sync.show.fresh import Fresh
from broadcast_sync.show.machine import Decision, decide
from broadcast_sync.show.model import Stage, WindowPort
from broadcast_sync.show.orders import Command
from broadcast_sync.show.outages import ENGINE_ERRORS
from broadcast_sync.show.store import Answer, Committed, Conflict, Fenced, Late, Replayed, StageStore

log = structlog.get_logger()

ATTEMPTS: Final = 8
Line = Callable[[Stage, int], CueRecord]
"""The line in the cue log of a commit on a stage at a time."""


class Execution:
    """Commits for whoever decides: an operator's cue or the director. Store and port are the caller's."""

    def __init__(self, store: StageStore, window_port: WindowPort) -> None:
        self._store = store
        self._window_port = window_port

    async def prepare(self, before: Stage, after: Stage) -> None:
        """Must have returned before `after` is committed: opens the gates of a window that is new in it. Engine errors
        pass through."""
        if after.voting == "OPEN" and _window_id(after) != _window_id(before):
            await self._window_port.opening(after)

    async def commit(
        self, before: Stage, decision: Decision, now_ms: int, answers: Sequence[Answer] = (),
        records: Sequence[CueRecord] = (), *, token: int = 0, until_ms: int = 0,
    ) -> Committed | Conflict | Replayed | Fenced | Late:
        """Commits what was decided on `before` and prepared. Engine errors pass through: then it may have been."""
        outcome = await self._store.commit(
            before.revision, decision, now_ms, answers, records, token=token, until_ms=until_ms
        )
        if isinstance(outcome, Committed):
            await self._tell_window(before, outcome.stage)
        return outcome

    async def finish(self, command: Command, line: Line, fresh: Fresh, clock: Clock, *, token: int) -> bool:
        """Commits one of the director's commands with its line, on the stage as it is stored; False if it is no longer
        due. Engine errors pass through."""
        for _ in range(ATTEMPTS):
            stage = await self._store.load()
            fresh.note(stage)
            now_ms = clock.now_ms()
            try:
                decision = decide(stage, command, now_ms)
            except Refusal:
                return False
            outcome = await self.commit(stage, decision, now_ms, records=[line(stage, now_ms)], token=token)
            if isinstance(outcome, Committed):
                fresh.note(outcome.stage)
                return True
            if isinstance(outcome, Fenced):
                log.warning("director_fenced", token=token)
                return True
        return False

    async def _tell_window(self, before: Stage, after: Stage) -> None:
        """Tells the gates of a window whose times or state have changed."""
        if _window_id(before) != _window_id(after) or (before.window, before.voting) == (after.window, after.voting):
            return
        if after.voting not in ("OPEN", "CLOSING"):
            return
        try:
            await self._window_port.changed(after)
        except ENGINE_ERRORS as error:
            # committed all the same: the director tells the window again within seconds
            log.warning("window_not_told", revision=after.revision, error=str(error))


def _window_id(stage: Stage) -> str:
    return stage.window.window_id if stage.window else ""
