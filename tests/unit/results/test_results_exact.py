"""No count that leaves is one that JavaScript would round: at every door it is exact, or it is not there."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.clock import Clock
from broadcast_sync.hub.cable_views import detailed_update, episode_results, vote_update
from broadcast_sync.show.excerpt import results_told
from broadcast_sync.show.views import state_update
from broadcast_sync.wire import server
from broadcast_sync.wire.codecs import EXACT
from results import board
from results.events import _of_rows, _of_standing
from results.leaderboard import LineUp
from results.listing import Listing, Roster
from results.snapshots import Moment, Snapshot
from results.standing import Standing
from tests.support.stages import NOW, SetClock, after, on_air, open_voting
from voting.api.tallies import Tallies
from voting.ballot.gates import Turnout

PEOPLE = [server.ContestantInfo(f"c0{n}", n, f"Name {n}", "", "active") for n in range(1, 4)]
STAGE = after(on_air(), open_voting())
NEAR = st.integers(0, 4).map(lambda less: EXACT // 3 + 2 - less)
"""Three of these are about as many as can be counted exactly."""
COUNTS = st.lists(st.one_of(st.integers(0, 2**63), NEAR, st.integers(0, 9)), min_size=3, max_size=3)


def made(counts: Sequence[int]) -> board.Board:
    line_up = LineUp(PEOPLE)
    told = dict(zip(line_up.ids, counts, strict=True))
    return board.board_of(line_up, told, NOW, turnout=Turnout({"free": sum(counts)}, 3))


def result(counts: Sequence[int]) -> server.ResultsReady:
    told, total = {one.id: count for one, count in zip(PEOPLE, counts, strict=True)}, sum(counts)
    certificate = {"counts": told, "ledgerCounts": told, "tallyTotal": total, "votesByType": {"free": told}}
    return server.ResultsReady("w1", board.rows(told, PEOPLE), total, True, total, certificate)


def listed(listing: Listing) -> list[Any]:
    return [[listing.row(place) for place in listing.places("popular")], listing.best(9), listing.counts]


def cable(counts: Sequence[int]) -> list[Any]:
    live, alone = board.live_results(made(counts), NOW), board.contestant_update(made(counts), 0)
    return [episode_results(state_update(STAGE), live, ""), vote_update(1, alone), detailed_update(1, alone, NOW)]


DOORS: dict[str, Callable[[Sequence[int]], Any]] = {
    "LIVE_RESULTS": lambda counts: board.live_results(made(counts), NOW),
    "VOTE_UPDATE": lambda counts: board.vote_update(made(counts)),
    "CONTESTANT_UPDATE": lambda counts: [board.contestant_update(made(counts), place) for place in range(3)],
    "the greeting of a contestant's channel": lambda counts: [
        json.loads(kept)["data"] for kept in Standing.of("w1", made(counts)).contestants().values()
    ],
    "RESULTS_READY with its certificate": lambda counts: results_told(result(counts)),
    "the stored result": result,
    "ActionCable": cable,
    "contestants over HTTP": lambda counts: listed(
        Listing(Roster(PEOPLE), _of_standing(Standing.of("w1", made(counts))))
    ),
    "contestants of a result over HTTP": lambda counts: listed(Listing(Roster(PEOPLE), _of_rows(
        result(counts).results, sum(counts), {"votesByType": {"free": {"c01": sum(counts)}}}
    ))),
    "boards for replay": lambda counts: [
        Snapshot("w1", "", sum(counts), 3, 3, made(counts).rows()), Moment("", sum(counts), 3, made(counts).rows(3))
    ],
}


def numbers(value: Any) -> Iterator[int]:
    if isinstance(value, int) and not isinstance(value, bool):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, list):
        for item in value:
            yield from numbers(item)


def exact(told: Any) -> bool:
    """Whether a JavaScript client reads every number as it is: it has doubles only."""
    found = list(numbers(json.loads(msgspec.json.encode(told))))
    return all(number <= EXACT and int(float(number)) == number for number in found)


@pytest.mark.parametrize("door", DOORS)
@given(COUNTS)
def test_a_count_is_exact_or_not_there(door: str, counts: list[int]) -> None:
    if sum(counts) > EXACT:
        with pytest.raises(OverflowError):
            DOORS[door](counts)
    else:
        told = DOORS[door](counts)
        assert exact(told) and max(counts) in set(numbers(json.loads(msgspec.json.encode(told))))


class Engine:
    def __init__(self, counts: Sequence[int]) -> None:
        self._counts = {one.id: count for one, count in zip(PEOPLE, counts, strict=True)}

    async def tallies(self, window_id: str) -> dict[str, int]:
        return self._counts

    async def votes_of(self, window_id: str, contestant_id: str) -> int:
        return self._counts[contestant_id]


@given(COUNTS)
async def test_the_mobile_api_tells_exact_counts_or_none(counts: list[int]) -> None:
    clock: Clock = SetClock()
    tallies = Tallies(Engine(counts), clock)
    told = [await tallies.of(STAGE), *[await tallies.exactly(STAGE, one.id) for one in PEOPLE]]
    assert exact(told)
    assert (told[0] is None) == (sum(counts) > EXACT)


def test_what_is_exact_is_what_javascript_says() -> None:
    assert exact([EXACT]) and not exact([EXACT + 1]) and not exact({"a": [2**53 + 1]})
    assert math.nextafter(float(EXACT), math.inf) == EXACT + 1
