from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from broadcast_sync.errors import Refusal
from broadcast_sync.show.arming import AHEAD_MS, ARMED_MOST, PENDING_MOST, takes_two
from broadcast_sync.show.machine import decide, legal_events
from broadcast_sync.show.model import ApprovedVoid, ArmedCue, PendingCue, Stage, VoidRequest
from broadcast_sync.show.orders import (
    Arm,
    Ask,
    Cancel,
    Certify,
    CloseVoting,
    Command,
    Confirm,
    DropArmed,
    EndShow,
    ExpirePending,
    ExtendVoting,
    FinishVoid,
    ReleaseResults,
    SetReference,
    StartPerformance,
    StartShow,
    TakeArmed,
    VoidVotes,
)
from broadcast_sync.show.timecode import Reference
from broadcast_sync.show.views import state_update
from broadcast_sync.wire.server import ShowInfo
from results.releases import released_now
from tests.support.stages import NOW, ROUNDS, SHOW, after, on_air, open_voting, results_of, types

SING = StartPerformance("c01")
REFERENCE = Reference("20:00:00:00", NOW, "25")


def cue(cue_id: str = "q1", in_ms: int = 1_000, timecode: str = "") -> ArmedCue:
    return ArmedCue(cue_id, "PERFORMANCE_START", NOW + in_ms, "anna", NOW, timecode, {"contestantId": "c01"})


def armed(*cues: ArmedCue, rundown: str = "") -> Stage:
    return after(on_air(), Arm(cues or (cue(),), rundown))


def pending(cue_id: str = "p1", by: str = "anna") -> PendingCue:
    return PendingCue(cue_id, "VOTING_EXTEND", by, NOW, NOW + 60_000, {"seconds": 600})


def void(approved_by: str = "") -> VoidVotes:
    return VoidVotes(ApprovedVoid("v1", VoidRequest("bots", ("id1",)), "anna", approved_by, 0))


def refused(stage: Stage, command: Command, now_ms: int = NOW) -> str:
    with pytest.raises(Refusal) as caught:
        decide(stage, command, now_ms)
    assert caught.value.code == "CUE_REJECTED"
    return caught.value.message


def test_armed_cues_stand_in_the_order_of_their_time() -> None:
    stage = armed(cue("late", 9_000), cue("soon", 1_000), cue("soon2", 1_000))
    assert [one.cue_id for one in stage.armed] == ["soon", "soon2", "late"]
    assert stage.performance is None


@pytest.mark.parametrize(
    ("cues", "why"),
    [
        ((cue("a"), cue("a")), "armed already"), ((cue("q1"),), "armed already"), ((cue("a", 0),), "has passed"),
        ((cue("a", AHEAD_MS + 1),), "more than a week"),
        (tuple(cue(f"c{number}") for number in range(ARMED_MOST)), "No more than 100"),
    ],
)
def test_what_cannot_be_armed_leaves_everything_as_it_was(cues: tuple[ArmedCue, ...], why: str) -> None:
    assert why in refused(armed(), Arm(cues))


def test_taking_is_effect_and_removal_in_one() -> None:
    stage = after(armed(), TakeArmed("q1", SING), NOW + 1_000)
    assert stage.armed == () and stage.performance is not None and stage.performance.started_ms == NOW + 1_000
    assert "No cue q1 is armed" in refused(stage, TakeArmed("q1", SING))


def test_an_armed_cue_that_is_illegal_is_refused_and_can_be_dropped() -> None:
    stage = after(armed(), SING)
    assert "has not ended" in refused(stage, TakeArmed("q1", SING), NOW + 1_000)
    assert after(stage, DropArmed("q1")).armed == ()


def test_a_cancelled_cue_is_gone() -> None:
    stage = after(armed(), Cancel("q1"))
    assert stage.armed == () and "No cue q1" in refused(stage, Cancel("q1"))


def test_the_end_of_the_show_disarms_what_was_for_it() -> None:
    stage = after(armed(cue("a"), rundown="one"), EndShow())
    assert stage.armed == () and stage.rundown is not None
    assert [item.state for item in stage.rundown.items] == ["cancelled"]


def test_what_is_armed_before_the_show_stays() -> None:
    stage = after(Stage("default"), SetReference(REFERENCE))
    stage = after(after(stage, Arm((cue(),))), StartShow(SHOW))
    assert [one.cue_id for one in stage.armed] == ["q1"] and stage.reference == REFERENCE


def test_a_rundown_tells_what_became_of_its_cues_and_gives_way_to_the_next() -> None:
    stage = armed(cue("a"), cue("b", 2_000), cue("c", 3_000), rundown="one")
    stage = after(after(stage, TakeArmed("a", SING), NOW + 1_000), Cancel("b"))
    assert stage.rundown is not None
    assert [item.state for item in stage.rundown.items] == ["taken", "cancelled", "armed"]
    stage = after(after(stage, Arm((cue("own", 9_000),))), Arm((cue("c", 5_000), cue("d", 6_000)), "two"))
    assert [one.cue_id for one in stage.armed] == ["c", "d", "own"] and stage.rundown is not None
    assert (stage.rundown.name, [item.cue_id for item in stage.rundown.items]) == ("two", ["c", "d"])


def test_labels_move_with_their_reference() -> None:
    stage = after(on_air(), SetReference(REFERENCE))
    stage = after(stage, Arm((cue("l", 1_000, "20:00:01:00"), cue("t", 1_500)), "one"))
    moved = after(stage, SetReference(Reference("20:00:00:00", NOW + 4_000, "25")))
    assert [(one.cue_id, one.at_ms - NOW) for one in moved.armed] == [("t", 1_500), ("l", 5_000)]
    assert moved.rundown is not None and moved.rundown.items[0].at_ms == NOW + 5_000
    with pytest.raises(Refusal) as caught:
        decide(stage, SetReference(Reference("20:00:00;00", NOW, "29.97df")), NOW)
    assert caught.value.code == "TIMECODE_INVALID"


