"""Comparing and reading, without an engine."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.ids import uuid7
from voting.ledger.entries import Ballots, EntryError, StreamId, read_entry
from voting.ledger.recount import compare, reached
from voting.ledger.rows import COLUMNS, binary_rows
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
    made = list(read_back(binary_rows(entry, "org", 3, 7)))
    assert all(len(columns) == len(COLUMNS) for columns in made)
    for row, columns in zip(rows, made, strict=True):
        vote_id, *texts_and_amounts, received, metadata = row
        voter, contestant, kind, count, weight, client_id = texts_and_amounts
        assert columns[:4] == [b"org", pack(7), window.bytes, b"\0\3"]
        assert columns[4:8] == [text(contestant), text(kind), pack(count), pack(weight)]
        assert struct.unpack(">q", columns[8] or b"")[0] / 1000 + 946_684_800_000 == received
        assert columns[9:12] == [vote_id, text(voter), text(client_id)]
        assert columns[12] == (None if metadata is None else text(metadata))


def pack(number: object) -> bytes:
    return struct.pack(">i", number)


def text(value: object) -> bytes:
    return str(value).replace("\0", "\ufffd").encode()


def read_back(data: bytes) -> Iterator[list[bytes | None]]:
    """Rows of a binary COPY as lists of fields."""
    at = 0
    while at < len(data):
        [count], at = struct.unpack_from(">h", data, at), at + 2
        fields: list[bytes | None] = []
        for _ in range(count):
            [size], at = struct.unpack_from(">i", data, at), at + 4
            fields.append(None if size < 0 else data[at : at + size])
            at += max(0, size)
        yield fields


@given(st.dictionaries(st.sampled_from([b"k", b"w", b"n", b"v", b"d"]), st.binary(max_size=40)), st.binary(max_size=60))
def test_no_bytes_make_anything_but_an_entry_error(fields: dict[bytes, bytes], payload: bytes) -> None:
    for candidate in (fields, fields | {b"k": b"b", b"w": str(uuid7()).encode(), b"n": b"1", b"v": payload}):
        try:
            entry = read_entry("1-1", candidate)
            if isinstance(entry, Ballots):
                binary_rows(entry, "org", 0, 1)
        except EntryError as error:
            assert error.entry_id == "1-1" and error.reason
