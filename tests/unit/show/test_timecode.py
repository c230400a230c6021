"""Time code against ST 12-1's own words: which labels exist, how they count, and that nothing is lost on the way."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.errors import Refusal
from broadcast_sync.show.timecode import (
    RATES,
    Rate,
    Reference,
    check_timecode,
    frames_in,
    frames_of,
    instant,
    label_at,
    label_of,
    offset_of,
    rate_named,
)

rates = st.sampled_from(list(RATES.values()))
NOON = 1_764_072_000_000


@st.composite
def frames_and_rates(draw: st.DrawFn) -> tuple[int, Rate]:
    rate = draw(rates)
    return draw(st.integers(0, rate.day - 1)), rate


def counted(rate: Rate, minutes: int) -> list[str]:
    """Labels as the standard counts them: one after the other, leaving out what is dropped."""
    mark = ";" if rate.dropped else ":"
    return [
        f"00:{minute:02d}:{second:02d}{mark}{frame:02d}"
        for minute in range(minutes)
        for second in range(60)
        for frame in range(rate.nominal)
        if not (second == 0 and frame < rate.dropped and minute % 10)
    ]


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
def test_labels_follow_each_other_as_the_standard_counts_them(rate: Rate) -> None:
    labels = counted(rate, 21)
    assert [label_of(count, rate) for count in range(len(labels))] == labels
    assert [frames_of(label, rate) for label in labels] == list(range(len(labels)))


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        ("23.976", 2_073_600), ("24", 2_073_600), ("25", 2_160_000), ("29.97df", 2_589_408), ("29.97ndf", 2_592_000),
        ("30", 2_592_000), ("50", 4_320_000), ("59.94df", 5_178_816), ("60", 5_184_000),
    ],
)
def test_a_day_has_its_frames(name: str, frames: int) -> None:
    assert RATES[name].day == frames


@given(frames_and_rates())
def test_count_label_count(case: tuple[int, Rate]) -> None:
    count, rate = case
    assert frames_of(label_of(count, rate), rate) == count


@given(frames_and_rates(), st.integers(-3, 3))
def test_counts_wrap_at_midnight(case: tuple[int, Rate], days: int) -> None:
    count, rate = case
    assert label_of(count + days * rate.day, rate) == label_of(count, rate)


@given(st.integers(-(10**9), 10**9), rates)
def test_count_offset_count(count: int, rate: Rate) -> None:
    assert frames_in(offset_of(count, rate), rate) == count


def test_drop_frame_keeps_with_the_clock() -> None:
    """A day of 29.97 drop-frame labels is 86.4 ms shorter than a day, of non-drop ones 86.4 s longer."""
    assert offset_of(RATES["29.97df"].day, RATES["29.97df"]) == Fraction(86_400) - Fraction(864, 10_000)
    assert offset_of(RATES["29.97ndf"].day, RATES["29.97ndf"]) == Fraction(86_400) + Fraction(864, 10)


@pytest.mark.parametrize(
    ("label", "rate", "words"),
    [
        ("25:61:61;45", "29.97df", "no time of day"),
        ("24:00:00:00", "25", "no time of day"),
        ("10:60:00:00", "25", "no time of day"),
        ("10:00:60:00", "25", "no time of day"),
        ("10:00:00:30", "25", "00 to 24"),
        ("10:00:00:25", "25", "00 to 24"),
        ("10:00:00:24", "23.976", "00 to 23"),
        ("10:00:00:50", "50", "00 to 49"),
        ("00:01:00;00", "29.97df", "drops it"),
        ("00:01:00;01", "29.97df", "drops it"),
        ("10:59:00;03", "59.94df", "drops it"),
        ("00:01:00:02", "29.97df", "another rate"),
        ("00:01:00;02", "29.97ndf", "another rate"),
        ("00:01:00;02", "25", "another rate"),
        ("1:00:00:00", "25", "HH:MM:SS:FF"),
        ("10:00:00.00", "25", "HH:MM:SS:FF"),
        ("10:00:00:00 ", "25", "HH:MM:SS:FF"),
        ("10:00:00:00\n", "25", "HH:MM:SS:FF"),
        ("-1:00:00:00", "25", "HH:MM:SS:FF"),
        ("\uff110:00:00:00", "25", "HH:MM:SS:FF"),
        ("", "25", "HH:MM:SS:FF"),
    ],
)
def test_labels_that_do_not_exist_are_refused_with_the_reason(label: str, rate: str, words: str) -> None:
    with pytest.raises(Refusal, match=words) as refused:
        frames_of(label, RATES[rate])
    assert refused.value.code == "TIMECODE_INVALID"


@pytest.mark.parametrize("label", ["00:10:00;00", "00:01:00;02", "23:59:59;29"])
def test_what_drop_frame_keeps(label: str) -> None:
    assert label_of(frames_of(label, RATES["29.97df"]), RATES["29.97df"]) == label


@given(st.text(max_size=16), rates)
def test_no_text_does_more_than_be_refused(label: str, rate: Rate) -> None:
    try:
        assert label_of(frames_of(label, rate), rate) == label
    except Refusal as refusal:
        assert refusal.code == "TIMECODE_INVALID"


def test_a_label_without_a_known_rate_must_exist_at_some_rate() -> None:
    check_timecode("20:15:00:12")
    check_timecode("20:15:00:59")
    check_timecode("00:01:00;04")
    for label in ("25:61:61;45", "00:00:00:60", "00:01:00;01", "x"):
        with pytest.raises(Refusal, match=r"\."):
            check_timecode(label)


def test_an_unknown_rate_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(Refusal, match=r"29\.97df"):
        rate_named("12")


# --- instants -----------------------------------------------------------------------------------------------


def test_the_reference_is_its_own_instant() -> None:
    reference = Reference("20:15:00:00", NOON, "25")
    assert instant("20:15:00:00", reference, NOON) == NOON
    assert instant("20:15:01:05", reference, NOON) == NOON + 1200
    assert instant("20:14:59:24", reference, NOON) == NOON - 40


def test_an_instant_is_never_before_its_frame_has_begun() -> None:
    reference = Reference("10:00:00;00", NOON, "29.97df")
    assert instant("10:00:00;01", reference, NOON) == NOON + 34  # 33.37 ms
    assert label_at(NOON + 33, reference) == "10:00:00;00"
    assert label_at(NOON + 34, reference) == "10:00:00;01"


def test_midnight_is_passed_in_both_directions() -> None:
    reference = Reference("23:59:50:00", NOON, "25")
    assert instant("00:00:10:00", reference, NOON) == NOON + 20_000
    assert instant("23:59:50:00", reference, NOON + 86_400_000) == NOON + 86_400_000
    assert instant("23:59:50:00", Reference("00:00:10:00", NOON, "25"), NOON) == NOON - 20_000


@given(frames_and_rates(), frames_and_rates(), st.integers(-400_000_000, 400_000_000))
def test_the_nearest_occurrence_is_meant_and_carries_its_label(
    case: tuple[int, Rate], start: tuple[int, Rate], later_ms: int
) -> None:
    count, rate = case
    reference = Reference(label_of(start[0], rate), NOON, rate.name)
    label, near_ms = label_of(count, rate), NOON + later_ms
    at_ms = instant(label, reference, near_ms)
    assert label_at(at_ms, reference) == label
    assert abs(at_ms - near_ms) <= offset_of(rate.day, rate) * 1000 / 2 + 1
