from __future__ import annotations

from typing import Any

import msgspec
import pytest

from broadcast_sync.errors import Refusal
from broadcast_sync.show.cues import data_json, event_data
from broadcast_sync.show.pace import OPERATORS, Pace
from broadcast_sync.show.timecode import check_timecode
from tests.support.stages import NOW


def refused(event: str, data: dict[str, Any] | None = None) -> Refusal:
    with pytest.raises(Refusal) as caught:
        event_data(event, data)
    return caught.value


@pytest.mark.parametrize(
    ("event", "data", "path"),
    [
        ("SHOW_START", {}, "showId"),
        ("SHOW_START", {"showId": "demo", "episode": "1"}, "$.data.episode"),
        ("SHOW_START", {"showId": "demo", "episode": True}, "$.data.episode"),
        ("SHOW_START", {"showId": "de\0mo", "episode": 1}, "$.data.showId"),
        ("PERFORMANCE_START", {"contestantId": 7}, "$.data.contestantId"),
        ("VOTING_OPEN", {"duration": "90"}, "$.data.duration"),
        ("VOTING_OPEN", {"durations": 90}, "durations"),
        ("VOTING_OPEN", {"contestants": "c01"}, "$.data.contestants"),
        ("VOTING_OPEN", {"contestants": ["c01", 2]}, "$.data.contestants"),
        ("VOTING_EXTEND", {}, "seconds"),
        ("VOTING_CLOSE", {"now": True}, "now"),
        ("ADVANCE_SLOT", {"slot": 3}, "slot"),
        ("TIMECODE_SET", {}, "rate"),
        ("TIMECODE_SET", {"rate": 25}, "$.data.rate"),
        ("VOID", {"voteIds": ["a"]}, "reason"),
        ("VOID", {"reason": "bots"}, "voteIds"),
        ("VOID", {"reason": "bots", "voteIds": ["a"], "voters": ["b"]}, "voters"),
        ("VOID", {"reason": "bots", "voters": []}, "$.data.voters"),
        ("ADVANCE_SLOT", {"contestants": "c01"}, "$.data.contestants"),
    ],
)
def test_wrong_data_is_refused_with_its_path(event: str, data: dict[str, Any], path: str) -> None:
    refusal = refused(event, data)
    assert refusal.code == "BAD_MESSAGE" and path in refusal.message


def test_what_is_no_part_of_this_show() -> None:
    assert refused("FIREWORKS").code == "UNSUPPORTED"


def test_anything_can_be_logged() -> None:
    assert bytes(data_json({"a": [1, None]})) == b'{"a":[1,null]}'
    assert bytes(data_json(None)) == b"{}"
    assert bytes(data_json({"ext": msgspec.msgpack.Ext(1, b"x")})) == b"null"
    assert bytes(data_json({"deep": {(1, 2): object()}})) == b"null"


@pytest.mark.parametrize("label", ["20:15:00:12", "00:00:00;00", "23:59:59:59"])
def test_timecodes_that_can_be(label: str) -> None:
    check_timecode(label)


@pytest.mark.parametrize(
    "label",
    ["", "24:00:00:00", "1:2:3:4", "20:60:00:00", "20:15:00:60", "20:15:00", "20:15:00:12\n", "\u0662\u0660:15:00:12"],
)
def test_timecodes_that_cannot(label: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_timecode(label)
    assert caught.value.code == "TIMECODE_INVALID"


def taken(pace: Pace, operator: str, now_ms: int) -> bool:
    try:
        pace.take(operator, now_ms)
    except Refusal as refusal:
        assert refusal.code == "RATE_LIMIT" and refusal.retry_after is not None and refusal.retry_after > 0
        return False
    return True


def test_a_second_has_its_cues_and_then_one_an_interval() -> None:
    pace = Pace(20)
    assert sum(taken(pace, "anna", NOW) for _ in range(50)) == 20
    assert taken(pace, "bela", NOW)
    assert not taken(pace, "anna", NOW + 49)
    assert taken(pace, "anna", NOW + 50)
    assert sum(taken(pace, "anna", NOW + 60_000) for _ in range(50)) == 20


def test_less_than_one_a_second_still_lets_one_through() -> None:
    pace = Pace(0.5)
    assert [taken(pace, "anna", NOW + ms) for ms in (0, 1_999, 2_000)] == [True, False, True]


def test_operators_are_forgotten_before_memory_is_short() -> None:
    pace = Pace(1)
    for index in range(2 * OPERATORS):
        pace.take(f"op{index}", NOW)
    assert len(pace._due) == OPERATORS
