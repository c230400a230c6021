"""Comparing and reading, without an engine."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.ids import uuid7
from voting.ledger.entries import Ballots, EntryError, StreamId, moment, read_entry, records, without_nul
from voting.ledger.recount import compare, reached
from voting.ledger.watch import between

COUNTS = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 5))
IDS = st.tuples(st.integers(0, 2**63), st.integers(0, 2**63))


@given(COUNTS, COUNTS, st.booleans())
def test_compare_is_equal_exactly_when_every_contestant_has_the_same(
    tally: dict[str, int], ledger: dict[str, int], drained: bool
) -> None:
    same = all(tally.get(name, 0) == ledger.get(name, 0) for name in "abcd")
    assert compare(tally, ledger, drained) == ("EQUAL" if same else "DIFFERS" if drained else "PENDING")


@given(COUNTS, COUNTS, COUNTS)
def test_an_honest_ledger_never_differs(before: dict[str, int], part: dict[str, int], later: dict[str, int]) -> None:
    ledger = {name: before.get(name, 0) + part.get(name, 0) for name in "abcd"}
    after = {name: ledger[name] + later.get(name, 0) for name in "abcd"}
    assert between(before, ledger, after, True) == "EQUAL"
    assert between(after, ledger, after, False) != "DIFFERS"


@given(COUNTS, st.sampled_from("abcd"), st.booleans())
def test_a_vote_too_many_or_too_few_is_seen(counts: dict[str, int], name: str, drained: bool) -> None:
    more = counts | {name: counts.get(name, 0) + 1}
    assert between(counts, more, counts, drained) == "DIFFERS"
    assert between(more, counts, more, True) == "DIFFERS"
    assert between(more, counts, more, False) == "PENDING"


@given(IDS, IDS)
def test_stream_ids_order_as_numbers_and_survive_text(first: tuple[int, int], second: tuple[int, int]) -> None:
    one, other = StreamId(*first), StreamId(*second)
    assert StreamId.parse(str(one)) == one == StreamId.parse(str(one).encode())
    assert (one < other) == (first < second)


@pytest.mark.parametrize("text", ["", "5", "a-b", "1-", "-1"])
def test_what_is_no_stream_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        StreamId.parse(text)


def test_reached_needs_every_stream() -> None:
    targets = {"a": StreamId(5, 0), "b": StreamId(0, 0)}
    assert reached({"a": StreamId(5, 0)}, targets)
    assert not reached({"a": StreamId(4, 99)}, targets)
    assert not reached({}, targets)


ROW = st.tuples(
    st.binary(min_size=16, max_size=16), st.text(), st.text(), st.text(), st.integers(1, 2**31 - 1),
    st.integers(1, 2**31 - 1), st.text(), st.integers(0, 4_000_000_000_000), st.none() | st.text(),
)  # fmt: skip


@given(st.lists(ROW, max_size=5))
def test_rows_come_out_as_they_went_in(rows: list[tuple[object, ...]]) -> None:
    window = uuid7()
    fields = {b"k": b"b", b"w": str(window).encode(), b"n": b"%d" % len(rows), b"v": msgspec.msgpack.encode(rows)}
    entry = read_entry("1-1", fields)
    assert isinstance(entry, Ballots) and entry.window_id == window
    made = records(entry, "org", 3, 7)
    assert [(r[2].bytes, *r[5:11], r[12]) for r in made] == [(*row[:7], row[8]) for row in rows]
    assert all((r[0], r[1], r[3], r[4]) == ("org", 7, window, 3) for r in made)
    assert [r[11] for r in made] == [moment(row[7]) for row in rows]  # type: ignore[arg-type]  # ints by strategy
    assert not any("\0" in str(item) for r in without_nul(made) for item in r)


@given(st.dictionaries(st.sampled_from([b"k", b"w", b"n", b"v", b"d"]), st.binary(max_size=40)), st.binary(max_size=60))
def test_no_bytes_make_anything_but_an_entry_error(fields: dict[bytes, bytes], payload: bytes) -> None:
    for candidate in (fields, fields | {b"k": b"b", b"w": str(uuid7()).encode(), b"n": b"1", b"v": payload}):
        try:
            entry = read_entry("1-1", candidate)
            if isinstance(entry, Ballots):
                records(entry, "org", 0, 1)
        except EntryError as error:
            assert error.entry_id == "1-1" and error.reason
