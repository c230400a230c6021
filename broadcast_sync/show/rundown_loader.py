"""Rundowns into the stage: armed now, or kept until they are due and armed by the director then. All of their cues or
none.

The cues of a due rundown are stored before the commit that promises them, and removed after the one that has armed
them: a process that dies in between leaves a key that expires. Engine errors pass through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import structlog
from msgspec import Struct
from redis.asyncio import Redis

from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.clock import Clock
from broadcast_sync.errors import Refusal
from broadcast_sync.ids import uuid7
from broadcast_sync.show.cues import CueRecord, data_json
from broadcast_sync.show.execution import Execution
from broadcast_sync.show.machine import decide
from broadcast_sync.show.model import ArmedCue, DueRundown, Stage
from broadcast_sync.show.orders import Arm, CancelRundown, Command, DropRundown, ScheduleRundown
from broadcast_sync.show.reader import CueReader, scope_for
from broadcast_sync.show.rundown import RundownFile, armed_cues, check
from broadcast_sync.show.scheduling import due_named
from broadcast_sync.show.store import Answer, Committed, Fenced, StageStore, answer_key
from broadcast_sync.wire.times import iso

log = structlog.get_logger()

ATTEMPTS: Final = 8
KEPT_MS: Final = 30 * 86_400_000
"""How long the cues of a due rundown outlive its date, should the director be away."""

_file = msgspec.json.Decoder(RundownFile)


class Load(Struct, frozen=True):
    """What is to be loaded. With `due_ms` it is kept until then; `start_ms` is when offsets begin, where the file has
    no label for it."""

    file: RundownFile
    by: str
    start_ms: int | None = None
    due_ms: int | None = None
    expected_revision: int | None = None


class RundownLoader:
    """One organisation's; everything given is the caller's."""

    def __init__(
        self, client: Redis, keys: StageKeys, store: StageStore, reader: CueReader, execution: Execution, clock: Clock
    ) -> None:
        self._client = client
        self._keys = keys
        self._store = store
        self._reader = reader
        self._execution = execution
        self._clock = clock

    async def load(self, asked: Load) -> Stage:
        """Arms the cues in the place of what is left of the rundown before, or keeps them until they are due; the stage
        after it. Raises Refusal with `problems`, a list of {place, text}, and changes nothing if one of them cannot be
        armed."""
        await self._judge(asked)
        for _ in range(ATTEMPTS):
            stage = await self._store.load()
            if asked.expected_revision not in (None, stage.revision):
                raise Refusal("STALE_REVISION", detail={"revision": stage.revision})
            after = await (self._arm(asked, stage) if asked.due_ms is None else self._keep(asked, asked.due_ms, stage))
            if after is not None:
                return after
        raise Refusal("BUSY", "Too many cues at once, try again.")

    async def cancel(self, name: str, by: str) -> Stage:
        """Forgets a rundown that waits for its date; the stage after it. Raises Refusal CUE_REJECTED if there is none
        of this name."""
        for _ in range(ATTEMPTS):
            stage = await self._store.load()
            due = due_named(stage, name)
            line = self._line(due, stage, by, "cancelled")
            after = await self._commit(stage, CancelRundown(name), [line])
            if after is not None:
                await self._client.delete(self._keys.rundown(due.id))
                return after
        raise Refusal("BUSY", "Too many cues at once, try again.")

    async def arm_due(self, due: DueRundown, token: int) -> Stage | None:
        """The director's, under its fencing number: arms a rundown whose time has come, once; one that cannot be armed
        is dropped, and the cue log says why. None if another commit came first, or it has been done already."""
        stage = await self._store.load()
        if due not in stage.due:
            return None
        try:
            after = await self._arm(await self._due(due), stage, due, token)
        except Refusal as refusal:
            log.warning("due_rundown_refused", name=due.name, by=due.by, code=refusal.code, reason=refusal.message)
            line = self._line(due, stage, due.by, refusal.code, refusal.message)
            after = await self._commit(stage, DropRundown(due.id), [line], token=token)
        if after is not None:
            await self._client.delete(self._keys.rundown(due.id))
        return after

    # --- inside -----------------------------------------------------------------------------------------------

    async def _judge(self, asked: Load) -> None:
        problems = [msgspec.to_builtins(problem) for problem in check(asked.file)]
        for index, cue in enumerate(asked.file.cues if not problems else ()):
            try:
                await self._reader.check_armed(cue.event, cue.data, cue.id, asked.by)
            except Refusal as refusal:
                problems.append({"place": f"cues[{index}]", "text": refusal.message})
        if problems:
            words = "; ".join(f"{problem['place']}: {problem['text']}" for problem in problems[:5])
            raise Refusal("CUE_REJECTED", f"The rundown cannot be loaded: {words}", detail={"problems": problems})

    async def _arm(self, asked: Load, stage: Stage, due: DueRundown | None = None, token: int = 0) -> Stage | None:
        name, now_ms = asked.file.name, self._clock.now_ms()
        cues = armed_cues(asked.file, stage.reference, asked.start_ms, asked.by, now_ms)
        after = await self._commit(
            stage, Arm(tuple(cues), name, due.id if due else ""), [_record(cue, stage, name) for cue in cues],
            _forgotten(cues, stage), token=token,
        )
        if after is not None:
            log.info("rundown_loaded", name=name, cues=len(cues), by=asked.by, revision=after.revision)
        return after

    async def _keep(self, asked: Load, due_ms: int, stage: Stage) -> Stage | None:
        now_ms = self._clock.now_ms()
        due = DueRundown(uuid7(now_ms).hex, asked.file.name, due_ms, asked.by, len(asked.file.cues))
        life_ms = max(0, due_ms - now_ms) + KEPT_MS
        replaced = [one for one in stage.due if one.name == due.name]
        await self._client.set(self._keys.rundown(due.id), msgspec.json.encode(asked.file), px=life_ms)
        try:
            line = self._line(due, stage, asked.by, "due")
            after = await self._commit(stage, ScheduleRundown(due), [line])
        except Refusal:
            await self._client.delete(self._keys.rundown(due.id))
            raise
        for one in replaced if after is not None else [due]:
            await self._client.delete(self._keys.rundown(one.id))
        if after is not None:
            log.info("rundown_kept", name=due.name, due=iso(due_ms), by=asked.by, revision=after.revision)
        return after

    async def _due(self, due: DueRundown) -> Load:
        body: Any = await self._client.get(self._keys.rundown(due.id))
        if body is None:
            raise Refusal("CUE_REJECTED", "Its cues are not there any more; load it again.")
        return Load(_file.decode(body), due.by, start_ms=due.due_ms)

    async def _commit(
        self, stage: Stage, command: Command, lines: Sequence[CueRecord], answers: Sequence[Answer] = (), *,
        token: int = 0,
    ) -> Stage | None:
        """The stage after it; None if another commit came first."""
        now_ms = self._clock.now_ms()
        decision = decide(stage, command, now_ms)
        outcome = await self._execution.commit(stage, decision, now_ms, answers, lines, token=token)
        if isinstance(outcome, Fenced):
            log.warning("director_fenced", token=token)
        return outcome.stage if isinstance(outcome, Committed) else None

    def _line(self, due: DueRundown, stage: Stage, by: str, outcome: str, message: str = "") -> CueRecord:
        """The line of a due rundown as a whole; `stage` is the one before it."""
        now_ms = self._clock.now_ms()
        return CueRecord(
            cue_id=due.id, event="RUNDOWN", by=by, asked_ms=now_ms, executed_ms=now_ms, outcome=outcome,
            message=message or f"{due.name}, {due.cues} cues, due {iso(due.due_ms)}", revision=stage.revision + 1,
            lateness_ms=0, show_id=stage.show.show_id if stage.show else "", mode="arm", due_ms=due.due_ms,
        )


def _record(cue: ArmedCue, stage: Stage, rundown: str) -> CueRecord:
    return CueRecord(
        cue_id=cue.cue_id, event=cue.event, by=cue.by, asked_ms=cue.armed_ms, executed_ms=cue.armed_ms,
        outcome="armed", message=f"for {iso(cue.at_ms)}, by the rundown {rundown}", revision=stage.revision + 1,
        lateness_ms=0, show_id=stage.show.show_id if stage.show else "", timecode=cue.timecode,
        data=data_json(cue.data), mode="arm", due_ms=cue.at_ms,
    )


def _forgotten(cues: Sequence[ArmedCue], stage: Stage) -> list[Answer]:
    """The answers that these cueIds have had before: a rundown that is loaded again may be played again. The first is
    what a commit looks at, so it is one that nobody is ever given."""
    return [Answer("rundown", None)] + [
        Answer(answer_key(scope_for(cue.event, cue.data, stage), mode, cue.cue_id), None)
        for cue in cues for mode in ("take", "arm", "cancel")
    ]
