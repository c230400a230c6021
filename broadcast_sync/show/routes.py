"""Cues over HTTP: `POST /control/cues` for buttons and automation, `POST /api/admin/advance-slot` for one of them by
name, `GET /control/state` for what is legal now.

A request is let in by a token with the role `control`, or by a signature of the shared secret (see operators.py).
Errors are `{"code", "message", "retryable", ...}` with the status of their code.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from broadcast_sync.api import Answer, Endpoint, endpoint
from broadcast_sync.bearer import REFUSES
from broadcast_sync.clock import Clock
from broadcast_sync.errors import Refusal
from broadcast_sync.http import explain, json_response, read_body
from broadcast_sync.ids import uuid7
from broadcast_sync.show.cues import Id, take_id
from broadcast_sync.show.intake import CueIntake
from broadcast_sync.show.machine import legal_events
from broadcast_sync.show.model import Stage
from broadcast_sync.show.operators import SCHEMES, Operators
from broadcast_sync.show.outages import ENGINE_ERRORS
from broadcast_sync.show.views import state_update
from broadcast_sync.wire.client import ClientId, CueMessage
from broadcast_sync.wire.server import CueAck, CueLogRow, StateUpdate, Tally

BODY_BYTES: Final = 16_384
BODY_S: Final = 5.0
CUES_SHOWN: Final = 20


class ControlState(Struct, frozen=True, rename="camel"):
    """What `GET /control/state` answers. `tally` is the last one, null in the first second of a node."""

    state: StateUpdate
    legal: tuple[str, ...]
    cues: list[CueLogRow]
    tally: Tally | None


class Cue(CueMessage, frozen=True):
    """A CUE over HTTP. A button that sends the same text at each press has no id to make up: `takeNo` makes its cueId
    `EVENT#takeNo`, so that however often it is pressed within a show, that take is one cue. Not beside a `cueId`."""

    take_no: Annotated[int, Meta(ge=0, le=999_999)] | None = None


class AdvanceRequest(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """ADVANCE_SLOT as a body of its own; all of it may be left out. `duration` (s) and `contestants` are the next
    slot's: without them its predecessor's duration, and all who have not won a slot."""

    cue_id: ClientId | None = None
    duration: int | None = None
    contestants: Annotated[list[Id], Meta(max_length=200)] | None = None
    uncertified: bool = False
    expected_revision: Annotated[int, Meta(ge=0, lt=2**53)] | None = None


class _Nested(Struct, frozen=True):
    """A CUE as a socket message may be shaped: its fields under `data`."""

    data: Cue


class _Doors:
    """The handlers and what they share."""

    def __init__(
        self, intake: CueIntake, operators: Operators, clock: Clock, stage: Callable[[], Stage],
        recent: Callable[[int], Awaitable[list[CueLogRow]]], tally: Callable[[], Tally | None],
    ) -> None:
        self._intake = intake
        self._operators = operators
        self._clock = clock
        self._stage = stage
        self._recent = recent
        self._tally = tally

    async def cue(self, request: Request) -> CueAck:
        """One cue; 200 with the data of its CUE_ACK. A refusal carries the cueId it answers."""
        return await self._take(request, _cue)

    async def advance(self, request: Request) -> Response:
        """The cue ADVANCE_SLOT; 202, as its end is the director's."""
        return json_response(await self._take(request, _advance), 202)

    async def _take(self, request: Request, read: Callable[[bytes], CueMessage]) -> CueAck:
        received_ms = self._clock.now_ms()
        cue_id: str | None = None
        try:
            body = await read_body(request, BODY_BYTES, BODY_S)
            operator = self._operators.admit(request, body)
            with self._operators.noting(request, operator.by):
                cue = read(body)
            cue_id = cue.cue_id or operator.cue_id or str(uuid7(received_ms))
            return await self._intake.submit(
                msgspec.structs.replace(cue, cue_id=cue_id), by=operator.by, received_ms=received_ms,
                roles=operator.roles,
            )
        except Refusal as refusal:
            if cue_id is not None:
                refusal.detail = {**(refusal.detail or {}), "cueId": cue_id}
            raise

    async def state(self, request: Request) -> ControlState:
        """The stage, the events that can be accepted now, the last cues and the last tally."""
        self._operators.admit(request)
        stage = self._stage()
        try:
            cues = await self._recent(CUES_SHOWN)
        except ENGINE_ERRORS:
            raise Refusal("TRY_AGAIN", "The cue log cannot be read just now.") from None
        return ControlState(state_update(stage), legal_events(stage), cues, self._tally())


