"""Who is sent what, in which order, and that others get a turn: the fan-out with sessions of paper."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
import pytest

from broadcast_sync.hub import fanout as fanout_module
from broadcast_sync.hub.channels import Channels, Place
from broadcast_sync.hub.fanout import LARGE, STRIDE, Fanout
from broadcast_sync.hub.metrics import Counts
from broadcast_sync.hub.session import Session
from broadcast_sync.wire.codecs import JSON
from broadcast_sync.wire.formats import PLAIN_JSON, PLAIN_MSGPACK, Format
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import Countdown, Envelope, LeanRow, VoteUpdate, Warning_
from broadcast_sync.wire.times import iso
from broadcast_sync.wire.visibility import beside

ALL = [f"s{number}" for number in range(3 * STRIDE)]


class Paper:
    """A session that keeps what it is given, and tells the rig."""

    def __init__(self, name: str, rig: Rig, format: Format) -> None:
        self.name, self.format, self.ready = name, format, True
        self.channels: dict[str, Place] = {}
        self.acked: Place | None = None
        self.got: list[bytes] = []
        self.closed = 0
        self.sees = True
        self._rig = rig

    def write(self, frame: bytes) -> None:
        self.got.append(frame)
        self._rig.order.append(self.name)

    def send(self, prepared: Prepared) -> None:
        if not self.closed:
            self.write(prepared.frame_for(self.format))

    def sees_counts(self) -> bool:
        return self.sees

    def close(self, code: int) -> None:
        self.closed = code
        self._rig.order.append(self.name)
        self._rig.channels.forget(cast(Session, self))


class Rig:
    """A fan-out whose every slice is over after its first stride."""

    def __init__(self) -> None:
        self.channels, self.counts = Channels(), Counts()
        self.fanout = Fanout(self.channels, self.counts, 0.0)
        self.papers: dict[str, Paper] = {}
        self.order: list[str] = []

    def join(self, *names: str, channel: str = "show", place: Place = ("e", 0), format: Format = PLAIN_JSON) -> None:
        for name in names:
            paper = self.papers.setdefault(name, Paper(name, self, format))
            self.channels.join(cast(Session, paper), channel, place)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.fanout.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def settle(self) -> int:
        """Until all is sent; the turns of the loop that it took."""
        turns = 0
        async with self.running():
            while self.fanout.waiting:
                await asyncio.sleep(0)
                turns += 1
        return turns

    async def first_slice(self) -> None:
        """Until somebody has been sent something."""
        async with self.running():
            while not self.order:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def board(total: int, rows: int = 0) -> Prepared:
    return Prepared.of(VoteUpdate([LeanRow("c" * 20, 10**6, 99.9, 1)] * rows, total), 0, "show")


def event(offset: int, epoch: str = "e", channel: str = "show") -> Prepared:
    envelope = Envelope("WARNING", Warning_("w", offset), iso(0), channel, epoch, offset)
    return Prepared.received(msgspec.json.encode(envelope))


def totals(paper: Paper) -> list[int]:
    """What it got, by the number in it."""
    found = []
    for frame in paper.got:
        data: Any = msgspec.json.decode(frame[frame.index(b"{") :])["data"]
        found.append(data.get("totalVotes", data.get("remaining")))
    return found


async def test_everybody_once_and_others_between_the_slices(rig: Rig) -> None:
    rig.join(*ALL)
    rig.fanout.publish(board(1), "show")
    assert await rig.settle() >= 3
    assert sorted(rig.order) == sorted(ALL)
    assert rig.counts.deliveries == len(ALL)
    assert len({id(paper.got[0]) for paper in rig.papers.values()}) == 1


async def test_counts_for_screens_ask_each_at_the_moment_of_sending(rig: Rig) -> None:
    channel = beside("results")
    rig.join("a", "b", "c", channel=channel)
    rig.papers["b"].sees = False
    rig.fanout.publish(board(1), channel)
    await rig.settle()
    rig.papers["b"].sees, rig.papers["c"].sees = True, False
    rig.fanout.publish(board(2), channel)
    await rig.settle()
    assert [totals(rig.papers[name]) for name in "abc"] == [[1, 2], [2], [1]]
    assert rig.counts.deliveries == 4


async def test_whom_it_begins_with_changes(rig: Rig) -> None:
    rig.join(*ALL)
    firsts, lasts = set(), set()
    for number in range(40):
        rig.order.clear()
        rig.fanout.publish(board(number), "show")
        await rig.settle()
        firsts.add(rig.order[0])
        lasts.add(rig.order[-1])
    assert len(firsts) > 5 and len(lasts) > 5


async def test_what_must_arrive_overtakes_a_board_half_done(rig: Rig) -> None:
    rig.join(*ALL)
    rig.fanout.publish(board(1), "show")
    await rig.first_slice()
    served = set(rig.order)
    rig.fanout.publish(event(1), "show")
    rig.fanout.publish(event(2), "show")
    await rig.settle()
    for paper in rig.papers.values():
        assert totals(paper) == ([1, 1, 2] if paper.name in served else [1, 2, 1])


async def test_a_board_holds_the_loop_for_less_at_a_time_than_what_must_arrive(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(1_000_000))
    monkeypatch.setattr(fanout_module, "monotonic", lambda: next(ticks) / 1000)  # every look at it is a ms later
    rig.fanout = Fanout(rig.channels, rig.counts, 0.01)
    rig.join(*[f"s{number}" for number in range(30 * STRIDE)])
    rig.fanout.publish(event(1), "show")
    urgent = await rig.settle()
    rig.fanout.publish(board(1), "show")
    assert await rig.settle() >= 3 * urgent


async def test_a_board_that_waits_is_replaced_and_keeps_its_turn(rig: Rig) -> None:
    rig.join("a")
    rig.fanout.publish(board(1), "show")
    rig.fanout.publish(Prepared.of(Countdown(9), 0, "show"), "show")
    rig.fanout.publish(board(2), "show")
    await rig.settle()
    assert totals(rig.papers["a"]) == [2, 9]


async def test_a_position_that_has_the_message_already_does_not_get_it_twice(rig: Rig) -> None:
    rig.join("behind", place=("e", 1))
    rig.join("level", place=("e", 2))
    rig.join("elsewhere", place=("old", 7))
    rig.fanout.publish(event(2), "show")
    await rig.settle()
    assert [totals(rig.papers[name]) for name in ("behind", "level", "elsewhere")] == [[2], [], [2]]
    assert {paper.channels["show"] for paper in rig.papers.values()} == {("e", 2)}


async def test_who_joins_or_leaves_meanwhile(rig: Rig) -> None:
    rig.join(*ALL)
    rig.fanout.publish(board(1), "show")
    await rig.first_slice()
    gone = next(name for name in ALL if name not in rig.order)
    rig.channels.leave(cast(Session, rig.papers[gone]), "show")
    rig.join("late")
    await rig.settle()
    assert sorted(rig.order) == sorted(set(ALL) - {gone})


async def test_a_large_message_is_made_a_format_a_slice_before_anybody_has_it(rig: Rig) -> None:
    made: list[int] = []

    class Slow(Format):
        def frame(self, prepared: Prepared) -> bytes:
            made.append(len(rig.order))
            return prepared.payload(self.codec)

        def reply(self, envelope: Envelope) -> bytes:
            return b""

    rig.join("a", "b", format=Slow(JSON))
    rig.join("c", format=PLAIN_MSGPACK)
    rig.join("d", format=Slow(JSON))
    large = board(1, 1_500)
    assert len(large.json) > LARGE
    rig.fanout.publish(large, "show")
    async with rig.running():
        for formats in (1, 2, 3):
            await asyncio.sleep(0)
            assert len(large._frames) == formats and rig.order == []
    await rig.settle()
    assert made == [0, 0] and sorted(rig.order) == ["a", "b", "c", "d"]


async def test_one_that_cannot_be_made_does_not_stop_the_others(rig: Rig) -> None:
    class Broken(Format):
        def frame(self, prepared: Prepared) -> bytes:
            raise ValueError("not this one")

        def reply(self, envelope: Envelope) -> bytes:
            return b""

    rig.join("a", format=Broken(JSON))
    rig.fanout.publish(board(1), "show")
    rig.papers["a"].format = PLAIN_JSON
    rig.join("b", channel="results", format=Broken(JSON))
    rig.fanout.publish(board(2), "results")
    await rig.settle()
    assert totals(rig.papers["a"]) == [1] and rig.papers["b"].got == []
    assert rig.counts.errors == 1


async def test_an_overflow_sends_its_channel_away_in_slices(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout_module, "MAX_WAITING", 4)
    rig.join(*ALL)
    rig.join("other", channel="results")
    rig.fanout.publish(event(1, channel="results"), "results")
    for offset in range(1, 5):
        rig.fanout.publish(event(offset), "show")
    rig.join("newcomer", place=("e", 4))
    assert rig.fanout.waiting == 2  # what waited for those who go is given up, and their going is one
    assert await rig.settle() >= 3
    assert {rig.papers[name].closed for name in ALL} == {4004}
    assert all(not rig.papers[name].got for name in ALL)
    assert totals(rig.papers["other"]) == [1] and rig.papers["newcomer"].closed == 0


async def test_nobody_there(rig: Rig) -> None:
    rig.fanout.publish(board(1), "show")
    assert not rig.fanout.waiting
    rig.join("a")
    rig.fanout.publish(board(2), "show")
    rig.papers["a"].close(1000)
    await rig.settle()
    assert rig.papers["a"].got == []
