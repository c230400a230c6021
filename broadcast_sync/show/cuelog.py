"""Cue records on their way from the stream to the table `cue_log`, and the last of them for consoles.

The copier may be killed anywhere: it starts again from the oldest record still in the stream, and a record that
is in the table stays as it is. The stream is trimmed only behind what the table has.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any, Final

import asyncpg
import msgspec
import structlog
from redis.asyncio import Redis

from broadcast_sync.bus.connect import heed_cancellation
from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.show.cues import CueRecord
from broadcast_sync.show.outages import ENGINE_ERRORS, Outage
from broadcast_sync.wire.server import CueLogRow

log = structlog.get_logger()

KEPT: Final = 1_000
"""Records left in the stream for consoles."""
BATCH: Final = 500
POLL_S: Final = 0.5
_INT32: Final = 2**31 - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INSERT: Final = files("broadcast_sync.show").joinpath("sql", "insert_cue.sql").read_text("utf-8")

_record = msgspec.json.Decoder(CueRecord)


class CueLog:
    """One organisation's cue log. Client and pool are the caller's."""

    def __init__(self, client: Redis, keys: StageKeys, pool: asyncpg.Pool, organisation: str) -> None:
        self._client = client
        self._keys = keys
        self._pool = pool
        self._organisation = organisation

    async def recent(self, count: int) -> list[CueLogRow]:
        """The last `count` cues, newest first. Engine errors pass through."""
        entries: Any = await self._client.xrevrange(self._keys.cues, count=count)
        return [_record.decode(fields[b"m"]).row() for _, fields in entries]

    async def run(self) -> None:
        """Copies records as they come, until cancelled. Engine errors are waited out: records stay in the stream.
        Meant for the director; a second copier would do no harm."""
        outage = Outage("cue-log")
        after = "-"
        while True:
            heed_cancellation()
            try:
                copied, last = await self.copy(after)
                outage.over()
                after = f"({last}" if last else after
                if copied == 0:
                    await asyncio.sleep(POLL_S)
                else:
                    await self._trim(last)
            except ENGINE_ERRORS as error:
                await asyncio.sleep(outage.failed(error))

    async def copy(self, after: str = "-") -> tuple[int, str]:
        """Copies one batch from stream id `after` on (`(` before it excludes it). Returns how many records it
        read and the last one's id, empty if there was none. Engine errors pass through."""
        entries: Any = await self._client.xrange(self._keys.cues, min=after, count=BATCH)
        if not entries:
            return 0, ""
        rows = [self._row(stream_id.decode(), _record.decode(fields[b"m"])) for stream_id, fields in entries]
        async with self._pool.acquire() as connection:
            await connection.executemany(_INSERT, rows)
        return len(rows), rows[-1][1]

    async def _trim(self, last: str) -> None:
        """Leaves `KEPT` records before `last`, which is in the table, and all after it."""
        if await self._client.xlen(self._keys.cues) <= KEPT + BATCH:
            return
        kept: Any = await self._client.xrevrange(self._keys.cues, max=last, count=KEPT)
        if len(kept) == KEPT:
            await self._client.xtrim(self._keys.cues, minid=kept[-1][0], approximate=True)

    def _row(self, stream_id: str, record: CueRecord) -> tuple[Any, ...]:
        executed = None if record.executed_ms is None else _moment(record.executed_ms)
        return (
            self._organisation, stream_id, _clean(record.show_id), _clean(record.cue_id), _clean(record.event),
            _clean(record.by), _moment(record.asked_ms), executed, record.outcome, _clean(record.message),
            record.revision, max(-_INT32, min(_INT32, record.lateness_ms)), _clean(record.timecode),
            # PostgreSQL stores no NUL; an operator's console may send one
            bytes(record.data).decode("utf-8", "replace").replace("\\u0000", "\\ufffd"),
            record.mode, None if record.due_ms is None else _moment(record.due_ms),
        )


def _clean(text: str) -> str:
    return text.replace("\0", "\ufffd")


def _moment(ms: int) -> datetime:
    """Not fromtimestamp: a console may claim to have asked in the year 1."""
    return _EPOCH + timedelta(milliseconds=ms)
