"""`POST /control/scte35`: a splice information section of a transport stream, taken as a cue. There only if
`[scte35] map` has rows; let in as cues are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.requests import Request

from broadcast_sync.api import Answer, Endpoint, endpoint
from broadcast_sync.bearer import REFUSES
from broadcast_sync.clock import Clock
from broadcast_sync.control.scte35 import PTS_BITS, SECTION_BYTES, BadSection, decode, parse
from broadcast_sync.control.splices import cancelled, check_rows, cue_of
from broadcast_sync.errors import Refusal
from broadcast_sync.http import read_body, read_query
from broadcast_sync.settings import SpliceRow
from broadcast_sync.show.intake import CueIntake
from broadcast_sync.show.model import Stage
from broadcast_sync.show.operators import SCHEMES, Operators
from broadcast_sync.wire.client import CueMessage
from broadcast_sync.wire.server import CueAck

BODY_BYTES: Final = 2 * SECTION_BYTES + 64
BODY_S: Final = 5.0
EXAMPLE: Final = "/DAvAAAAAAAA///wFAVIAACPf+/+c2nALv4AUsz1AAAAAAAKAAhDVUVJAAABNWLbowo="


class SpliceQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """`pts` is the stream's own time, in ticks of 90 kHz, when the section was read from it."""

    pts: Annotated[int, Meta(ge=0, lt=2**PTS_BITS)] | None = None


class Splicing:
    """The door. `rows` are the settings' own."""

    def __init__(
        self, rows: Sequence[SpliceRow], intake: CueIntake, operators: Operators, clock: Clock,
        stage: Callable[[], Stage],
    ) -> None:
        """Raises SettingsError for a row that could never fit."""
        check_rows(rows)
        self._rows = rows
        self._intake = intake
        self._operators = operators
        self._clock = clock
        self._stage = stage

    def endpoints(self) -> list[Endpoint]:
        if not self._rows:
            return []
        return [
            endpoint(
                "POST", "/control/scte35", "A splice information section as a cue", self._take, tag="control",
                schemes=SCHEMES, query=SpliceQuery, body=str, media=("text/plain",), body_bytes=BODY_BYTES, reads=False,
                example=EXAMPLE,
                description="In base64 or hexadecimal; any content type will do. The same event again is the same cue.",
                answers={200: Answer(CueAck, "Taken; or armed, with `pts` and a splice time to come.")},
                refuses=(
                    *REFUSES, "RATE_LIMIT", "UNSUPPORTED", "STALE_REVISION", "CUE_REJECTED", "TIMECODE_INVALID", "BUSY",
                    "TRY_AGAIN",
                ),
            )
        ]

    async def _take(self, request: Request) -> CueAck:
        received_ms = self._clock.now_ms()
        body = await read_body(request, BODY_BYTES, BODY_S)
        by = self._operators.admit(request, body).by
        with self._operators.noting(request, by):
            query = read_query(request, SpliceQuery)
            cue = self._cue(body, query.pts, received_ms)
        return await self._intake.submit(cue, by=by, received_ms=received_ms)

    def _cue(self, body: bytes, pts: int | None, received_ms: int) -> CueMessage:
        try:
            splice = parse(decode(body.decode("ascii")))
        except UnicodeDecodeError:
            raise Refusal("BAD_MESSAGE", "The section is neither base64 nor hexadecimal.") from None
        except BadSection as error:
            raise Refusal("BAD_MESSAGE", f"The section cannot be used: {error}.") from None
        prefix = cancelled(splice)
        if prefix is None:
            return cue_of(splice, self._rows, pts, received_ms)
        armed = next((cue for cue in self._stage().armed if cue.cue_id.startswith(prefix)), None)
        if armed is None:
            raise Refusal("CUE_REJECTED", "Nothing is armed for the event that this cancels.")
        return CueMessage(armed.event, cue_id=armed.cue_id, mode="cancel")
