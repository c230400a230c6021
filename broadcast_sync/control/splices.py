"""Which cue a splice information section asks for, by the table `[scte35] map`. Pure.

The same event again is the same cue: its cueId is made of the event's id, the command and what the command says
(out or in, the segmentation's type), since a break's two ends share one id.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from broadcast_sync.control.scte35 import PTS_BITS, Splice
from broadcast_sync.errors import Refusal, SettingsError
from broadcast_sync.settings import SpliceRow
from broadcast_sync.show.cues import event_data
from broadcast_sync.wire.client import CueMessage
from broadcast_sync.wire.times import iso

TICKS_PER_MS: Final = 90
HALF: Final = 1 << (PTS_BITS - 1)
"""A splice time further ahead than this has passed: the counter wraps after 26.5 hours."""


def check_rows(rows: Sequence[SpliceRow]) -> None:
    """Raises SettingsError for a row that could never fit, or whose cue would always be refused."""
    for index, row in enumerate(rows):
        strange = "segmentation_type" if row.command == "splice_insert" else "out"
        if getattr(row, strange) is not None:
            raise SettingsError(f"scte35.map[{index}].{strange}: {row.command} has none")
        try:
            event_data(row.event, row.data)
        except Refusal as refusal:
            raise SettingsError(f"scte35.map[{index}]: {refusal.message}") from None


def cue_of(splice: Splice, rows: Sequence[SpliceRow], pts: int | None, now_ms: int) -> CueMessage:
    """The cue of the first row that fits, armed for the splice's time if `pts`, the time of the stream at `now_ms`,
    says that it is to come; else taken at once. Raises Refusal UNSUPPORTED if no row fits."""
    for row in rows:
        asked = row.out if splice.command == "splice_insert" else row.segmentation_type
        for said, cue_id in _said(splice):
            if row.command == splice.command and asked in (None, said):
                return _timed(CueMessage(row.event, cue_id=cue_id, data=row.data), splice, pts, now_ms)
    raise Refusal("UNSUPPORTED", f"No row of scte35.map fits {_words(splice)}.")


def cancelled(splice: Splice) -> str | None:
    """What the cueIds begin with that a cancellation is about; None if it is none."""
    if splice.cancel:
        return _prefix(splice, splice.event_id or 0)
    ids = [one.event_id for one in splice.segmentations if one.cancel]
    return _prefix(splice, ids[0]) if ids else None


def _said(splice: Splice) -> Iterator[tuple[bool | int, str]]:
    """What a row may ask for, with the cueId of that."""
    if splice.command == "splice_insert":
        yield splice.out, f"{_prefix(splice, splice.event_id or 0)}{'out' if splice.out else 'in'}"
    else:
        for one in splice.segmentations:
            yield one.type_id, f"{_prefix(splice, one.event_id)}{one.type_id:02x}"


def _prefix(splice: Splice, event_id: int) -> str:
    return f"scte35:{event_id:08x}:{splice.command}:"


def _words(splice: Splice) -> str:
    if splice.command == "splice_insert":
        return f"splice_insert {'out' if splice.out else 'in'}"
    types = ", ".join(f"0x{one.type_id:02X}" for one in splice.segmentations)
    return f"time_signal of segmentation type {types}" if types else "time_signal without a segmentation"


def _timed(cue: CueMessage, splice: Splice, pts: int | None, now_ms: int) -> CueMessage:
    if pts is None or splice.pts is None or splice.immediate:
        return cue
    ticks = (splice.pts - pts) % (1 << PTS_BITS)
    at_ms = now_ms + (ticks - (1 << PTS_BITS) if ticks >= HALF else ticks) // TICKS_PER_MS
    return CueMessage(
        cue.event, cue_id=cue.cue_id, timestamp=iso(at_ms), data=cue.data, mode="arm" if at_ms > now_ms else "take"
    )
