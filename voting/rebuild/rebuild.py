"""Streams, wallets, books, tallies, stage and gates of an organisation, out of its ledger and in that order.

Without gates no vote is taken, so nothing comes in between, and a rebuilding that was cut off can be done again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from redis.asyncio import Redis

from broadcast_sync.bus.keys import ShardKeys, StageKeys
from broadcast_sync.errors import StartError
from broadcast_sync.show.catalogue import Catalogue
from broadcast_sync.show.model import Ruleset, Show, SlotWinner, Stage, Window
from broadcast_sync.wire.server import BoardRow, ContestantInfo, ResultsReady
from voting.ledger.entries import StreamId, moment
from voting.ledger.recount import added, last_ids, watermarks
from voting.ledger.store import Pool, statement
from voting.rebuild.books import BookKeeper, fill
from voting.rebuild.stage import Cue, Known, stage_of
from voting.wallet.rebuild import restore_wallets

PACKAGE: Final = "voting.rebuild.sql"
KEPT_MS: Final = 30 * 86_400_000
"""How long after its hard close the engine keeps a window, as its scripts do."""
LOCK: Final = 0x6273_7265_6275_696C
"""Key of the advisory lock that lets one rebuilding run at a time ("bsrebuil")."""

Progress = Callable[[int], None]


class Rebuilt(Struct, frozen=True, rename="camel"):
    """What is in the engine again. `votes` are those whose answers are remembered, `unplaced` those that their own
    rules do not know; `voting` and `window_id` are the stage's, empty without a show or window."""

    windows: int
    votes: int
    unplaced: int
    wallets: int
    voting: str
    window_id: str
    revision: int


