from __future__ import annotations

import pytest

from broadcast_sync.errors import Refusal
from broadcast_sync.show.machine import decide
from broadcast_sync.show.model import ArmedCue, DueRundown, Stage
from broadcast_sync.show.orders import Arm, CancelRundown, Command, DropRundown, EndShow, ScheduleRundown
from broadcast_sync.show.scheduling import DUE_AHEAD_MS, DUE_MOST
from broadcast_sync.show.views import due_info
from broadcast_sync.wire.times import iso
from tests.support.stages import NOW, after, on_air

DAY_MS = 86_400_000


def due(name: str = "Saturday", in_ms: int = DAY_MS, due_id: str = "") -> DueRundown:
    return DueRundown(due_id or name, name, NOW + in_ms, "anna", 2)


def kept(*rundowns: DueRundown, stage: Stage | None = None) -> Stage:
    found = stage or on_air()
    for one in rundowns:
        found = after(found, ScheduleRundown(one))
    return found


def refused(stage: Stage, command: Command) -> str:
    with pytest.raises(Refusal) as caught:
        decide(stage, command, NOW)
    assert caught.value.code == "CUE_REJECTED"
    return caught.value.message


def test_the_soonest_is_first_and_one_name_is_one_rundown() -> None:
    stage = kept(due("Sunday", 2 * DAY_MS), due(), due("Sunday", DAY_MS // 2, "again"))
    assert [(one.name, one.id) for one in stage.due] == [("Sunday", "again"), ("Saturday", "Saturday")]
    [first, _] = due_info(stage)
    assert (first.name, first.due_at, first.cues, first.by) == ("Sunday", iso(NOW + DAY_MS // 2), 2, "anna")


def test_it_outlives_the_show_that_is_on() -> None:
    assert after(kept(due()), EndShow()).due == (due(),)


def test_arming_it_is_the_end_of_its_waiting_once_and_overdue_cues_are_the_takers() -> None:
    overdue = ArmedCue("open", "VOTING_OPEN", NOW - 1_000, "anna", NOW)
    stage = kept(due("Saturday", due_id="d1"))
    armed = after(stage, Arm((overdue,), "Saturday", "d1"))
    assert armed.due == () and armed.armed == (overdue,) and armed.rundown is not None
    assert "does not wait" in refused(armed, Arm((), "Saturday", "d1"))
    assert "has passed" in refused(stage, Arm((overdue,), "Saturday"))


def test_what_cannot_be_kept_and_what_is_not_there() -> None:
    assert "in the past" in refused(on_air(), ScheduleRundown(due(in_ms=0)))
    assert "more than a year" in refused(on_air(), ScheduleRundown(due(in_ms=DUE_AHEAD_MS + 1)))
    full = kept(*(due(f"r{number}") for number in range(DUE_MOST)))
    assert "wait for their dates already" in refused(full, ScheduleRundown(due("one more")))
    assert len(kept(due("r3", 1), stage=full).due) == DUE_MOST
    assert len(after(full, CancelRundown("r3")).due) == len(after(full, DropRundown("r3")).due) == DUE_MOST - 1
    assert "No rundown nothing waits" in refused(full, CancelRundown("nothing"))
    assert "does not wait" in refused(full, DropRundown("nothing"))
