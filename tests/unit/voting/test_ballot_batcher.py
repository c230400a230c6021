"""The batcher against a scripted engine: when it flushes, what it bounds, what it does when the engine fails."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, cast

import msgspec
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError, OutOfMemoryError, ReadOnlyError, ResponseError, TimeoutError

from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.settings import Voting
from tests.support.ballots import FixedClock
from voting.ballot.answer import BEFORE, TAKEN, UNKNOWN, Answer, read_answers
from voting.ballot.batcher import (
    BALLOT_VALUES,
    IN_FLIGHT,
    Batcher,
    Order,
    Room,
    script_ballot,
    script_batch,
    script_orders,
)
from voting.ballot.metrics import BallotMetrics


class FakeEngine:
    """Answers each call when the test says so. `calls` are (window id, number of ballots)."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.replies: list[asyncio.Future[Any]] = []
        self.arrived = asyncio.Event()

    async def script_load(self, source: str) -> str:
        return "sha"

    async def evalsha(self, sha: str, count: int, *arguments: Any) -> Any:
        window_id, batch = arguments[count], arguments[count + 2]
        self.calls.append((window_id, int.from_bytes(batch[1:5], "big") // BALLOT_VALUES))
        self.replies.append(asyncio.get_running_loop().create_future())
        self.arrived.set()
        return await self.replies[-1]

    async def until(self, calls: int) -> None:
        while len(self.calls) < calls:
            self.arrived.clear()
            await self.arrived.wait()

    def take(self, call: int) -> None:
        """All of a call's ballots are taken."""
        self.replies[call].set_result([msgspec.msgpack.encode([[TAKEN, []]] * self.calls[call][1])])


class Desk:
    def __init__(self, queue_max: int = 100, batch_max: int = 4, batch_wait_ms: float = 1000) -> None:
        self.engine = FakeEngine()
        self.answers: list[tuple[str, Answer]] = []
        self.room = Room(queue_max)
        self.metrics = BallotMetrics()
        settings = Voting(batch_max=batch_max, batch_wait_ms=batch_wait_ms)
        self.batcher = Batcher(
            settings, FixedClock(5), cast(Redis, self.engine), ShardKeys("default", 0), self.room, self.metrics
        )

    def put(self, *names: str, window: str = "w") -> list[bool]:
        return [self.batcher.put(window, Order(1, b"\xc0"), b"", 1, partial(self._answered, name)) for name in names]

    def _answered(self, name: str, answer: Answer) -> None:
        self.answers.append((name, answer))

    @property
    def verdicts(self) -> list[tuple[str, int]]:
        return [(name, answer.verdict) for name, answer in self.answers]


async def test_idle_it_takes_at_once_what_came_in_one_turn() -> None:
    desk = Desk()
    desk.put("a", "b")
    assert desk.engine.calls == []
    await desk.engine.until(1)
    assert desk.engine.calls == [("w", 2)]
    desk.engine.take(0)
    await desk.batcher.drain()
    assert desk.verdicts == [("a", TAKEN), ("b", TAKEN)]
    assert desk.room.taken == 0


async def test_busy_it_collects_until_the_call_returns() -> None:
    desk = Desk()
    desk.put("a")
    await desk.engine.until(1)
    desk.put("b", "c", "d")
    assert len(desk.engine.calls) == 1
    desk.engine.take(0)
    await desk.engine.until(2)
    assert desk.engine.calls[1] == ("w", 3)
    desk.engine.take(1)
    await desk.batcher.drain()
    assert [name for name, _ in desk.verdicts] == ["a", "b", "c", "d"]


async def test_busy_a_full_batch_goes_at_once_but_no_more_than_the_bound() -> None:
    desk = Desk()
    desk.put("a")
    await desk.engine.until(1)
    desk.put(*"bcdefghijk")
    await desk.engine.until(2)
    assert desk.engine.calls == [("w", 1), ("w", 4)]
    assert len(desk.engine.replies) == IN_FLIGHT
    desk.engine.take(1)
    await desk.engine.until(3)
    assert desk.engine.calls[2] == ("w", 4)
    desk.engine.take(0)
    desk.engine.take(2)
    await desk.engine.until(4)
    desk.engine.take(3)
    await desk.batcher.drain()
    assert len(desk.answers) == 11


async def test_busy_the_wait_is_bounded() -> None:
    desk = Desk(batch_wait_ms=1)
    desk.put("a")
    await desk.engine.until(1)
    desk.put("b")
    await desk.engine.until(2)  # although the first call has not returned and no batch is full
    desk.engine.take(1)
    desk.engine.take(0)
    await desk.batcher.drain()
    assert desk.verdicts == [("b", TAKEN), ("a", TAKEN)]


async def test_a_batch_is_of_one_window() -> None:
    desk = Desk()
    desk.put("a", "b", window="w1")
    desk.put("c", window="w2")
    await desk.engine.until(2)
    assert desk.engine.calls == [("w1", 2), ("w2", 1)]
    desk.engine.take(0)
    desk.engine.take(1)
    await desk.batcher.drain()


async def test_a_full_queue_takes_nothing_more_until_answers_come() -> None:
    desk = Desk(queue_max=3)
    assert desk.put("a", "b", "c", "d") == [True, True, True, False]
    await desk.engine.until(1)
    assert desk.put("e") == [False]
    desk.engine.take(0)
    await desk.batcher.drain()
    assert desk.put("e") == [True]
    await desk.engine.until(2)
    desk.engine.take(1)
    await desk.batcher.drain()
    assert [name for name, _ in desk.verdicts] == ["a", "b", "c", "e"]


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("gone"), TimeoutError("late"), OSError("gone"), ReadOnlyError("replica"),
        OutOfMemoryError("full"), ResponseError("BUSY running a script"), ResponseError("MISCONF disk"),
        ResponseError("user_script:1: oops"), RuntimeError("not expected"),
    ],
    ids=repr,
)
async def test_when_the_engine_fails_the_outcome_is_unknown(error: Exception) -> None:
    desk = Desk()
    desk.put("a", "b")
    await desk.engine.until(1)
    desk.engine.replies[0].set_exception(error)
    await desk.batcher.drain()
    assert desk.verdicts == [("a", UNKNOWN), ("b", UNKNOWN)]
    assert desk.room.taken == 0
    desk.put("a")
    await desk.engine.until(2)
    desk.engine.take(1)
    await desk.batcher.drain()
    assert desk.verdicts[-1] == ("a", TAKEN)


