"""`GET /control/tally`: the tally for variables and feedback of button controllers, which poll."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from broadcast_sync.api import Answer, Endpoint, endpoint
from broadcast_sync.bearer import REFUSES
from broadcast_sync.clock import Clock
from broadcast_sync.control.flat import FlatTally, flat, text
from broadcast_sync.errors import Refusal
from broadcast_sync.show.model import Stage
from broadcast_sync.show.operators import SCHEMES, Operators
from broadcast_sync.wire.server import Tally

TEXT: Final = "text/plain"


class TallyQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """`text` is one `key=value` a line."""

    format: Literal["json", "text"] = "json"


class TallyRoute:
    """Reads only what this node has in memory; needs no engine."""

    def __init__(
        self, operators: Operators, clock: Clock, tally: Callable[[], Tally | None], stage: Callable[[], Stage]
    ) -> None:
        self._operators = operators
        self._clock = clock
        self._tally = tally
        self._stage = stage

    def endpoints(self) -> list[Endpoint]:
        return [
            endpoint(
                "GET", "/control/tally", "The tally with flat keys", self._answer, tag="control", schemes=SCHEMES,
                query=TallyQuery, refuses=(*REFUSES, "BUSY"),
                answers={200: Answer(FlatTally, "At most a second old.", also=(TEXT,))},
                description="Strings and numbers only, every key always there: for variables and feedback of button "
                "controllers.",
            )
        ]

    async def _answer(self, request: Request, query: TallyQuery) -> FlatTally | Response:
        self._operators.admit(request)
        tally = self._tally()
        if tally is None:
            raise Refusal("BUSY", "The first tally is not made yet.", retry_after=1.0)
        made = flat(tally, self._stage(), self._clock.now_ms())
        if query.format == "json":
            return made
        return Response(text(made), headers={"Cache-Control": "no-store"}, media_type=TEXT)