def endpoints(
    intake: CueIntake, operators: Operators, clock: Clock, stage: Callable[[], Stage],
    recent: Callable[[int], Awaitable[list[CueLogRow]]], tally: Callable[[], Tally | None],
) -> list[Endpoint]:
    """The HTTP doors of the control room. `stage` and `tally` are the node's live copies, `recent` reads the cue log's
    end."""
    doors = _Doors(intake, operators, clock, stage, recent, tally)
    return [
        endpoint(
            "POST", "/control/cues", "One cue", doors.cue, tag="control", schemes=SCHEMES,
            description="Any content type will do: a button that sends static text must work.",
            body=Cue, reads=False, example={"event": "VOTING_EXTEND", "takeNo": 1, "data": {"seconds": 30}},
            answers={200: Answer(CueAck, "Taken.", CueAck("q1", 7, "2026-11-21T20:15:00.123Z", 3, False))},
            refuses=(
                *REFUSES, "RATE_LIMIT", "UNSUPPORTED", "STALE_REVISION", "CUE_REJECTED", "TIMECODE_INVALID", "BUSY",
                "TRY_AGAIN",
            ),
        ),
        endpoint(
            "POST", "/api/admin/advance-slot", "Lock the slot, decide it, open the next", doors.advance, tag="control",
            schemes=SCHEMES, body=AdvanceRequest, body_required=False, reads=False,
            example=AdvanceRequest(cue_id="advance-12", duration=600),
            description="Answers when the slot is locked. Its winner is known when its votes are certified, some "
            "seconds later; then SLOT_DECIDED goes out and the next slot opens by itself. Any content type will do.",
            answers={202: Answer(CueAck, "Locked.", CueAck("advance-12", 8, "2026-11-21T20:15:00.123Z", 0, False))},
            refuses=(*REFUSES, "RATE_LIMIT", "STALE_REVISION", "CUE_REJECTED", "BUSY", "TRY_AGAIN"),
        ),
        endpoint(
            "GET", "/control/state", "The stage, the cues that can be accepted now, the last ones", doors.state,
            tag="control", schemes=SCHEMES, answers={200: Answer(ControlState, "As this node knows it.")},
            refuses=(*REFUSES, "TRY_AGAIN"),
        ),
    ]


def _cue(body: bytes) -> CueMessage:
    """The cue in `body`, flat or under `data`; a `type` that is given must be CUE."""
    try:
        raw: Any = msgspec.json.decode(body)
        if isinstance(raw, dict) and raw.get("type", "CUE") != "CUE":
            raise Refusal("UNSUPPORTED", "This address takes messages of type CUE only.")
        if isinstance(raw, dict) and "event" not in raw and "data" in raw:
            return _named(msgspec.convert(raw, _Nested).data)
        return _named(msgspec.convert(raw, Cue))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal("BAD_MESSAGE", explain(error)) from None


def _named(cue: Cue) -> CueMessage:
    """The cue, with the cueId that its take number stands for."""
    if cue.take_no is None:
        return cue
    if cue.cue_id is not None:
        raise Refusal("BAD_MESSAGE", "Give a cueId or a takeNo, not both.")
    return msgspec.structs.replace(cue, cue_id=take_id(cue.event, cue.take_no))


def _advance(body: bytes) -> CueMessage:
    """The cue ADVANCE_SLOT of a body, which may be empty."""
    try:
        asked = msgspec.json.decode(body or b"{}", type=AdvanceRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal("BAD_MESSAGE", explain(error)) from None
    data = {"duration": asked.duration, "contestants": asked.contestants, "uncertified": asked.uncertified}
    return CueMessage(
        "ADVANCE_SLOT", cue_id=asked.cue_id, expected_revision=asked.expected_revision,
        data={key: value for key, value in data.items() if value is not None},
    )
