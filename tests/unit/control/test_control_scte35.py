"""Sections, with the samples of ANSI/SCTE 35, section 14, and the cues that a table makes of them."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.control.scte35 import BadSection, Segmentation, Splice, decode, parse
from broadcast_sync.control.splices import cancelled, check_rows, cue_of
from broadcast_sync.errors import Refusal, SettingsError
from broadcast_sync.settings import SpliceRow
from broadcast_sync.wire.client import CueMessage
from broadcast_sync.wire.times import iso
from tests.support.splices import OPPORTUNITY_END, OPPORTUNITY_START, PROGRAM_START_END, SPLICE_INSERT, at, made

NOW = 1_795_000_000_000
ROWS = [
    SpliceRow("splice_insert", "VOTING_CLOSE", out=True),
    SpliceRow("time_signal", "VOTING_OPEN", {"duration": 90}, segmentation_type=0x34),
    SpliceRow("time_signal", "PERFORMANCE_END", segmentation_type=0x10),
]


def insert(event_id: int, flags: int, rest: bytes) -> bytes:
    return event_id.to_bytes(4, "big") + b"\x7f" + bytes([flags]) + rest + b"\0\1\0\0"


def test_the_standards_samples() -> None:
    assert parse(decode(OPPORTUNITY_START)) == Splice(
        "time_signal", 0x072BD0050, segmentations=(Segmentation(0x4800008E, False, 0x34),)
    )
    assert parse(decode(SPLICE_INSERT)) == Splice("splice_insert", 0x07369C02E, 0x4800008F, out=True)
    assert parse(decode(OPPORTUNITY_END)) == Splice(
        "time_signal", 0x0746290A0, segmentations=(Segmentation(0x4800008E, False, 0x35),)
    )
    assert parse(decode(PROGRAM_START_END)) == Splice("time_signal", 0x07A4D88B6, segmentations=(
        Segmentation(0x48000018, False, 0x11), Segmentation(0x48000019, False, 0x10)
    ))


def test_base64_and_hexadecimal_are_the_same() -> None:
    section = base64.b64decode(SPLICE_INSERT)
    for text in (SPLICE_INSERT, section.hex(), f"0x{section.hex().upper()}", f"\n {SPLICE_INSERT}\r\n"):
        assert decode(text) == section
    for text in ("", "0x", "fc3", "/DAv!", "0xfczz", "€"):
        with pytest.raises(BadSection):
            parse(decode(text))


def test_other_forms_of_splice_insert() -> None:
    immediate = parse(made(insert(7, 0b0101_1111, b""), 0x05))
    assert immediate == Splice("splice_insert", None, 7, immediate=True)
    assert parse(made(insert(7, 0b1110_1111, at(90) + bytes(5)), 0x05)) == Splice("splice_insert", 90, 7, out=True)
    assert parse(made(insert(7, 0b1000_1111, b"\2\1" + at(180) + b"\2\x7f"), 0x05)).pts == 180
    cancels = parse(made((7).to_bytes(4, "big") + b"\xff", 0x05))
    assert cancels == Splice("splice_insert", None, 7, cancel=True)
    assert parse(made(b"\x7f", 0x06)).pts is None
    assert parse(made(at(100), 0x06, size=0xFFF)).pts == 100


def test_the_pts_adjustment_is_added_and_wraps() -> None:
    assert parse(made(at(2**33 - 10), 0x06, adjustment=30)).pts == 20



@pytest.mark.parametrize(("section", "why"), [
    (b"", "table_id"), (b"\xfc", "table_id"), (made(at(1), 0x06, table=0xFD), "table_id"),
    (b"\xfc\xb0\x11" + made(at(1), 0x06)[3:], "section_syntax_indicator"),
    (b"\xfc\x30\x03\0\0\0", "too short"),
    (made(at(1), 0x06)[:-1], "bytes and has"), (made(at(1), 0x06) + b"\0", "bytes and has"),
    (made(at(1), 0x06)[:-1] + b"\0", "CRC-32"),
    (made(at(1), 0x06, version=1), "protocol_version"), (made(at(1), 0x06, encrypted=1), "encrypted"),
    (made(b"", 0x00), "splice_null"), (made(b"\0", 0x04), "splice_schedule"), (made(b"", 0x07), "bandwidth"),
    (made(b"CUEI", 0xFF), "private_command"), (made(b"", 0x42), "command 0x42"),
    (made(at(1)[:1], 0x06), "too soon"), (made(insert(7, 0b1010_1111, at(1))[:-6], 0x05), "too soon"),
    (made(at(1)[:3], 0x06), "splice_command_length"), (made(at(1), 0x06, size=4), "splice_command_length"),
    (made(at(1), 0x06, descriptors=b"\2"), "too soon"), (made(at(1), 0x06, descriptors=b"\2\xffCUEI"), "too soon"),
    (made(at(1), 0x06, descriptors=b"\2\5CUEI\0"), "too soon"), (made(at(1), 0x06, descriptors=b"\2\0"), "too soon"),
])
def test_what_is_refused_says_why(section: bytes, why: str) -> None:
    with pytest.raises(BadSection, match=why):
        parse(section)


def test_descriptors_of_others_are_passed_over() -> None:
    others = b"\0\x08CUEI\0\0\0\1" + b"\2\x05ABCD\0"
    cancel = b"\2\x09CUEI\0\0\0\5\xff"
    assert parse(made(at(1), 0x06, descriptors=others + cancel)).segmentations == (Segmentation(5, True),)


@given(st.binary(max_size=120), st.sampled_from([0x05, 0x06]), st.binary(max_size=60))
def test_rubbish_with_a_right_crc_is_refused_and_nothing_else(command: bytes, kind: int, descriptors: bytes) -> None:
    try:
        parse(made(command, kind, descriptors=descriptors))
    except BadSection:
        pass


@given(st.integers(0, 399))
def test_a_flipped_bit_is_found(bit: int) -> None:
    section = bytearray(base64.b64decode(SPLICE_INSERT))
    section[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadSection):
        parse(bytes(section))


# --- the table --------------------------------------------------------------------------------------------------


def cue(sample: str, pts: int | None = None, rows: list[SpliceRow] = ROWS) -> CueMessage:
    return cue_of(parse(decode(sample)), rows, pts, NOW)


def test_the_first_row_that_fits_makes_the_cue() -> None:
    assert cue(SPLICE_INSERT) == CueMessage("VOTING_CLOSE", cue_id="scte35:4800008f:splice_insert:out", data={})
    assert cue(OPPORTUNITY_START) == CueMessage(
        "VOTING_OPEN", cue_id="scte35:4800008e:time_signal:34", data={"duration": 90}
    )
    assert cue(PROGRAM_START_END).cue_id == "scte35:48000019:time_signal:10"
    any_row = [SpliceRow("time_signal", "SHOW_END")]
    # both ends of one opportunity have the same event id, and are two cues
    assert cue(OPPORTUNITY_END, rows=any_row).cue_id == "scte35:4800008e:time_signal:35"
    for sample, rows in ((OPPORTUNITY_END, ROWS), (SPLICE_INSERT, any_row), (SPLICE_INSERT, [])):
        with pytest.raises(Refusal, match="UNSUPPORTED"):
            cue(sample, rows=rows)
    with pytest.raises(Refusal, match="without a segmentation"):
        cue_of(parse(made(at(1), 0x06)), any_row, None, NOW)


def test_with_the_streams_time_it_is_armed_for_the_splice() -> None:
    pts = 0x07369C02E
    armed = cue(SPLICE_INSERT, pts - 4 * 90_000)
    assert (armed.mode, armed.timestamp) == ("arm", iso(NOW + 4_000))
    late = cue(SPLICE_INSERT, pts + 90_000)
    assert (late.mode, late.timestamp) == ("take", iso(NOW - 1_000))
    wrapped = cue_of(Splice("splice_insert", 45_000, 7, out=True), ROWS, 2**33 - 45_000, NOW)
    assert (wrapped.mode, wrapped.timestamp) == ("arm", iso(NOW + 1_000))
    assert cue_of(Splice("splice_insert", None, 7, out=True, immediate=True), ROWS, 5, NOW).mode == "take"


def test_cancellations() -> None:
    assert cancelled(parse(decode(SPLICE_INSERT))) is None
    assert cancelled(Splice("splice_insert", event_id=7, cancel=True)) == "scte35:00000007:splice_insert:"
    signal = Splice("time_signal", segmentations=(Segmentation(1, False, 0x34), Segmentation(2, True)))
    assert cancelled(signal) == "scte35:00000002:time_signal:"


@pytest.mark.parametrize(("row", "why"), [
    ({"command": "splice_insert", "event": "VOTING_CLOSE", "segmentation_type": 1}, "segmentation_type"),
    ({"command": "time_signal", "event": "VOTING_CLOSE", "out": True}, r"map\[0\]\.out"),
    ({"command": "time_signal", "event": "VOTING_SHUT"}, "VOTING_SHUT"),
    ({"command": "time_signal", "event": "VOTING_OPEN", "data": {"duraton": 90}}, "duraton"),
])
def test_rows_that_cannot_work_are_found_at_the_start(row: dict[str, Any], why: str) -> None:
    check_rows(ROWS)
    with pytest.raises(SettingsError, match=why):
        check_rows([SpliceRow(**row)])
