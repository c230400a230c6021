from __future__ import annotations

from random import Random

from msgspec.structs import replace

from broadcast_sync.wire.server import ContestantInfo, PerformanceInfo, ShowInfo, StateUpdate, WindowInfo
from clients.load.operator import (
    APPLAUSE_S,
    BREATH_S,
    HANDS_OFF_S,
    PERFORMANCES,
    RELEASE_S,
    SONG_S,
    SONGS,
    Cue,
    Operator,
    Wait,
)

NOW = "2026-11-21T20:15:00.123Z"
LINE_UP = [ContestantInfo(f"c{n:02d}", n, f"Name {n}", "", "active" if n < 6 else "eliminated") for n in range(1, 8)]
OFF_AIR = StateUpdate(None, None, "IDLE", None, 1, False, False, [])
ON_AIR = replace(OFF_AIR, show=ShowInfo("demo", 1, "Demo", True), contestants=LINE_UP)
WINDOW = WindowInfo("w1", "OPEN", NOW, NOW, NOW, 1, "h", {}, LINE_UP)


def operator() -> Operator:
    return Operator("demo", 1, 90, Random(1))


def performing(song: str, at: str = NOW) -> StateUpdate:
    return replace(ON_AIR, performance=PerformanceInfo("c01", song, at))


def test_a_whole_round() -> None:
    ours, now = operator(), 100.0
    assert ours.next(OFF_AIR, now) == Cue("SHOW_START", {"showId": "demo", "episode": 1, "rehearsal": True})
    seen: set[str] = set()
    for number in range(PERFORMANCES):
        start = ours.next(ON_AIR, now)
        if number:
            assert isinstance(start, Wait)
            now += BREATH_S
            start = ours.next(ON_AIR, now)
        assert isinstance(start, Cue) and start.event == "PERFORMANCE_START"
        seen.add(start.data["contestantId"])
        stage = performing(start.data["songName"], f"{number}")
        assert isinstance(ours.next(stage, now), Wait)
        now += SONG_S
        assert ours.next(stage, now) == Cue("PERFORMANCE_END", {"contestantId": "c01"})
    assert len(seen) == PERFORMANCES and seen <= {"c01", "c02", "c03", "c04", "c05"}
    assert isinstance(ours.next(ON_AIR, now), Wait)
    now += BREATH_S
    assert ours.next(ON_AIR, now) == Cue("VOTING_OPEN", {"duration": 90})
    for voting in ("OPEN", "CLOSING"):
        assert isinstance(ours.next(replace(ON_AIR, voting=voting, window=WINDOW), now), Wait)
    held = replace(ON_AIR, voting="CLOSED", window=WINDOW)
    assert isinstance(ours.next(held, now), Wait)
    assert ours.next(held, now + RELEASE_S) == Cue("RESULTS_RELEASE", {})
    out = replace(held, results_released=True)
    assert ours.next(out, now) == Wait(APPLAUSE_S)
    again = ours.next(out, now + APPLAUSE_S)
    assert isinstance(again, Cue) and again.event == "PERFORMANCE_START"


def test_it_starts_in_the_middle() -> None:
    assert isinstance(operator().next(replace(ON_AIR, voting="OPEN", window=WINDOW), 5.0), Wait)
    ours = operator()
    left_behind = performing(SONGS[0])
    assert isinstance(ours.next(left_behind, 5.0), Wait)
    assert ours.next(left_behind, 5.0 + SONG_S) == Cue("PERFORMANCE_END", {"contestantId": "c01"})


def test_it_leaves_somebody_elses_performance_alone() -> None:
    ours = operator()
    for now in (1.0, 1_000.0):
        waits = ours.next(performing("A song of theirs"), now)
        assert isinstance(waits, Wait) and waits.why


def test_it_keeps_its_hands_off_after_a_refusal_and_after_somebody_ended_the_show() -> None:
    ours = operator()
    ours.refused(10.0)
    assert ours.next(OFF_AIR, 11.0) == Wait(HANDS_OFF_S - 1.0)
    assert isinstance(ours.next(OFF_AIR, 10.0 + HANDS_OFF_S), Cue)
    ours.next(ON_AIR, 30.0)
    assert ours.next(OFF_AIR, 40.0) == Wait(HANDS_OFF_S)
    assert isinstance(ours.next(OFF_AIR, 40.0 + HANDS_OFF_S), Cue)


def test_a_real_show_is_left_alone() -> None:
    real = replace(ON_AIR, show=ShowInfo("demo", 1, "Demo"))
    for state in (real, replace(real, voting="OPEN", window=WINDOW), replace(real, voting="CLOSED", window=WINDOW)):
        action = operator().next(state, 100.0)
        assert isinstance(action, Wait) and "real show" in action.why
