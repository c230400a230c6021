from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from broadcast_sync.control.osc_cues import BUNDLE, BadPacket, acknowledged, read, refused
from broadcast_sync.errors import Refusal
from broadcast_sync.wire.client import CueMessage
from broadcast_sync.wire.server import CueAck
from broadcast_sync.wire.times import iso
from tests.support.osc import answer, bundle, message

NOW = 1_795_000_000_000
CUE = "/broadcast-sync/cue/VOTING_OPEN"


def one(packet: bytes) -> CueMessage:
    [asked] = read(packet, NOW)
    assert asked.refusal is None and asked.cue is not None, asked
    return asked.cue


def code(packet: bytes) -> tuple[str, str]:
    [asked] = read(packet, NOW)
    assert asked.cue is None and asked.refusal is not None, asked
    return asked.name, asked.refusal.code


def test_a_cue_with_its_take_number_and_data() -> None:
    made = CueMessage("VOTING_OPEN", cue_id="VOTING_OPEN#3", data={"duration": 90, "contestants": ["c01", "c02"]})
    assert one(message(CUE, 3, "duration", 90, "contestants", ["c01", "c02"])) == made
    # controllers that know floats only
    assert one(message(CUE, 3.0, "duration", 90.0, "contestants", ["c01", "c02"])) == made
    assert one(message(CUE)) == CueMessage("VOTING_OPEN", data={})
    assert one(message(CUE, "duration", 90)).cue_id is None
    assert one(message("/broadcast-sync/cue/ADVANCE_SLOT", 1, "uncertified", True)).data == {"uncertified": True}


def test_arm_and_cancel_name_the_same_cue() -> None:
    armed = one(message("/broadcast-sync/arm/VOTING_OPEN", 3, "20:15:00:00", "duration", 90))
    assert armed == CueMessage(
        "VOTING_OPEN", cue_id="VOTING_OPEN#3", timecode="20:15:00:00", data={"duration": 90}, mode="arm"
    )
    cancelled = one(message("/broadcast-sync/cancel/VOTING_OPEN", 3))
    assert cancelled == CueMessage("VOTING_OPEN", cue_id="VOTING_OPEN#3", mode="cancel")


def test_a_bundle_is_for_its_time() -> None:
    at_ms = NOW + 5_000
    [first, second] = read(bundle(at_ms / 1000, message(CUE, 1), message("/broadcast-sync/cue/SHOW_END", 2)), NOW)
    assert first.cue == CueMessage("VOTING_OPEN", cue_id="VOTING_OPEN#1", timestamp=iso(at_ms), data={}, mode="arm")
    assert second.cue is not None and second.cue.mode == "arm"
    late = one(bundle((NOW - 40) / 1000, message(CUE, 1)))
    assert (late.mode, late.timestamp) == ("take", iso(NOW - 40))
    assert one(bundle(0, message(CUE, 1))) == CueMessage("VOTING_OPEN", cue_id="VOTING_OPEN#1", data={})
    # the innermost time counts
    assert one(bundle(0, bundle(at_ms / 1000, message(CUE, 1)))).mode == "arm"


