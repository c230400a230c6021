from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.errors import Refusal
from broadcast_sync.show.machine import asking_events, decide, legal_events
from broadcast_sync.show.model import Stage
from broadcast_sync.show.orders import (
    Certify,
    CloseByTimer,
    CloseVoting,
    Command,
    EndPerformance,
    EndShow,
    ExtendVoting,
    ReleaseResults,
    StartPerformance,
    StartShow,
    Warn,
)
from broadcast_sync.show.outcome import RELEASES_KEPT
from tests.support.stages import NOW, SHOW, after, on_air, open_voting, results_of, types

EMPTY = Stage("default")


def refused(stage: Stage, command: Command, now_ms: int = NOW) -> str:
    with pytest.raises(Refusal) as caught:
        decide(stage, command, now_ms)
    assert caught.value.code == "CUE_REJECTED"
    return caught.value.message


def opened(**how: Any) -> Stage:
    return after(on_air(), open_voting(**how))


def closed(release: bool = False) -> Stage:
    closing = after(opened(), CloseByTimer("w1"), NOW + 90_000)
    return after(closing, Certify(results_of("w1"), release), NOW + 97_000)


def test_a_show_from_start_to_end_says_each_thing_once() -> None:
    said = []
    stage, now = EMPTY, NOW
    for seconds, command in [
        (0, StartShow(SHOW)),
        (1, StartPerformance("c01", "Song")),
        (0, open_voting(90)),
        (5, EndPerformance("c01")),
        (30, Warn("w1")),
        (55, CloseByTimer("w1")),
        (10, Certify(results_of("w1"), False)),
        (1, ReleaseResults()),
        (1, EndShow()),
    ]:
        now += seconds * 1000
        decision = decide(stage, command, now)
        assert decision.stage.revision == stage.revision + 1
        stage = decision.stage
        said.append(types(decision.events))
    assert [names[0] for names in said] == [
        "STATE_UPDATE", "STATE_UPDATE", "VOTING_OPEN", "STATE_UPDATE", "WARNING", "VOTING_CLOSED", "STATE_UPDATE",
        "RESULTS_READY", "STATE_UPDATE",
    ]
    assert all(names[-1] == "STATE_UPDATE" for names in said)
    assert (stage.show, stage.performance, stage.voting, stage.window) == (None, None, "IDLE", None)


def test_a_second_show_is_refused_and_so_is_the_same_again() -> None:
    assert "on air already" in refused(on_air(), StartShow(SHOW))


def test_without_a_show_nothing_else_begins() -> None:
    for command in (open_voting(), StartPerformance("c01"), EndPerformance(), ReleaseResults(), EndShow()):
        assert refused(EMPTY, command) == "No show is on air."


def test_performances_take_turns_and_go_on_while_voting_is_open() -> None:
    stage = after(opened(), StartPerformance("c02", "Song"))
    assert stage.performance is not None and stage.performance.started_ms == NOW
    assert "c02 has not ended" in refused(stage, StartPerformance("c01"))
    assert "that of c02" in refused(stage, EndPerformance("c01"))
    assert after(stage, EndPerformance()).performance is None
    assert "no contestant nobody" in refused(on_air(), StartPerformance("nobody"))


def test_the_window_has_its_times_and_its_line_up() -> None:
    decision = decide(on_air(), open_voting(90, grace_ms=5_000), NOW)
    window = decision.stage.window
    assert window is not None
    assert (window.opens_ms, window.closes_ms, window.hard_closes_ms) == (NOW, NOW + 90_000, NOW + 95_000)
    assert [person.status for person in window.contestants] == ["active", "active", "eliminated"]
    said: Any = decision.events[0]
    assert (said.state, said.episode, said.rules_hash, said.closes_at[-1]) == ("OPEN", 1, "hash", "Z")


def test_a_window_may_be_of_some_contestants_but_not_of_none() -> None:
    window = opened(contestants=("c02", "c03")).window
    assert window is not None and [person.id for person in window.contestants] == ["c02", "c03"]
    assert "no contestant c99" in refused(on_air(), open_voting(contestants=("c01", "c99")))
    for nobody in ((), ("c03",)):
        assert "nobody to vote for" in refused(on_air(), open_voting(contestants=nobody))


@pytest.mark.parametrize("bad", [0, -1, 86_401, 10**9, 10**30, True, 1.5, 60.0, "60", None])
def test_durations_are_whole_seconds_of_a_day(bad: object) -> None:
    assert "from 1 to 86400" in refused(on_air(), open_voting(bad))
    assert "from 1 to 86400" in refused(opened(), ExtendVoting(bad))


def test_an_open_window_is_not_opened_again() -> None:
    assert refused(opened(), open_voting()) == "Voting is already open until 11:08:10 UTC."
    closing = after(opened(), CloseVoting(), NOW + 1_000)
    assert "still being counted" in refused(closing, open_voting())


def test_an_extension_moves_both_closes_within_a_day() -> None:
    window = after(opened(), ExtendVoting(60), NOW + 1_000).window
    assert window is not None
    assert (window.closes_ms, window.hard_closes_ms) == (NOW + 150_000, NOW + 155_000)
    assert "24 hours" in refused(opened(duration_s=86_400), ExtendVoting(1))
    assert "ended" in refused(opened(), ExtendVoting(60), NOW + 90_000)
    assert "not open" in refused(on_air(), ExtendVoting(60))