@pytest.mark.parametrize("reply", [[], [b"\x91\x92\x00\x90"], [b"junk"], None, [b"\x92\x92\x01\x90\x92\x01\x90"]])
async def test_a_reply_that_makes_no_sense_is_no_ack(reply: object) -> None:
    desk = Desk()
    desk.put("a", "b")
    await desk.engine.until(1)
    desk.engine.replies[0].set_result(reply)
    await desk.batcher.drain()
    assert desk.verdicts == [("a", UNKNOWN), ("b", UNKNOWN)]


async def test_every_number_is_counted() -> None:
    desk = Desk()
    desk.metrics.waiting = lambda: desk.room.taken
    desk.put("a", "b")
    desk.metrics.refused["BUSY"] += 2
    shown = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in desk.metrics.collect()
        for sample in metric.samples
    }
    assert shown["broadcast_sync_ballots_waiting",] == 2
    assert shown["broadcast_sync_ballots_refused_total", "BUSY"] == 2
    await desk.engine.until(1)
    desk.engine.take(0)
    await desk.batcher.drain()
    sizes = next(metric for metric in desk.metrics.collect() if metric.name == "broadcast_sync_ballot_batch_size")
    assert {sample.name: sample.value for sample in sizes.samples}["broadcast_sync_ballot_batch_size_sum"] == 2


def test_answers_are_read_in_order() -> None:
    packed = msgspec.msgpack.encode([[TAKEN, [4, 0]], [BEFORE, []], [2, [1, 600]], [BEFORE, []]])
    first, second, third, fourth = read_answers([packed, b"one", b"two"], 4)
    assert (first.verdict, first.values) == (TAKEN, [4, 0])
    assert (second.first, fourth.first) == (b"one", b"two")
    assert third.values == [1, 600]
    with pytest.raises(ValueError, match="4 answers and 2 first ones to 5"):
        read_answers([packed, b"one", b"two"], 5)


def test_a_batch_is_one_array_of_values_and_its_orders_one_map() -> None:
    made = script_ballot(("u1", "id", 7, "c1", 3), b"row", b"ack")
    assert msgspec.msgpack.decode(script_batch([made, made])) == ["u1", "id", 7, "c1", 3, "row", "ack"] * 2
    orders = {3: msgspec.msgpack.encode([1, []]), 2**40: msgspec.msgpack.encode([2, []])}
    assert msgspec.msgpack.decode(script_orders(orders), strict=False) == {3: [1, []], 2**40: [2, []]}
