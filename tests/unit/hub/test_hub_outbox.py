"""What waits for a slow client: order, replacement, bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.hub.outbox import Key, Outbox, Progress
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


class Model:
    """The same rules in the plainest words: a list of what waits, oldest first."""

    def __init__(self, messages: int, size: int) -> None:
        self.messages, self.bytes = messages, size
        self.line: list[tuple[Delivery, Key, bytes]] = []

    def fits(self, line: list[tuple[Delivery, Key, bytes]], frame: bytes) -> bool:
        waiting = sum(len(held) for _, _, held in line)
        return not line or (len(line) < self.messages and waiting + len(frame) <= self.bytes)

    def put(self, delivery: Delivery, key: Key, frame: bytes) -> bool:
        if delivery is NEWEST:
            self.line = [entry for entry in self.line if entry[0] is not NEWEST or entry[1] != key]
            if self.fits(self.line, frame):
                self.line.append((delivery, key, frame))
            return True
        line = list(self.line)
        while not self.fits(line, frame):
            news = next((entry for entry in line if entry[0] is NEWEST), None)
            if news is None:
                return False
            line.remove(news)
        self.line = [*line, (delivery, key, frame)]
        return True

    def pop(self) -> bytes:
        return self.line.pop(0)[2]


Step = tuple[Delivery, int, int] | None
"""Delivery, kind and length of what arrives; None is the client taking one."""


@given(
    st.integers(1, 6),
    st.integers(10, 60),
    st.lists(st.none() | st.tuples(st.sampled_from(Delivery), st.integers(0, 2), st.integers(1, 40)), max_size=60),
)
def test_does_what_a_plain_model_does(messages: int, size: int, steps: list[Step]) -> None:
    outbox, model = Outbox(messages, size), Model(messages, size)
    for serial, step in enumerate(steps):
        if step is None:
            if len(outbox):
                assert outbox.pop() == model.pop()
        else:
            delivery, kind, length = step
            frame = f"{serial}:".encode().ljust(length, b".")
            key = ("c", str(kind))
            assert outbox.put(delivery, key, frame) is model.put(delivery, key, frame)
        assert len(outbox) == len(model.line) <= messages
        assert outbox.size == sum(len(held) for _, _, held in model.line)
        assert outbox.size <= size or len(outbox) == 1
    assert drained(outbox) == [held for _, _, held in model.line]
    assert outbox.size == 0


def test_progress_is_what_was_taken() -> None:
    progress = Progress(1000, 0.0)
    assert progress.stuck_s(1000, 2.5) == 2.5
    assert progress.stuck_s(999, 5.0) == 0  # one byte is enough to live on
    assert progress.stuck_s(1010, 7.5) == 2.5  # a ping of ours is no merit of the client's
    assert progress.stuck_s(1010, 15.0) == 10.0
    assert progress.stuck_s(900, 17.5) == 0
