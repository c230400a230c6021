"""`GET /api/v1/events/{event}/contestants`, `.../{contestant}` and `.../leaderboard`: what everybody may look up.

Answers are at most a second old, carry an ETag and may be kept for a second by whatever stands before this server.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from broadcast_sync.api import Answer, Endpoint, Parameter, endpoint
from broadcast_sync.errors import Refusal
from broadcast_sync.http import JSON
from broadcast_sync.wire.server import BoardRow
from results.cursor import MOST, ListCursors
from results.events import Events
from results.listing import ContestantRow, Listing, Sort
from results.routes import FORM, reading
from results.search import LETTERS

ROOT: Final = "/api/v1/events/{event}"
PAGE_MAX: Final = 100
PAGES_MAX: Final = 1_000_000
TOP: Final = 100

EventId = Annotated[int, Meta(ge=1, le=2**31 - 1)]
ContestantId = Annotated[str, Meta(min_length=1, max_length=64)]
Search = Annotated[str, Meta(min_length=2, max_length=64, pattern=LETTERS)]

KEPT: Final = {"ETag": "Changes with the answer.", "Cache-Control": "May be kept for a second."}


class ContestantQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """By `page` or by `cursor`. While counts change, a list by cursor misses or repeats only who overtakes meanwhile;
    one by page their neighbours as well."""

    page: Annotated[int, Meta(ge=1, le=PAGES_MAX)] | None = None
    cursor: Annotated[str, Meta(min_length=1, max_length=MOST)] | None = None
    limit: Annotated[int, Meta(ge=1, le=PAGE_MAX)] = 24
    search: Search | None = None
    category: Annotated[str, Meta(max_length=64)] | None = None
    sort: Sort = "popular"


class LeaderboardQuery(Struct, frozen=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=TOP)] = TOP


class ContestantList(Struct, frozen=True, rename="camel"):
    """`total` are those who fit the question. `nextCursor` is null at the end; `countedAt` is null while no counts are
    public."""

    event: int
    contestants: list[ContestantRow]
    total: int
    limit: int
    next_cursor: str | None
    total_votes: int | None
    counted_at: str | None


class ContestantDetail(Struct, frozen=True, rename="camel"):
    event: int
    contestant: ContestantRow
    counted_at: str | None


class Leaderboard(Struct, frozen=True, rename="camel"):
    """The best, best first. `breakdown` are the votes by type and `uniqueVoters` the voters, an estimate until the
    result is certified; null if they are not known."""

    event: int
    results: list[BoardRow]
    total_votes: int
    contestant_count: int
    breakdown: Mapping[str, int] | None
    unique_voters: int | None
    last_updated: str


class ContestantRoutes:
    """PostgreSQL being down is answered with 503 for what must be read from it (fails closed)."""

    def __init__(self, events: Events, cursors: ListCursors) -> None:
        self._events = events
        self._cursors = cursors

    def endpoints(self) -> list[Endpoint]:
        event = {"event": Parameter(EventId, "The episode's id, as the mobile API's current_episode has it.", 1)}
        one = event | {"contestant": Parameter(ContestantId, "The contestant's id.", "c07")}
        same = Answer(None, "It is the one that you have.")
        return [
            endpoint(
                "GET", f"{ROOT}/contestants", "The contestants of an event", self._list, tag="contestants", form=FORM,
                path_parameters=event, query=ContestantQuery, refuses=("NOT_FOUND", "BUSY"),
                answers={200: Answer(ContestantList, "A page of them.", headers=KEPT), 304: same},
                description="`search` finds a part of a name, in Latin or Khmer, from two letters on; every character "
                "stands for itself. A page beyond the end is empty. A cursor is good for the same question only.",
            ),
            endpoint(
                "GET", f"{ROOT}/contestants/{{contestant}}", "A contestant of an event", self._one, tag="contestants",
                form=FORM, path_parameters=one, refuses=("NOT_FOUND", "BUSY"),
                answers={200: Answer(ContestantDetail, "The contestant.", headers=KEPT), 304: same},
            ),
            endpoint(
                "GET", f"{ROOT}/leaderboard", "The ranking of an event", self._leaderboard, tag="contestants",
                form=FORM, path_parameters=event, query=LeaderboardQuery, refuses=("NOT_FOUND", "BUSY"),
                answers={200: Answer(Leaderboard, "The best.", headers=KEPT), 304: same},
                description="Not there while no ranking is public.",
            ),
        ]

    async def _list(self, request: Request, query: ContestantQuery) -> Response:
        if query.page is not None and query.cursor is not None:
            raise Refusal("BAD_MESSAGE", "By page or by cursor, not both.")
        event, listing = await self._event(request)
        places = listing.places(query.sort, query.search, query.category)
        question = (event, query.sort, query.search, query.category)
        if query.cursor is not None:
            behind = listing.after(places, query.sort, self._cursors.read(question, query.cursor))
        else:
            behind = places[((query.page or 1) - 1) * query.limit :]
        shown = behind[: query.limit]
        following = None
        if len(behind) > query.limit:
            following = self._cursors.make(question, listing.key(shown[-1], query.sort))
        counts = listing.counts
        return _answer(request, ContestantList(
            event, [listing.row(place) for place in shown], len(places), query.limit, following,
            counts.total if counts else None, counts.at if counts else None,
        ))

    async def _one(self, request: Request) -> Response:
        event, listing = await self._event(request)
        place = listing.roster.places.get(request.path_params["contestant"])
        if place is None:
            raise Refusal("NOT_FOUND", "There is no such contestant.")
        return _answer(request, ContestantDetail(
            event, listing.row(place), listing.counts.at if listing.counts else None
        ))

    async def _leaderboard(self, request: Request, query: LeaderboardQuery) -> Response:
        event, listing = await self._event(request)
        counts = listing.counts
        if counts is None:
            raise Refusal("NOT_FOUND", "There is no public ranking.")
        return _answer(request, Leaderboard(
            event, listing.best(query.limit), counts.total, len(counts.order), counts.types, counts.voters, counts.at
        ))

    async def _event(self, request: Request) -> tuple[int, Listing]:
        text = request.path_params["event"]
        # the database's numbers end at 2^31; what is written in another way is no event's number either
        event = int(text) if text.isascii() and text.isdigit() and len(text) <= 10 and text[0] != "0" else 0
        listing = None
        if 0 < event < 2**31:
            async with reading():
                listing = await self._events.get(event)
        if listing is None:
            raise Refusal("NOT_FOUND", "There is no such event.")
        return event, listing


def _answer(request: Request, content: Struct) -> Response:
    """The content as JSON with its ETag, or nothing but 304 if the client has it."""
    body = msgspec.json.encode(content)
    tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "public, max-age=1"}
    known = [entry.strip().removeprefix("W/") for entry in request.headers.get("If-None-Match", "").split(",")]
    if tag in known or known == ["*"]:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=JSON)
