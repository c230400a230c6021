from __future__ import annotations

from msgspec.structs import asdict

from broadcast_sync.control.flat import flat, text
from broadcast_sync.show.model import Stage
from broadcast_sync.wire.server import (
    ArmedInfo,
    ClockInfo,
    CueLogRow,
    NodeInfo,
    PendingInfo,
    RundownInfo,
    Tally,
)
from broadcast_sync.wire.times import iso
from tests.support.stages import NOW, after, on_air, open_voting

OPEN = after(on_air(), open_voting(60))
EMPTY = Tally(0, "IDLE", 0, 1.0, 0.0, 0, "PENDING", [], 0, False, [])
FULL = Tally(
    8, "OPEN", 200, 0.99, 12.5, 3, "EQUAL", ["VOTING_CLOSE", "VOTING_EXTEND"], 2000, True,
    [CueLogRow("VOTING_OPEN#3", "VOTING_OPEN", "companion", iso(NOW), "CUE_REJECTED", 8, 3, "take", "No.\nReally.")],
    armed=[ArmedInfo(f"q{n}", "VOTING_CLOSE", iso(NOW + n * 1_500), "", n * 1_500, "anna") for n in range(1, 5)],
    pending=[PendingInfo("q9", "VOTING_EXTEND", "anna", iso(NOW + 60_000), {})],
    rundown=RundownInfo("Live Show 1", []), rehearsal=True, acked=0.5,
    nodes=[NodeInfo("a", 100, 1.0, 1.0, True, 0.0), NodeInfo("b", 100, 0.98, 0.0, False, 3.0)],
    clock=ClockInfo(-1.5, True, 900, 60_000), last_lateness_ms=7, asks=["VOTING_EXTEND"],
)


def test_everything_has_its_key() -> None:
    made = asdict(flat(FULL, OPEN, NOW + 500))
    assert {type(value) for value in made.values()} == {str, int, float}
    assert made.items() >= {
        "state": "OPEN", "remaining_s": 60, "show": "demo", "rehearsal": 1, "revision": 8,
        "legal": "VOTING_CLOSE VOTING_EXTEND", "asks": "VOTING_EXTEND",
        "sent_share": 0.99, "acked_share": 0.5, "degraded": 1, "nodes": 2,
        "nodes_degraded": 1, "clock_offset_ms": -1.5, "clock_healthy": 1, "clock_held_ms": 60_000,
        "last_cue": "VOTING_OPEN",
        "last_cue_id": "VOTING_OPEN#3", "last_cue_outcome": "CUE_REJECTED", "last_lateness_ms": 7,
        "rundown": "Live Show 1", "armed_count": 4, "armed_1_event": "VOTING_CLOSE", "armed_1_in_s": 1,
        "armed_3_cue_id": "q3", "armed_3_in_s": 4, "pending_count": 1, "pending_1_by": "anna", "pending_1_in_s": 60,
    }.items()


def test_the_keys_are_the_same_when_there_is_nothing_to_say() -> None:
    made = asdict(flat(EMPTY, Stage("default"), NOW))
    assert made.keys() == asdict(flat(FULL, OPEN, NOW)).keys()
    assert {made[key] for key in ("remaining_s", "episode", "armed_1_in_s", "last_lateness_ms", "pending_count")} == {0}
    assert {made[key] for key in ("closes_at", "show", "last_cue", "rundown", "armed_1_event")} == {""}


def test_time_that_is_over_is_not_negative() -> None:
    made = flat(FULL, OPEN, NOW + 3_600_000)
    assert (made.remaining_s, made.armed_1_in_s, made.pending_1_in_s) == (0, 0, 0)


def test_as_text_each_key_has_one_line() -> None:
    made = flat(FULL, OPEN, NOW)
    lines = text(made).splitlines()
    assert len(lines) == len(asdict(made)) and "last_cue_message=No. Really." in lines