def opened() -> Stage:
    return after(on_air(), open_voting(window_id="w1"))


def closed(certified: bool = True, stage: Stage | None = None) -> Stage:
    closing = after(stage or opened(), CloseVoting())
    result: Any = results_of("w1")
    if not certified:
        result = type(result)("w1", [], 12, False, 11, {})
    return after(closing, Certify(result, False), NOW + 200_000)


def test_a_rehearsals_result_is_shown_and_never_noted_and_its_season_is_its_own() -> None:
    real = after(after(on_air(), open_voting(rules=ROUNDS)), CloseVoting())
    real = after(after(real, Certify(results_of("w1"), True), NOW + 200_000), EndShow())
    assert real.season is not None and real.lately_released == ("w1",)
    stage = after(real, StartShow(replace(SHOW, rehearsal=True)))
    assert stage.season is None
    stage = after(after(stage, open_voting(window_id="w2", rules=ROUNDS)), CloseVoting())
    stage = after(stage, Certify(results_of("w2"), True), NOW + 200_000)
    assert stage.released and stage.lately_released == ("w1",) and released_now(stage) is None
    assert state_update(stage).show == ShowInfo("demo", 1, "Voices of the Mekong", True, 7)
    assert after(stage, EndShow()).season == real.season


def test_what_takes_two() -> None:
    stage = opened()
    assert takes_two(stage, ExtendVoting(301, 300)) and not takes_two(stage, ExtendVoting(300, 300))
    assert takes_two(stage, ReleaseResults()) and takes_two(closed(certified=False), ReleaseResults())
    assert not takes_two(closed(), ReleaseResults()) and not takes_two(on_air(), ReleaseResults())
    assert takes_two(on_air(), void())
    assert "takes two" in refused(stage, ExtendVoting(301, 300)) and "takes two" in refused(stage, void())


def test_extensions_add_up_and_two_presses_are_one() -> None:
    stage = after(opened(), ExtendVoting(200, 300), NOW)
    assert "just been extended" in refused(stage, ExtendVoting(100, 300), NOW + 999)
    stage = after(stage, ExtendVoting(100, 300), NOW + 1_000)
    assert takes_two(stage, ExtendVoting(1, 300)) and stage.window is not None and stage.window.extended_s == 300


def test_one_asks_and_another_confirms() -> None:
    more = ExtendVoting(600, 300)
    stage = after(opened(), Ask(pending(), more))
    assert stage.window is not None and stage.window.extended_s == 0 and stage.pending[0].window_id == "w1"
    assert "Another person" in refused(stage, Confirm("p1", "anna", more))
    assert "until" in refused(stage, Confirm("p1", "ben", more), NOW + 60_000)
    assert "until" in refused(stage, ExpirePending("p1"), NOW + 59_999)
    assert after(stage, ExpirePending("p1"), NOW + 60_000).pending == ()
    assert after(stage, Cancel("p1")).pending == ()
    done = after(stage, Confirm("p1", "ben", more), NOW + 59_999)
    assert done.pending == () and done.window is not None and done.window.extended_s == 600


def test_what_is_asked_for_one_window_is_not_confirmed_in_another() -> None:
    stage = after(closed(stage=after(opened(), Ask(pending(), ExtendVoting(600, 300)))), open_voting(window_id="w2"))
    assert "a window that is over" in refused(stage, Confirm("p1", "ben", ExtendVoting(600, 300)))


def test_what_would_be_refused_is_not_asked_for_and_only_so_many_wait() -> None:
    assert "Voting is not open" in refused(on_air(), Ask(pending(), ExtendVoting(600, 300)))
    stage = opened()
    for number in range(PENDING_MOST):
        stage = after(stage, Ask(pending(f"p{number}"), ExtendVoting(600, 300)))
    assert "wait for a second person" in refused(stage, Ask(pending("more"), ExtendVoting(600, 300)))


@pytest.mark.parametrize("certified", [True, False])
def test_a_release_ahead_goes_out_when_it_is_certified_and_only_then(certified: bool) -> None:
    stage = after(opened(), ReleaseResults(early=True))
    assert stage.release_authorised and not stage.released and "RESULTS_RELEASE" not in legal_events(stage)
    stage = closed(certified, stage)
    assert (stage.released, stage.release_authorised) == (certified, False)


def test_two_people_may_release_a_result_that_differs() -> None:
    stage = closed(certified=False)
    assert "takes two" in refused(stage, ReleaseResults())
    decision = decide(stage, ReleaseResults(early=True), NOW)
    assert types(decision.events) == ["RESULTS_READY", "STATE_UPDATE"] and decision.stage.released


def test_what_takes_two_is_not_armed_past_them() -> None:
    stage = after(opened(), Arm((cue(),)))
    assert "two people" in refused(stage, TakeArmed("q1", ReleaseResults()), NOW + 1_000)


def test_a_void_waits_for_the_director_beyond_the_show() -> None:
    stage = after(after(on_air(), Ask(pending("v1"), void())), Confirm("v1", "ben", void()))
    assert [(one.by, one.approved_by) for one in stage.voids] == [("anna", "ben")]
    stage = after(after(stage, EndShow()), FinishVoid("v1"))
    assert stage.voids == () and "No void" in refused(stage, FinishVoid("v1"))
