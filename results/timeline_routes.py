"""`GET /api/v1/results/{window_id}/timeline` and `.../timeline/{at}`: how a ranking came about, board by board.

What may not be seen of a window yet is not there for anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta, Struct
from starlette.requests import Request

from broadcast_sync.api import Answer, Endpoint, Parameter, endpoint
from broadcast_sync.errors import Refusal
from broadcast_sync.show.model import Stage
from broadcast_sync.wire.times import parse_iso
from results.archive import Archive, ResultSummary
from results.releases import board_is_public, released_now
from results.routes import FORM, WindowId, reading, window_of
from results.snapshots import Moment, Snapshot, Snapshots
from voting.ledger.entries import moment

MOST: Final = 1_000
DEFAULT: Final = 360
"""An hour of snapshots."""

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"}, max_length=40)]


class TimelineQuery(Struct, frozen=True, forbid_unknown_fields=True):
    after: Time = "1970-01-01T00:00:00Z"
    limit: Annotated[int, Meta(ge=1, le=MOST)] = DEFAULT


class Timeline(Struct, frozen=True, rename="camel"):
    """Oldest first. `next` is what to ask `after` for those that follow, null if there are none yet; `final` is the
    result with the certificate, null before its release."""

    window_id: str
    moments: list[Moment]
    next: str | None
    final: ResultSummary | None


class TimelineRoutes:
    """`stage` is the show as this node knows it. PostgreSQL being down is answered with 503 (fails closed)."""

    def __init__(self, snapshots: Snapshots, archive: Archive, stage: Callable[[], Stage]) -> None:
        self._snapshots = snapshots
        self._archive = archive
        self._stage = stage

    def endpoints(self) -> list[Endpoint]:
        window = {"window_id": Parameter(WindowId, "The window's id.")}
        refuses = ("BAD_MESSAGE", "NOT_FOUND", "BUSY")
        return [
            endpoint(
                "GET", "/api/v1/results/{window_id}/timeline", "The boards of a window, one each ten seconds",
                self._timeline, tag="results", form=FORM, path_parameters=window, query=TimelineQuery, refuses=refuses,
                answers={200: Answer(Timeline, "Each with its best three.")},
            ),
            endpoint(
                "GET", "/api/v1/results/{window_id}/timeline/{at}", "The board of a window as it stood at a moment",
                self._one, tag="results", form=FORM, refuses=refuses,
                path_parameters=window | {"at": Parameter(Time, "A time.", "2026-11-21T20:15:00Z")},
                answers={200: Answer(Snapshot, "The last one that is not later.")},
            ),
        ]

    async def _timeline(self, request: Request, query: TimelineQuery) -> Timeline:
        window, after = window_of(request.path_params["window_id"]), _time(query.after)
        async with reading():
            final = await self._archive.get(window) if await self._released(window) else None
            if final is None and not self._counting(window):
                raise Refusal("NOT_FOUND", "There is no public board of this window.")
            found = await self._snapshots.timeline(window, after, query.limit + 1)
        shown = found[: query.limit]
        return Timeline(
            str(window), shown, shown[-1].at if len(found) > query.limit else None,
            None if final is None else final.summary(),
        )

    async def _one(self, request: Request) -> Snapshot:
        window, at = window_of(request.path_params["window_id"]), _time(request.path_params["at"])
        async with reading():
            public = self._counting(window) or await self._released(window)
            found = await self._snapshots.at(window, at) if public else None
        if found is None:
            raise Refusal("NOT_FOUND", "There is no public board of this window at that time.")
        return found

    def _counting(self, window: UUID) -> bool:
        stage = self._stage()
        return board_is_public(stage) and stage.window is not None and stage.window.window_id == str(window)

    async def _released(self, window: UUID) -> bool:
        return window == released_now(self._stage()) or await self._archive.is_released(window)


def _time(text: str) -> datetime:
    try:
        return moment(parse_iso(text))
    except (ValueError, OverflowError):
        raise Refusal("BAD_MESSAGE", "A time is like 2026-11-21T20:15:00Z.") from None
