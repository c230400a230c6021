"""What waits for a slow client: order, replacement, bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.hub.outbox import Outbox
from broadcast_sync.wire.delivery import Delivery

MUST, NEWEST, REPLY = Delivery.MUST_ARRIVE, Delivery.NEWEST_ONLY, Delivery.REPLY
BOARD = ("results", "LIVE_RESULTS")
TICK = ("show", "COUNTDOWN")
NONE = (None, "")


def drained(outbox: Outbox) -> list[bytes]:
    return [outbox.pop() for _ in range(len(outbox))]


def test_in_order_of_arrival() -> None:
    outbox = Outbox(8, 100)
    outbox.put(MUST, NONE, b"1")
    outbox.put(NEWEST, BOARD, b"2")
    outbox.put(REPLY, NONE, b"3")
    assert drained(outbox) == [b"1", b"2", b"3"]
    assert outbox.size == 0


def test_news_replaces_older_news_of_its_kind_and_goes_to_the_end() -> None:
    outbox = Outbox(8, 100)
    outbox.put(NEWEST, BOARD, b"old board")
    outbox.put(MUST, NONE, b"closed")
    outbox.put(NEWEST, TICK, b"3")
    outbox.put(NEWEST, BOARD, b"board")
    outbox.put(NEWEST, TICK, b"2")
    assert drained(outbox) == [b"closed", b"board", b"2"]


def test_overflow_takes_nothing() -> None:
    outbox = Outbox(2, 100)
    assert outbox.put(MUST, NONE, b"1")
    assert outbox.put(REPLY, NONE, b"2")
    assert not outbox.put(MUST, NONE, b"3")
    assert drained(outbox) == [b"1", b"2"]


def test_news_makes_room_and_never_overflows() -> None:
    outbox = Outbox(8, 10)
    assert outbox.put(NEWEST, BOARD, b"12345")
    assert outbox.put(MUST, NONE, b"1234567890")
    assert outbox.put(NEWEST, BOARD, b"1")
    assert drained(outbox) == [b"1234567890"]


def test_news_is_kept_when_giving_it_up_would_not_help() -> None:
    outbox = Outbox(8, 10)
    outbox.put(MUST, NONE, b"123456")
    outbox.put(NEWEST, BOARD, b"12")
    assert not outbox.put(MUST, NONE, b"123456")
    assert drained(outbox) == [b"123456", b"12"]


def test_an_empty_outbox_takes_one_of_any_size() -> None:
    outbox = Outbox(8, 10)
    assert outbox.put(REPLY, NONE, b"x" * 50)
    assert not outbox.put(REPLY, NONE, b"y")
    assert drained(outbox) == [b"x" * 50]


def test_pop_of_an_empty_one() -> None:
    with pytest.raises(KeyError):
        Outbox(8, 10).pop()


Step = tuple[Delivery, int, int]


steps_of_all_kinds = st.lists(st.tuples(st.sampled_from(Delivery), st.integers(0, 2), st.integers(1, 40)))


@given(st.integers(1, 6), st.integers(10, 60), steps_of_all_kinds)
def test_against_a_model(messages: int, size: int, steps: list[Step]) -> None:
    """Whatever arrives: bounds hold, what must arrive is there in order, of news only the newest of a kind."""
    outbox = Outbox(messages, size)
    kept: list[bytes] = []
    newest: dict[tuple[str, str], bytes] = {}
    for serial, (delivery, kind, length) in enumerate(steps):
        key = ("c", str(kind))
        frame = f"{serial}:".encode().ljust(length, b".")
        if outbox.put(delivery, key, frame):
            if delivery is NEWEST:
                newest[key] = frame
            else:
                kept.append(frame)
        else:
            assert delivery is not NEWEST
        assert len(outbox) <= messages
        assert outbox.size <= size or len(outbox) == 1
    frames = drained(outbox)
    assert [frame for frame in frames if frame not in newest.values()] == kept
    assert all(frame in kept or frame in newest.values() for frame in frames)
    assert outbox.size == 0
