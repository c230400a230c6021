"""Who won each slot of a season: decided once, stored for ever, readable over HTTP. The show's RoundPort."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final
from uuid import UUID

import structlog
from msgspec import Meta, Struct
from starlette.requests import Request

from broadcast_sync.api import Answer, Endpoint, Parameter, endpoint
from broadcast_sync.errors import Refusal
from broadcast_sync.show.model import SlotWinner, Stage
from broadcast_sync.show.rounds import Support, TieRule, leaders, winner
from broadcast_sync.show.views import season_info
from broadcast_sync.wire.server import SeasonInfo
from broadcast_sync.wire.times import iso
from results.archive import SQL
from results.routes import reading
from voting.ledger.store import Pool, statement

SLOTS_MAX: Final = 10_000

log = structlog.get_logger()


class DecidedSlot(Struct, frozen=True, rename="camel"):
    """A decided slot as it is stored. `contestantId` is null when nobody voted; the whole result is `windowId`'s."""

    slot: int
    slots: int
    show_id: str
    episode: int
    window_id: str
    contestant_id: str | None
    contestant_name: str | None
    score: int
    decided_by: str
    decided_at: str


class RoundList(Struct, frozen=True, rename="camel"):
    """`season` is where the season of the show on air stands, null without one; `rounds` its decided slots in order."""

    season: SeasonInfo | None
    rounds: list[DecidedSlot]


class Rounds:
    """The slots of an organisation. The pool is the caller's; PostgreSQL's errors pass through `decide`."""

    def __init__(self, pool: Pool, organisation: str, ties: TieRule, stage: Callable[[], Stage]) -> None:
        self._pool = pool
        self._organisation = organisation
        self._ties: TieRule = ties
        self._stage = stage

    async def decide(self, stage: Stage, slot: int) -> SlotWinner:
        """The winner of the closed `stage.window`, stored for ever; a second call returns the first one's. ValueError
        if the stage has no result of a slot."""
        show, window, results, season = stage.show, stage.window, stage.results, stage.season
        if show is None or window is None or results is None or season is None or window.round != slot:
            raise ValueError("no slot to decide")
        first = await self._stored(window.window_id)
        if first is not None:
            return first
        support: dict[str, Support] = {}
        if len(best := leaders(results.results)) > 1:
            support = await self._support(window.window_id, [row.contestant_id for row in best])
        won = winner(slot, window, results.results, self._ties, support)
        name = next((one.name for one in window.contestants if one.id == won.contestant_id), None)
        await self._pool.execute(
            statement("insert_slot", SQL), self._organisation, UUID(window.window_id), UUID(season.id), slot,
            season.slots, show.show_id, show.episode, won.contestant_id or None, name, won.score, won.decided_by,
        )
        stored = await self._stored(window.window_id)
        if stored is None:
            raise LookupError(f"slot {slot} is not where it was stored")
        log.info("slot_decided", slot=slot, winner=stored.contestant_id, score=stored.score, by=stored.decided_by)
        return stored

    def endpoints(self) -> list[Endpoint]:
        slot = Annotated[int, Meta(ge=1, le=SLOTS_MAX)]
        return [
            endpoint(
                "GET", "/api/v1/rounds", "The decided slots of the season", self._list, tag="results",
                answers={200: Answer(RoundList, "In order; empty without a season.")}, refuses=("BUSY",),
            ),
            endpoint(
                "GET", "/api/v1/rounds/{slot}", "A decided slot of the season", self._one, tag="results",
                path_parameters={"slot": Parameter(slot, "The slot, from 1.", 1)},
                answers={200: Answer(DecidedSlot, "Its winner.")}, refuses=("NOT_FOUND", "BUSY"),
            ),
        ]

    async def _list(self, request: Request) -> RoundList:
        stage = self._stage()
        return RoundList(None if _rehearsed(stage) else season_info(stage), await self._decided())

    async def _one(self, request: Request) -> DecidedSlot:
        text = request.path_params["slot"]
        for found in await self._decided():
            if str(found.slot) == text:
                return found
        raise Refusal("NOT_FOUND", "There is no such slot, or it is not decided.")

    async def _decided(self) -> list[DecidedSlot]:
        """The slots that the stage knows as decided: one that is stored and not yet committed is not told."""
        stage = self._stage()
        season = stage.season
        if season is None or _rehearsed(stage):
            return []
        known = {won.slot for won in season.winners}
        async with reading():
            rows = await self._pool.fetch(statement("list_slots", SQL), self._organisation, UUID(season.id))
        return [_slot(row) for row in rows if row["slot"] in known]

    async def _stored(self, window_id: str) -> SlotWinner | None:
        row = await self._pool.fetchrow(statement("read_slot", SQL), self._organisation, UUID(window_id))
        if row is None:
            return None
        return SlotWinner(row["slot"], window_id, row["contestant_id"] or "", row["score"], row["decided_by"])

    async def _support(self, window_id: str, contestants: list[str]) -> dict[str, Support]:
        rows = await self._pool.fetch(
            statement("support", SQL), self._organisation, UUID(window_id), contestants
        )
        return {row["contestant_id"]: Support(row["voters"], row["last_ms"]) for row in rows}


def _slot(row: Any) -> DecidedSlot:
    return DecidedSlot(
        row["slot"], row["slots"], row["show_id"], row["episode"], str(row["window_id"]), row["contestant_id"],
        row["contestant_name"], row["score"], row["decided_by"], iso(round(row["decided_at"].timestamp() * 1000)),
    )


def _rehearsed(stage: Stage) -> bool:
    """Whether the season on stage is a rehearsal's, which is nobody's business."""
    return stage.show is not None and stage.show.rehearsal
