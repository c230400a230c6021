"""PURE: counts -> ranks and percentages, for a dozen contestants or for thousands.

Everything is in columns, one value a contestant, in the order of the window's line-up: of 5,000 contestants only those
rows are made that go out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from broadcast_sync.wire.codecs import EXACT
from broadcast_sync.wire.server import ContestantInfo


class LineUp:
    """The contestants of a window, and what is made of them once."""

    def __init__(self, contestants: Sequence[ContestantInfo]) -> None:
        self.people: Final = tuple(contestants)
        self.ids: Final = [person.id for person in self.people]
        self.places: Final = {name: place for place, name in enumerate(self.ids)}
        self.by_number: Final = sorted(range(len(self.ids)), key=lambda place: self.people[place].number)

    def column(self, counts: Mapping[str, int]) -> list[int]:
        """Votes in the order of the line-up; those for anybody else are no part of a board."""
        return [counts.get(name, 0) for name in self.ids]

    def __len__(self) -> int:
        return len(self.ids)


class Ranking(Struct, frozen=True):
    """Who stands where. `order` are the places in the line-up, best first; `counts`, `ranks` and `tenths` (percentages
    in tenths) have one value for each place of the line-up."""

    counts: Sequence[int]
    order: list[int]
    ranks: list[int]
    tenths: list[int]
    total: int


def ranking(line_up: LineUp, counts: Sequence[int]) -> Ranking:
    """Equal counts share a rank (1, 1, 3) and stand in contestant-number order. Raises OverflowError when there are
    more votes than JavaScript can count: nobody is shown a rounded count."""
    total = sum(counts)
    if total > EXACT:
        raise OverflowError(f"more votes than can be shown exactly ({EXACT})")  # how many is not for the log
    order = _ordered(line_up, counts)
    descending = [counts[place] for place in order]
    return Ranking(counts, order, _placed(order, ranks(descending)), _placed(order, tenths(descending)), total)


def ranked(line_up: LineUp, counts: Sequence[int]) -> list[int] | None:
    """The ranks alone, of a board that has been; None if nothing was ranked, as there were no votes."""
    if not any(counts):
        return None
    order = _ordered(line_up, counts)
    return _placed(order, ranks([counts[place] for place in order]))


def _ordered(line_up: LineUp, counts: Sequence[int]) -> list[int]:
    return sorted(line_up.by_number, key=counts.__getitem__, reverse=True)  # stable: numbers decide among equals


def _placed(order: Sequence[int], values: Sequence[int]) -> list[int]:
    """Values that stand in the order of the board, in the order of the line-up."""
    found = [0] * len(order)
    for place, value in zip(order, values, strict=True):
        found[place] = value
    return found


def ranks(descending: Sequence[int]) -> list[int]:
    """Ranks of counts that stand in descending order; equal counts share one (1, 1, 3)."""
    given: list[int] = []
    rank, last = 0, -1
    for index, count in enumerate(descending, 1):
        if count != last:
            rank, last = index, count
        given.append(rank)
    return given


def tenths(descending: Sequence[int]) -> list[int]:
    """Tenths of a percent of the sum, of counts that stand in descending order, that add up to exactly 1000 (largest
    remainder, the larger count and then the earlier first); all 0 when there are no votes. A larger count never has the
    smaller share."""
    total = sum(descending)
    if total == 0:
        return [0] * len(descending)
    shares = [count * 1000 // total for count in descending]
    remainders = [count * 1000 % total for count in descending]
    missing = 1000 - sum(shares)
    for index in sorted(range(len(shares)), key=remainders.__getitem__, reverse=True)[:missing]:
        shares[index] += 1
    return shares


def changes(now: Sequence[int], then: Sequence[int] | None) -> list[int]:
    """Places gained between two boards' ranks, negative if lost; 0 while nothing was ranked then."""
    if then is None:
        return [0] * len(now)
    return [before - rank for before, rank in zip(then, now, strict=True)]
