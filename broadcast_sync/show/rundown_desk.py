"""Rundowns over HTTP: `POST /control/rundown` arms the cues of one, all or none, or keeps it until it is due; `GET`
tells what has become of them; `POST /control/rundown/cancel` forgets one that waits for its date. All are let in as
cues are (see operators.py)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request

from broadcast_sync.api import Answer as Documented
from broadcast_sync.api import Endpoint, endpoint
from broadcast_sync.bearer import REFUSES
from broadcast_sync.errors import Refusal
from broadcast_sync.http import explain, read_body
from broadcast_sync.show.model import Stage
from broadcast_sync.show.operators import SCHEMES, Operators
from broadcast_sync.show.outages import ENGINE_ERRORS
from broadcast_sync.show.reader import read_time
from broadcast_sync.show.rundown import FILE_BYTES, RundownFile, Text
from broadcast_sync.show.rundown_loader import Load, RundownLoader
from broadcast_sync.show.views import due_info, rundown_info
from broadcast_sync.wire.server import DueInfo, RundownInfo

BODY_S: Final = 5.0
T = TypeVar("T")


class RundownRequest(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A rundown to load. `start` is when its offsets begin, an ISO 8601 time, where the file has no label for it. `due`
    keeps it until then, and is when they begin; it goes before the file's own."""

    rundown: RundownFile
    start: Annotated[str, Meta(max_length=64)] | None = None
    due: Annotated[str, Meta(max_length=64)] | None = None
    expected_revision: Annotated[int, Meta(ge=0, lt=2**53)] | None = None


class CancelRequest(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The name of a rundown that waits for its date."""

    name: Text


class RundownState(Struct, frozen=True, rename="camel"):
    """The rundown that was loaded last, null if none was, and those that wait for their dates, as of `revision`."""

    revision: int
    rundown: RundownInfo | None
    due: list[DueInfo]


class RundownDesk:
    """Lets rundowns in for one organisation; everything given is the caller's."""

    def __init__(self, loader: RundownLoader, operators: Operators, stage: Callable[[], Stage]) -> None:
        self._loader = loader
        self._operators = operators
        self._stage = stage

    async def _post(self, request: Request) -> RundownState:
        body, by = await self._admitted(request)
        with self._operators.noting(request, by):
            asked = _read(body, RundownRequest)
            start_ms = None if asked.start is None else read_time(asked.start, "start")
            due = asked.due or asked.rundown.due
            due_ms = None if due is None else read_time(due, "due" if asked.due else "rundown.due")
            if start_ms is not None and due_ms is not None:
                raise Refusal("BAD_MESSAGE", "Give `start` or `due`, not both: offsets begin when a rundown is due.")
            load = Load(asked.rundown, by, start_ms, due_ms, asked.expected_revision)
            return await _answered(self._loader.load(load))

    async def _cancel(self, request: Request) -> RundownState:
        body, by = await self._admitted(request)
        with self._operators.noting(request, by):
            asked = _read(body, CancelRequest)
            return await _answered(self._loader.cancel(asked.name, by))

    async def _get(self, request: Request) -> RundownState:
        self._operators.admit(request)
        return _state(self._stage())

    async def _admitted(self, request: Request) -> tuple[bytes, str]:
        """The body, and whose it is."""
        body = await read_body(request, FILE_BYTES, BODY_S)
        return body, self._operators.admit(request, body).by

    def endpoints(self) -> list[Endpoint]:
        shown = Documented(RundownState, "What is armed, what became of it, and what waits for its date.")
        return [
            endpoint(
                "POST", "/control/rundown", "Arm the cues of a rundown", self._post, tag="control", schemes=SCHEMES,
                body=RundownRequest, reads=False, answers={200: shown},
                example={"rundown": {"name": "Live Show 1", "cues": [
                    {"id": "open", "event": "VOTING_OPEN", "offset": 600, "data": {"duration": 90}},
                ]}, "start": "2026-11-21T20:00:00.000Z"},
                description="All of them or none; what is left of the rundown before is disarmed. With `due` they are "
                "armed a minute before that, whatever show has ended by then.",
                refuses=(*REFUSES, "STALE_REVISION", "CUE_REJECTED", "TIMECODE_INVALID", "BUSY", "TRY_AGAIN"),
            ),
            endpoint(
                "POST", "/control/rundown/cancel", "Forget a rundown that waits for its date", self._cancel,
                tag="control", schemes=SCHEMES, body=CancelRequest, reads=False, answers={200: shown},
                example=CancelRequest("Live Show 1"), refuses=(*REFUSES, "CUE_REJECTED", "BUSY", "TRY_AGAIN"),
            ),
            endpoint(
                "GET", "/control/rundown", "The loaded rundown", self._get, tag="control", schemes=SCHEMES,
                answers={200: shown}, refuses=REFUSES,
            ),
        ]


def _read(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal("BAD_MESSAGE", explain(error)) from None


async def _answered(done: Awaitable[Stage]) -> RundownState:
    try:
        return _state(await done)
    except ENGINE_ERRORS:
        raise Refusal("TRY_AGAIN") from None


def _state(stage: Stage) -> RundownState:
    return RundownState(stage.revision, rundown_info(stage), due_info(stage))