def test_a_cue_closes_now_and_keeps_the_grace() -> None:
    decision = decide(opened(), CloseVoting(), NOW + 10_000)
    window = decision.stage.window
    assert window is not None
    assert (window.closes_ms, window.hard_closes_ms, window.reason) == (NOW + 10_000, NOW + 15_000, "CUE")
    assert "has closed" in refused(decision.stage, CloseVoting())


def test_a_late_cue_does_not_make_the_window_longer() -> None:
    window = after(opened(), CloseVoting(), NOW + 95_000).window
    assert window is not None and window.closes_ms == NOW + 90_000


def test_the_timer_closes_at_the_announced_time_and_only_its_own_window() -> None:
    assert "open until" in refused(opened(), CloseByTimer("w1"), NOW + 89_999)
    assert "open until" in refused(opened(), CloseByTimer("w0"), NOW + 90_000)
    decision = decide(opened(), CloseByTimer("w1"), NOW + 90_700)
    said: Any = decision.events[0]
    assert said.reason == "TIMER" and decision.stage.window is not None
    assert decision.stage.window.closes_ms == NOW + 90_000


def test_a_result_is_taken_for_its_window_after_the_hard_close() -> None:
    closing = after(opened(), CloseByTimer("w1"), NOW + 90_000)
    assert "Votes are taken until" in refused(closing, Certify(results_of("w1"), True), NOW + 94_999)
    assert "No window" in refused(closing, Certify(results_of("w0"), True), NOW + 97_000)
    assert "No window" in refused(closed(), Certify(results_of("w1"), True), NOW + 97_000)
    assert types(decide(closing, Certify(results_of("w1"), True), NOW + 97_000).events)[0] == "RESULTS_READY"


@pytest.mark.parametrize("auto", [True, False])
def test_results_are_released_by_cue_once(auto: bool) -> None:
    stage = closed(release=auto)
    assert stage.released is auto
    decision = decide(stage, ReleaseResults(), NOW)
    assert types(decision.events) == ["RESULTS_READY", "STATE_UPDATE"] and decision.stage.released
    assert "already" in refused(decision.stage, ReleaseResults())
    assert "takes two people" in refused(opened(), ReleaseResults())


def test_a_show_does_not_end_under_a_vote() -> None:
    assert "close it first" in refused(opened(), EndShow())
    assert "being counted" in refused(after(opened(), CloseVoting()), EndShow())


def test_a_new_window_replaces_the_last_and_its_result() -> None:
    stage = after(closed(release=True), open_voting(window_id="w2"))
    assert (stage.results, stage.released, stage.window and stage.window.window_id) == (None, False, "w2")


def test_the_legal_events_of_each_state() -> None:
    always = ("TIMECODE_SET", "VOID")
    assert legal_events(EMPTY) == ("SHOW_START", *always)
    assert legal_events(on_air()) == ("PERFORMANCE_START", "VOTING_OPEN", "SHOW_END", *always)
    assert legal_events(opened()) == (
        "PERFORMANCE_START", "VOTING_EXTEND", "VOTING_CLOSE", "RESULTS_RELEASE", *always
    )
    assert legal_events(after(opened(), CloseVoting())) == ("PERFORMANCE_START", "RESULTS_RELEASE", *always)
    assert legal_events(closed()) == ("PERFORMANCE_START", "VOTING_OPEN", "RESULTS_RELEASE", "SHOW_END", *always)


def test_what_a_second_person_would_have_to_confirm() -> None:
    assert asking_events(on_air(), 300) == ("VOID",)
    assert asking_events(opened(), 300) == ("RESULTS_RELEASE", "VOID")
    assert asking_events(opened(), 0) == ("VOTING_EXTEND", "RESULTS_RELEASE", "VOID")
    extended = after(opened(), ExtendVoting(300, 300))
    assert asking_events(extended, 300) == ("VOTING_EXTEND", "RESULTS_RELEASE", "VOID")
    assert asking_events(after(opened(), CloseVoting()), 300) == ("RESULTS_RELEASE", "VOID")
    assert asking_events(closed(), 300) == ("VOID",)


@given(st.integers(1, 86_400), st.integers(0, 60_000))
def test_any_window_closes_when_it_said(duration_s: int, grace_ms: int) -> None:
    stage = opened(duration_s=duration_s, grace_ms=grace_ms)
    closes = NOW + duration_s * 1000
    window = after(stage, CloseByTimer("w1"), closes).window
    assert window is not None and (window.closes_ms, window.hard_closes_ms) == (closes, closes + grace_ms)


def test_what_was_released_is_remembered_beyond_the_show_and_in_bounds() -> None:
    stage = after(closed(), ReleaseResults(), NOW + 98_000)
    assert stage.lately_released == ("w1",)
    stage = after(after(stage, EndShow()), StartShow(SHOW))
    assert stage.lately_released == ("w1",)
    for number in range(2, RELEASES_KEPT + 4):
        stage = after(stage, open_voting(60, f"w{number}"))
        stage = after(stage, CloseByTimer(f"w{number}"), NOW + 60_000)
        stage = after(stage, Certify(results_of(f"w{number}"), True), NOW + 70_000)
    assert stage.lately_released == tuple(f"w{number}" for number in range(4, RELEASES_KEPT + 4))
    withheld = after(after(stage, open_voting(60, "w99")), CloseByTimer("w99"), NOW + 60_000)
    withheld = after(withheld, Certify(results_of("w99"), False), NOW + 70_000)
    assert withheld.lately_released == stage.lately_released
