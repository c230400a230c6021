from __future__ import annotations

import msgspec
import pytest

from broadcast_sync.errors import Refusal
from broadcast_sync.show.rundown import FILE_BYTES, RundownFile, armed_cues, parse
from broadcast_sync.show.timecode import Reference
from tests.support.stages import NOW

GOOD = b"""
name = "Live Show 1"
rate = "25"
start = "23:58:00:00"

[[cues]]
id = "sing"
event = "PERFORMANCE_START"
offset = 10.2
data = { contestantId = "c01" }

[[cues]]
id = "open"
event = "VOTING_OPEN"
timecode = "23:59:59:24"
data = { duration = 90 }

[[cues]]
id = "close"
event = "VOTING_CLOSE"
timecode = "00:01:00:00"
"""


def read(text: bytes = GOOD, name: str = "show.toml") -> RundownFile:
    found, problems = parse(text, name)
    assert found is not None and problems == []
    return found


def wrong(text: bytes, name: str = "show.toml") -> dict[str, str]:
    _, problems = parse(text, name)
    return {problem.place: problem.text for problem in problems}


def test_cues_stand_at_their_frames_and_over_midnight() -> None:
    reference = Reference("23:57:00:00", NOW, "25")
    cues = armed_cues(read(), reference, None, "anna", NOW)
    assert [(cue.cue_id, cue.at_ms - NOW) for cue in cues] == [
        ("sing", 60_000 + 10_200), ("open", 179_960), ("close", 240_000)
    ]


def test_offsets_alone_count_from_when_it_is_loaded_for() -> None:
    file = read(b'{"name": "x", "cues": [{"id": "a", "event": "SHOW_END", "offset": 1.5}]}', "x.json")
    assert [cue.at_ms for cue in armed_cues(file, None, NOW + 1_000, "anna", NOW)] == [NOW + 2_500]
    with pytest.raises(Refusal, match="when the offsets begin"):
        armed_cues(file, None, None, "anna", NOW)


@pytest.mark.parametrize("reference", [None, Reference("20:00:00;00", NOW, "29.97df")])
def test_labels_need_the_shows_timecode_at_their_rate(reference: Reference | None) -> None:
    with pytest.raises(Refusal) as caught:
        armed_cues(read(), reference, None, "anna", NOW)
    assert caught.value.code == "CUE_REJECTED"


@pytest.mark.parametrize(
    ("change", "place", "text"),
    [
        ((b"00:01:00:00", b"23:59:59:24"), "cues[2]", "same frame as cues[1]"),
        ((b"00:01:00:00", b"23:59:00:00"), "cues[2]", "out of order"),
        ((b"10.2", b"119.96"), "cues[1]", "same frame as cues[0]"),
        ((b"10.2", b"119.99"), "cues[1]", "same frame as cues[0]"),
        ((b"23:59:59:24", b"23:59:59:25"), "cues[1].timecode", "frames are 00 to 24"),
        ((b"23:59:59:24", b"23:59:59;24"), "cues[1].timecode", "another rate"),
        ((b'rate = "25"', b'rate = "26"'), "rate", "no frame rate"),
        ((b'rate = "25"', b""), "rate", "is needed"),
        ((b'start = "23:58:00:00"', b""), "cues[0].offset", "needs `start`"),
        ((b"VOTING_CLOSE", b"FIREWORKS"), "cues[2].event", "There is no event FIREWORKS"),
        ((b"VOTING_CLOSE", b"VOID"), "cues[2].event", "cannot be in a rundown"),
        ((b"duration = 90", b"duration = 0"), "cues[1].data", "whole number of seconds"),
        ((b"duration = 90", b"durations = 90"), "cues[1].data", "durations"),
        ((b'id = "close"', b'id = "open"'), "cues[2].id", "that of cues[1] too"),
        ((b"offset = 10.2", b""), "cues[0]", "either"),
        ((b"offset = 10.2", b"offset = -1"), "cues[0].offset", ">= 0"),
        ((b'name = "Live Show 1"', b""), "", "name"),
        ((b'name = "Live', b"name = Live"), "", "not TOML"),
    ],
)
def test_each_fault_is_said_with_its_place(change: tuple[bytes, bytes], place: str, text: str) -> None:
    assert change[0] in GOOD
    assert text in wrong(GOOD.replace(*change))[place]


def test_all_faults_are_said_at_once() -> None:
    broken = GOOD.replace(b"VOTING_CLOSE", b"FIREWORKS").replace(b"23:59:59:24", b"25:59:59:24")
    assert set(wrong(broken)) == {"cues[1].timecode", "cues[2].event"}
    misshapen = GOOD.replace(b'id = "sing"', b"id = 3").replace(b'event = "VOTING_OPEN"', b"")
    assert set(wrong(misshapen)) == {"cues[0].id", "cues[1]"}


def test_too_much_is_no_rundown() -> None:
    assert "larger" in wrong(b" " * (FILE_BYTES + 1))[""]
    many = {"name": "x", "cues": [{"id": f"c{n}", "event": "SHOW_END", "offset": n} for n in range(101)]}
    assert "cues" in wrong(msgspec.json.encode(many), "x.json")
    assert "not JSON" in wrong(b"[" * 100_000, "x.json")[""]