@pytest.mark.parametrize(("packet", "name", "refusal"), [
    (message("/another/program", 1), "/another/program", "UNSUPPORTED"),
    (message("/broadcast-sync/cue/*", 1), "/broadcast-sync/cue/*", "UNSUPPORTED"),
    (message("/broadcast-sync/take/VOTING_OPEN", 1), "/broadcast-sync/take/VOTING_OPEN", "UNSUPPORTED"),
    (message("/broadcast-sync/cue/" + "A" * 60), "/broadcast-sync/cue/" + "A" * 60, "UNSUPPORTED"),
    (message("/" + "x" * 500), "/" + "x" * 127, "UNSUPPORTED"),
    (message(CUE, -1), CUE, "BAD_MESSAGE"),
    (message(CUE, 1_000_000), CUE, "BAD_MESSAGE"),
    (message(CUE, 1.5), CUE, "BAD_MESSAGE"),
    (message(CUE, 1, "duration"), "VOTING_OPEN#1", "BAD_MESSAGE"),
    (message(CUE, 1, 2, 3), "VOTING_OPEN#1", "BAD_MESSAGE"),
    (message(CUE, 1, "duration", 90, "duration", 91), "VOTING_OPEN#1", "BAD_MESSAGE"),
    (message(CUE, 1, "duration", float("nan")), CUE, "BAD_MESSAGE"),
    (message(CUE, 1, "duration", [float("inf")]), CUE, "BAD_MESSAGE"),
    (message("/broadcast-sync/arm/VOTING_OPEN", "20:15:00:00"), "VOTING_OPEN", "BAD_MESSAGE"),
    (message("/broadcast-sync/arm/VOTING_OPEN", 1), "VOTING_OPEN#1", "BAD_MESSAGE"),
    (message("/broadcast-sync/arm/VOTING_OPEN", 1, "x" * 33), "VOTING_OPEN#1", "BAD_MESSAGE"),
    (message("/broadcast-sync/cancel/VOTING_OPEN"), "VOTING_OPEN", "BAD_MESSAGE"),
    (message("/broadcast-sync/cancel/VOTING_OPEN", 1, "duration", 90), "VOTING_OPEN#1", "BAD_MESSAGE"),
    (bundle(NOW / 1000 + 9, message(CUE)), "VOTING_OPEN", "BAD_MESSAGE"),
    (bundle(NOW / 1000 + 9, message("/broadcast-sync/cancel/VOTING_OPEN", 1)), "VOTING_OPEN#1", "BAD_MESSAGE"),
])
def test_what_cannot_be_is_refused_by_name(packet: bytes, name: str, refusal: str) -> None:
    assert code(packet) == (name, refusal)


def nested(depth: int) -> bytes:
    packet = message(CUE, 1)
    for _ in range(depth):
        packet = bundle(0, packet)
    return packet


@pytest.mark.parametrize("packet", [
    b"", b"/", b"#bundle\0", b"#bundle\0" + bytes(7), b"rubbish!", b"/abc", b"/a\0\0,s\0\0", b"/a\0\0,i\0\0\0\0",
    b"/a\0\0xi\0\0\0\0\0\1", b"/a\xff\0,\0\0\0", message(CUE, b"blob"), message(CUE, None), b"/a\0\0,[[\0",
    b"/a\0\0,]\0\0", BUNDLE + bytes(8) + b"\0\0\0\x00", BUNDLE + bytes(8) + b"\0\0\0\x10/a\0\0",
    BUNDLE + bytes(8) + b"\xff\xff\xff\xfc", nested(9), b"/" + b"x" * 8_191 + b"\0\0\0\0",
    bundle(0, *([message(CUE)] * 33)),
])
def test_what_cannot_be_read(packet: bytes) -> None:
    with pytest.raises(BadPacket):
        read(packet, NOW)


def test_bundles_may_be_nested_and_hold_several() -> None:
    assert one(nested(8)).cue_id == "VOTING_OPEN#1"
    assert len(read(bundle(0, *([message(CUE)] * 32)), NOW)) == 32
    assert read(bundle(0), NOW) == []


@given(st.binary(max_size=200), st.sampled_from([b"", b"/broadcast-sync/cue/X\0\0\0", BUNDLE]), st.booleans())
@example(b",[f]\0\0\0\0\x7f\x80\0\0", b"/broadcast-sync/cue/X\0\0\0", False)
def test_rubbish_is_unreadable_or_refused_and_nothing_else(rest: bytes, begin: bytes, whole: bool) -> None:
    packet = begin + rest + bytes(-len(begin + rest) % 4 if whole else 0)
    try:
        asked = read(packet, NOW)
    except BadPacket:
        return
    assert all((one.cue is None) is not (one.refusal is None) for one in asked)


def test_answers() -> None:
    ack = CueAck("VOTING_OPEN#3", 7, iso(NOW), 12, False)
    cue = CueMessage("VOTING_OPEN", cue_id="VOTING_OPEN#3")

    def became(cue: CueMessage, **changed: Any) -> Any:
        return answer(acknowledged(cue, replace(ack, **changed)))

    assert became(cue) == ("/ack", ["VOTING_OPEN#3", "taken", 7, 12, 0])
    assert became(cue, replayed=True, lateness_ms=2**40) == ("/ack", ["VOTING_OPEN#3", "taken", 7, 2**31 - 1, 1])
    assert became(cue, armed=True)[1][1] == "armed" and became(cue, pending=True)[1][1] == "pending"
    assert became(replace(cue, mode="cancel"))[1][1] == "cancelled"
    assert answer(refused("x\0y", Refusal("BUSY", "No."))) == ("/error", ["x y", "BUSY", "No."])
