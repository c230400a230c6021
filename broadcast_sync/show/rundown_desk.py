"""Rundowns into the show, over HTTP: `POST /control/rundown` arms the cues of one, all or none, `GET` tells what has
become of them. Both are let in as cues are (see operators.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Final

import msgspec
import structlog
from msgspec import Meta, Struct
from starlette.requests import Request

from broadcast_sync.api import Answer as Documented
from broadcast_sync.api import Endpoint, endpoint
from broadcast_sync.bearer import REFUSES
from broadcast_sync.clock import Clock
from broadcast_sync.errors import Refusal
from broadcast_sync.http import explain, read_body
from broadcast_sync.show.cues import CueRecord, data_json
from broadcast_sync.show.execution import Execution
from broadcast_sync.show.machine import decide
from broadcast_sync.show.model import ArmedCue, Stage
from broadcast_sync.show.operators import SCHEMES, Operators
from broadcast_sync.show.orders import Arm
from broadcast_sync.show.outages import ENGINE_ERRORS
from broadcast_sync.show.reader import CueReader, read_time, scope_for
from broadcast_sync.show.rundown import FILE_BYTES, RundownFile, armed_cues, check
from broadcast_sync.show.store import Answer, Committed, StageStore, answer_key
from broadcast_sync.show.views import rundown_info
from broadcast_sync.wire.server import RundownInfo
from broadcast_sync.wire.times import iso

log = structlog.get_logger()

ATTEMPTS: Final = 8
BODY_S: Final = 5.0

class RundownRequest(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A rundown to load. `start` is when its offsets begin, an ISO 8601 time, where the file has no label for it."""

    rundown: RundownFile
    start: Annotated[str, Meta(max_length=64)] | None = None
    expected_revision: Annotated[int, Meta(ge=0, lt=2**53)] | None = None


class RundownState(Struct, frozen=True, rename="camel"):
    """The rundown that was loaded last, null if none was, as of `revision`."""

    revision: int
    rundown: RundownInfo | None


class RundownDesk:
    """Loads rundowns for one organisation; everything given is the caller's."""

    def __init__(
        self, store: StageStore, reader: CueReader, execution: Execution, clock: Clock, operators: Operators,
        stage: Callable[[], Stage],
    ) -> None:
        self._store = store
        self._reader = reader
        self._execution = execution
        self._clock = clock
        self._operators = operators
        self._stage = stage

    async def load(self, asked: RundownRequest, by: str) -> RundownState:
        """Arms the cues in the place of what is left of the rundown before. Raises Refusal with `problems`, a list of
        {place, text}, and changes nothing if one of them cannot be armed."""
        problems = [msgspec.to_builtins(problem) for problem in check(asked.rundown)]
        for index, cue in enumerate(asked.rundown.cues if not problems else ()):
            try:
                await self._reader.check_armed(cue.event, cue.data, cue.id, by)
            except Refusal as refusal:
                problems.append({"place": f"cues[{index}]", "text": refusal.message})
        if problems:
            words = "; ".join(f"{problem['place']}: {problem['text']}" for problem in problems[:5])
            raise Refusal("CUE_REJECTED", f"The rundown cannot be loaded: {words}", detail={"problems": problems})
        for _ in range(ATTEMPTS):
            state = await self._commit(asked, by)
            if state is not None:
                return state
        raise Refusal("BUSY", "Too many cues at once, try again.")

    async def _commit(self, asked: RundownRequest, by: str) -> RundownState | None:
        stage = await self._store.load()
        if asked.expected_revision not in (None, stage.revision):
            raise Refusal("STALE_REVISION", detail={"revision": stage.revision})
        now_ms = self._clock.now_ms()
        start_ms = None if asked.start is None else read_time(asked.start, "start")
        cues = armed_cues(asked.rundown, stage.reference, start_ms, by, now_ms)
        decision = decide(stage, Arm(tuple(cues), asked.rundown.name), now_ms)
        records = [_record(cue, decision.stage, asked.rundown.name) for cue in cues]
        outcome = await self._execution.commit(stage, decision, now_ms, _forgotten(cues, stage), records)
        if not isinstance(outcome, Committed):
            return None
        log.info("rundown_loaded", name=asked.rundown.name, cues=len(cues), by=by, revision=outcome.stage.revision)
        return RundownState(outcome.stage.revision, rundown_info(outcome.stage))

    # --- over HTTP --------------------------------------------------------------------------------------------

    async def _post(self, request: Request) -> RundownState:
        body = await read_body(request, FILE_BYTES, BODY_S)
        by = self._operators.admit(request, body).by
        try:
            asked = msgspec.json.decode(body, type=RundownRequest)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refusal("BAD_MESSAGE", explain(error)) from None
        try:
            return await self.load(asked, by)
        except ENGINE_ERRORS as error:
            log.warning("rundown_outcome_unknown", name=asked.rundown.name, error=str(error))
            raise Refusal("TRY_AGAIN") from None

    async def _get(self, request: Request) -> RundownState:
        self._operators.admit(request)
        stage = self._stage()
        return RundownState(stage.revision, rundown_info(stage))

    def endpoints(self) -> list[Endpoint]:
        shown = Documented(RundownState, "What is armed, and what became of it.")
        return [
            endpoint(
                "POST", "/control/rundown", "Arm the cues of a rundown", self._post, tag="control", schemes=SCHEMES,
                body=RundownRequest, reads=False, answers={200: shown},
                example={"rundown": {"name": "Live Show 1", "cues": [
                    {"id": "open", "event": "VOTING_OPEN", "offset": 600, "data": {"duration": 90}},
                ]}, "start": "2026-11-21T20:00:00.000Z"},
                description="All of them or none; what is left of the rundown before is disarmed.",
                refuses=(*REFUSES, "STALE_REVISION", "CUE_REJECTED", "TIMECODE_INVALID", "BUSY", "TRY_AGAIN"),
            ),
            endpoint(
                "GET", "/control/rundown", "The loaded rundown", self._get, tag="control", schemes=SCHEMES,
                answers={200: shown}, refuses=REFUSES,
            ),
        ]


def _record(cue: ArmedCue, stage: Stage, rundown: str) -> CueRecord:
    return CueRecord(
        cue_id=cue.cue_id, event=cue.event, by=cue.by, asked_ms=cue.armed_ms, executed_ms=cue.armed_ms,
        outcome="armed", message=f"for {iso(cue.at_ms)}, by the rundown {rundown}", revision=stage.revision,
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
