"""PURE: the contestants of an event as lists ask for them: filtered, sorted, by page and by cursor, with counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final, Literal

from msgspec import Struct

from broadcast_sync.wire.server import BoardRow, ContestantInfo
from results.compact import formatted
from results.search import SearchIndex, folded

Sort = Literal["popular", "name", "number"]


class Counted(Struct, frozen=True):
    """What is public of one contestant's votes; `tenths` of a percent."""

    count: int
    tenths: int
    rank: int
    change: int
    trend: str


class Counts(Struct, frozen=True):
    """A board as it may be read: by contestant, best first in `order`. `types` and `voters` are None if not known."""

    at: str
    total: int
    order: Sequence[str]
    by_id: Mapping[str, Counted]
    types: Mapping[str, int] | None = None
    voters: int | None = None


class ContestantRow(Struct, frozen=True, rename="camel"):
    """A contestant with what is public of their votes: null, all of it, while nothing is."""

    id: str
    number: int
    name: str
    khmer_name: str
    photo_url: str
    hometown: str
    category: str
    status: str
    vote_count: int | None
    formatted_count: str | None
    percentage: float | None
    rank: int | None
    change: int | None
    trend: str | None


class Roster:
    """The line-up of an event, and what is made of it once: 5,000 contestants take some 50 ms, so not on the loop."""

    def __init__(self, people: Sequence[ContestantInfo]) -> None:
        self.people: Final = tuple(people)
        self.places: Final = {person.id: place for place, person in enumerate(self.people)}
        self.index: Final = SearchIndex(self.people)
        self.by_number: Final = sorted(range(len(self.people)), key=lambda place: self.people[place].number)
        self.by_name: Final = sorted(
            self.by_number, key=lambda place: (folded(self.people[place].name), self.people[place].number)
        )


Key = tuple[int | str, int]
"""Where a contestant stands in a list: by what it is sorted, then the number, which is unique."""


class Listing:
    """A roster with the counts of a moment, None while none are public: then `popular` is the order of numbers."""

    def __init__(self, roster: Roster, counts: Counts | None, locale: str = "en") -> None:
        self.roster: Final = roster
        self.counts: Final = counts
        self._locale = locale

    @cached_property
    def _popular(self) -> list[int]:
        places, by_number = self.roster.places, self.roster.by_number
        if self.counts is None:
            return by_number
        standing = [places[name] for name in self.counts.order if name in places]
        ranked = set(standing)
        return [*standing, *[place for place in by_number if place not in ranked]]

    def places(self, sort: Sort, search: str | None = None, category: str | None = None) -> Sequence[int]:
        """Who is asked for, in order."""
        everybody = {"popular": self._popular, "name": self.roster.by_name, "number": self.roster.by_number}[sort]
        if search is None and category is None:
            return everybody
        found = everybody if search is None else _among(everybody, self.roster.index.find(search))
        if category is None:
            return found
        return [place for place in found if self.roster.people[place].category == category]

    def key(self, place: int, sort: Sort) -> Key:
        """Where a contestant stands: keys grow along the list."""
        person = self.roster.people[place]
        if sort == "number":
            return 0, person.number
        if sort == "name":
            return folded(person.name), person.number
        counted = None if self.counts is None else self.counts.by_id.get(person.id)
        return (1 if counted is None else -counted.count), person.number

    def after(self, places: Sequence[int], sort: Sort, key: Key) -> Sequence[int]:
        """Those behind `key`, which need not be anybody's any more: counts change between two pages."""
        low, high = 0, len(places)
        while low < high:
            middle = (low + high) // 2
            if self.key(places[middle], sort) > key:
                high = middle
            else:
                low = middle + 1
        return places[low:]

    def row(self, place: int) -> ContestantRow:
        person = self.roster.people[place]
        counted = None if self.counts is None else self.counts.by_id.get(person.id)
        about = (
            person.id, person.number, person.name, person.khmer_name, person.photo_url, person.hometown,
            person.category, person.status,
        )
        if counted is None:
            return ContestantRow(*about, None, None, None, None, None, None)
        return ContestantRow(
            *about, counted.count, formatted(counted.count, self._locale), counted.tenths / 10, counted.rank,
            counted.change, counted.trend,
        )

    def best(self, limit: int) -> list[BoardRow]:
        """The best `limit` of those who have counts; of a contestant who has left the line-up nothing but the id."""
        found = []
        for name in (self.counts.order if self.counts else ())[:limit]:
            place = self.roster.places.get(name)
            person = None if place is None else self.roster.people[place]
            counted = self.counts.by_id[name] if self.counts else None
            if counted is not None:
                found.append(BoardRow(
                    name, person.name if person else "", person.photo_url if person else "", counted.count,
                    formatted(counted.count, self._locale), counted.tenths / 10, counted.rank, counted.change,
                    counted.trend,
                ))
        return found


def _among(everybody: Sequence[int], found: Sequence[int]) -> list[int]:
    chosen = set(found)
    return [place for place in everybody if place in chosen]