class Rebuilder:
    """Client and pool are the caller's. Engine errors pass through: run it again."""

    def __init__(self, client: Redis, pool: Pool, organisation: str, shards: int, now_ms: int) -> None:
        self._client = client
        self._pool = pool
        self._organisation = organisation
        self._shards = tuple(ShardKeys(organisation, shard) for shard in range(shards))
        self._stage_keys = StageKeys(organisation)
        self._now_ms = now_ms

    async def total(self) -> int:
        """Votes that will be gone through."""
        windows = await self._windows()
        return sum([
            await self._pool.fetchval(f"SELECT count(*) FROM votes_{ref}")
            for ref in {one.show.episode_ref for one in windows}
        ])

    async def check(self) -> None:
        """StartError if the engine has what the ledger does not, or is not empty: then nothing may be written over."""
        marks = await watermarks(self._pool, self._organisation)
        for stream, last in (await last_ids(self._client, self._organisation, len(self._shards))).items():
            if last > marks.get(stream, StreamId(0, 0)):
                raise StartError(
                    f"the engine has votes that the ledger does not have yet (stream {stream} is at {last}); let a "
                    "server write them down first, or lose them with --force"
                )
        stored = await self._client.get(self._stage_keys.state)
        gates = [keys.gate(one.window.window_id) for one in await self._windows() for keys in self._shards]
        on_air = stored and msgspec.json.decode(stored, type=Stage).revision
        if on_air or any([await self._client.exists(gate) for gate in gates]):
            raise StartError("the engine has not lost its data; --force replaces them by what the ledger knows")

    async def run(self, progress: Progress) -> Rebuilt:
        """Rebuilds everything, over whatever is there. StartError if votes lie in shards that are not there."""
        async with self._pool.acquire() as lock:
            if not await lock.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
                raise StartError("another rebuilding is running")
            try:
                return await self._run(progress)
            finally:
                await lock.execute("SELECT pg_advisory_unlock($1)", LOCK)

    async def _run(self, progress: Progress) -> Rebuilt:
        windows = await self._windows()
        tallies = [(one, await self._tally(one)) for one in windows]
        await self._clear(windows)
        await self._streams()
        wallets = await restore_wallets(self._client, self._pool, self._organisation, len(self._shards))
        keeper = BookKeeper(self._client, self._shards)
        try:
            await fill(self._pool, self._organisation, keeper, windows, progress)
        finally:
            await keeper.close()
        for one, rows in tallies:
            await self._tallies(one, rows)
        stage = await self._stage(windows)
        await self._client.set(self._stage_keys.state, msgspec.json.encode(stage))
        for one in windows:
            await self._gates(one, stage)
        window_id = stage.window.window_id if stage.window else ""
        return Rebuilt(
            len(windows), keeper.votes, keeper.unplaced, wallets, stage.voting if stage.show else "", window_id,
            stage.revision,
        )

    # --- out of the ledger ------------------------------------------------------------------------------------

    async def _windows(self) -> list[Known]:
        rows = await self._pool.fetch(
            statement("windows", PACKAGE), self._organisation, moment(max(0, self._now_ms - KEPT_MS))
        )
        return [await self._known(row) for row in rows]

    async def _known(self, row: Any) -> Known:
        people = tuple(msgspec.json.decode(row["contestants"], type=list[ContestantInfo]))
        ruleset = Ruleset(
            row["ruleset"], row["rules_hash"], msgspec.json.decode(row["rules"]), canonical=row["rules_text"],
            rounds=msgspec.json.decode(row["rules_text"] or "{}").get("rounds") or 0,
        )
        window = Window(
            str(row["window_id"]), _ms(row["opens_at"]), _ms(row["closes_at"]), _ms(row["hard_closes_at"]), ruleset,
            people, warned=True, round=row["round"], visibility=row["visibility"],
        )
        show = Show(
            row["show_id"], row["episode"], row["title"], row["episode_ref"], people, row["timezone"], row["rehearsal"]
        )
        winners = await self._pool.fetch(
            statement("winners", PACKAGE), self._organisation, row["season"]
        ) if row["season"] else []
        return Known(show, window, _result(row), row["released"], row["season"], tuple(
            SlotWinner(one["slot"], str(one["window_id"]), one["contestant_id"], one["score"], one["decided_by"])
            for one in winners
        ))

    async def _tally(self, one: Known) -> list[Any]:
        rows: list[Any] = await self._pool.fetch(
            statement("tallies", PACKAGE), self._organisation, one.window.window_id, one.show.episode_ref
        )
        if any(row["shard"] >= len(self._shards) for row in rows):
            raise StartError(
                f"there are votes of more than {len(self._shards)} shards; set voting.shards as it was", exit_code=2
            )
        return rows

    async def _stage(self, windows: Sequence[Known]) -> Stage:
        cues = [
            Cue(row["event"], msgspec.json.decode(row["data"]), _ms(row["executed_at"]), row["revision"])
            for row in await self._pool.fetch(statement("cues", PACKAGE), self._organisation)
        ]
        show = None
        if cues and cues[0].event == "SHOW_START" and all(cue.event != "SHOW_END" for cue in cues):
            data = cues[0].data
            show = await Catalogue(self._pool, self._organisation).find(data["showId"], data["episode"])
            show = show and replace(show, rehearsal=bool(data.get("rehearsal")))
        return stage_of(self._organisation, show, windows[-1] if windows else None, cues, self._now_ms)

    # --- into the engine --------------------------------------------------------------------------------------

    async def _clear(self, windows: Sequence[Known]) -> None:
        """Takes away what will be made anew; gates first, so that no vote is taken meanwhile."""
        for keys in self._shards:
            for one in windows:
                window = one.window.window_id
                await self._client.delete(keys.gate(window))
                await self._client.delete(keys.tally(window), keys.voided(window), keys.voided_ids(window))
                await self._client.delete(keys.types(window), keys.voters(window))
            await self._client.delete(keys.stream)
        await self._client.delete(self._stage_keys.state)

    async def _streams(self) -> None:
        """Empty streams that go on after what the ledger has, however the engine's clock stands."""
        marks = await watermarks(self._pool, self._organisation)
        for keys in self._shards:
            mark = marks.get(keys.stream, StreamId(0, 0))
            if mark > StreamId(0, 0):
                await self._client.xadd(keys.stream, {"k": "r"}, id=str(mark))
                await self._client.xdel(keys.stream, str(mark))
                await self._client.set(keys.trimmed, str(mark))

    async def _tallies(self, one: Known, rows: Sequence[Any]) -> None:
        window = one.window
        voided = await self._pool.fetch(statement("voided_ids", PACKAGE), self._organisation, window.window_id)
        ends_ms = window.hard_closes_ms + KEPT_MS
        for keys in self._shards:
            mine = [row for row in rows if row["shard"] == keys.shard]
            tally = added([{row["contestant_id"]: row["votes"] - row["voided"]} for row in mine])
            types = added([{row["vote_type"]: row["votes"] - row["voided"]} for row in mine])
            gone = added([{row["contestant_id"]: row["voided"]} for row in mine if row["voided"]])
            ids = [str(row["vote_id"]) for row in voided if row["shard"] == keys.shard]
            async with self._client.pipeline(transaction=True) as pipe:
                counted: tuple[tuple[str, dict[Any, Any]], ...] = (
                    (keys.tally(window.window_id), tally), (keys.types(window.window_id), types),
                    (keys.voided(window.window_id), gone),
                )
                for key, counts in counted:
                    if counts:
                        pipe.hset(key, mapping=counts)
                        pipe.pexpireat(key, ends_ms)
                pipe.pexpireat(keys.voters(window.window_id), ends_ms)
                if ids:
                    pipe.sadd(keys.voided_ids(window.window_id), *ids)
                    pipe.pexpireat(keys.voided_ids(window.window_id), ends_ms)
                await pipe.execute()

    async def _gates(self, one: Known, stage: Stage) -> None:
        """A gate is open exactly if the stage's window is not settled; its times then decide what is still taken."""
        current = stage.window if stage.window and stage.window.window_id == one.window.window_id else None
        window = current or one.window
        shut = current is None or stage.voting == "CLOSED"
        fences = {fence["shard"]: fence["lastId"] for fence in one.result.certificate["fences"]} if one.result else {}
        for keys in self._shards:
            fields: dict[Any, Any] = {
                "state": "shut" if shut else "open", "opensMs": window.opens_ms, "hardClosesMs": window.hard_closes_ms,
                "revision": stage.revision, "opened": "0-0",
            }
            if keys.shard in fences:
                fields["fence"] = fences[keys.shard]
            gate, refused = keys.gate(window.window_id), keys.refused(window.window_id)
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.hincrby(refused, "VOTING_ENDED", 0)
                pipe.hset(gate, mapping=fields)
                pipe.pexpireat(gate, window.hard_closes_ms + KEPT_MS)
                pipe.pexpireat(refused, window.hard_closes_ms + KEPT_MS)
                await pipe.execute()


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _result(row: Any) -> ResultsReady | None:
    if row["results"] is None:
        return None
    return ResultsReady(
        str(row["window_id"]), msgspec.json.decode(row["results"], type=list[BoardRow]), row["total_votes"],
        row["certified"], row["ledger_total"], msgspec.json.decode(row["certificate"]),
    )
