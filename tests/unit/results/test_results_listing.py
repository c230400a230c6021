"""Lists of contestants: filters, orders, pages, cursors; and values that are made once for all who ask."""

from __future__ import annotations

import asyncio

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.errors import Refusal
from broadcast_sync.signatures import Signer, b64, unb64
from broadcast_sync.wire.server import ContestantInfo
from results.cursor import ListCursors
from results.fresh import Fresh
from results.listing import Counted, Counts, Listing, Roster, Sort

SORTS: tuple[Sort, ...] = ("popular", "name", "number")
PEOPLE = [
    ContestantInfo("c1", 4, "Dara", "", "active", category="Boys"),
    ContestantInfo("c2", 3, "Bopha", "", "active", category="Girls"),
    ContestantInfo("c3", 2, "Sokha", "", "eliminated", category="Boys"),
    ContestantInfo("c4", 1, "Sok Dara", "", "active", category=""),
]


def counts(**votes: int) -> Counts:
    order = sorted(votes, key=lambda name: (-votes[name], next(one.number for one in PEOPLE if one.id == name)))
    return Counts("t", sum(votes.values()), order, {
        name: Counted(votes[name], 0, place, 0, "stable") for place, name in enumerate(order, 1)
    })


def listing(**votes: int) -> Listing:
    return Listing(Roster(PEOPLE), counts(**votes) if votes else None)


def ids(made: Listing, sort: Sort, search: str | None = None, category: str | None = None) -> list[str]:
    return [made.roster.people[place].id for place in made.places(sort, search, category)]


def test_orders() -> None:
    made = listing(c1=3, c2=9, c3=3)
    assert ids(made, "popular") == ["c2", "c3", "c1", "c4"]
    assert ids(made, "name") == ["c2", "c1", "c4", "c3"]
    assert ids(made, "number") == ids(listing(), "popular") == ["c4", "c3", "c2", "c1"]


def test_filters() -> None:
    made = listing(c1=3, c4=1)
    assert ids(made, "popular", "dara") == ["c1", "c4"]
    assert ids(made, "name", category="Boys") == ["c1", "c3"]
    assert ids(made, "name", "sok", "Boys") == ["c3"]
    assert ids(made, "name", category="Zones") == ids(made, "name", "nobody") == []


def test_rows_have_no_figures_while_none_are_public() -> None:
    made = listing()
    row = made.row(0)
    assert (row.vote_count, row.formatted_count, row.percentage, row.rank, row.change, row.trend) == (None,) * 6
    assert made.best(10) == []
    known = listing(c1=1_234).row(0)
    assert (known.vote_count, known.formatted_count, known.rank) == (1_234, "1.2K", 1)
    assert [row.contestant_id for row in listing(c1=3, c2=9).best(1)] == ["c2"]


def test_who_has_left_the_line_up_keeps_their_votes_and_no_name() -> None:
    made = Listing(Roster(PEOPLE[1:]), counts(c1=3, c2=1))
    assert [(row.contestant_id, row.contestant_name) for row in made.best(5)] == [("c1", ""), ("c2", "Bopha")]
    assert "c1" not in made.roster.places and ids(made, "popular") == ["c2", "c4", "c3"]


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(1, 7), st.sampled_from(SORTS), st.booleans(),
)
def test_pages_by_cursor_have_everybody_once(votes: list[int], limit: int, sort: Sort, counted: bool) -> None:
    people = [ContestantInfo(f"c{n}", n, f"N{n % 3}", "", "active") for n in range(1, len(votes) + 1)]
    by_id = {person.id: Counted(count, 0, 1, 0, "stable") for person, count in zip(people, votes, strict=True)}
    order = sorted(by_id, key=lambda name: (-by_id[name].count, int(name[1:])))
    made = Listing(Roster(people), Counts("t", 1, order, by_id) if counted else None)
    everybody = made.places(sort)
    seen, behind = list(everybody[:limit]), everybody[limit:]
    while behind:
        behind = made.after(everybody, sort, made.key(seen[-1], sort))
        seen += behind[:limit]
        behind = behind[limit:]
    assert seen == list(everybody)


def test_a_cursor_is_good_when_the_one_it_stands_behind_has_moved() -> None:
    before, after = listing(c1=5, c2=4, c3=3, c4=2), listing(c1=5, c2=9, c3=3, c4=2)
    key = before.key(before.places("popular")[1], "popular")  # behind c2, who overtakes now
    behind = after.after(after.places("popular"), "popular", key)
    assert [PEOPLE[place].id for place in behind] == ["c3", "c4"]


CURSORS = ListCursors(Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32)))), "default")
QUESTION = (7, "popular", None, None)


def test_cursors_come_back() -> None:
    for key in ((-12, 7), ("sok dara", 3)):
        assert CURSORS.read(QUESTION, CURSORS.make(QUESTION, key)) == key


@pytest.mark.parametrize("forged", ["", "x", "!!", "AAAA", b64(b"\x00" * 40), "null", "../..", "é"])
def test_forged_cursors_are_refused(forged: str) -> None:
    with pytest.raises(Refusal, match="BAD_MESSAGE"):
        CURSORS.read(QUESTION, forged)


def test_cursors_of_another_question_or_server_and_changed_ones_are_refused() -> None:
    made = CURSORS.make(QUESTION, (-12, 7))
    other = ListCursors(Signer(Ed25519PrivateKey.from_private_bytes(bytes(32))), "default")
    for question in ((8, "popular", None, None), (7, "name", None, None), (7, "popular", "ab", None)):
        with pytest.raises(Refusal):
            CURSORS.read(question, made)
    with pytest.raises(Refusal):
        other.read(QUESTION, made)
    data = unb64(made)
    for at in range(len(data)):
        with pytest.raises(Refusal):
            CURSORS.read(QUESTION, b64(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]))


class Maker:
    """Makes numbers, when it is told to."""

    def __init__(self) -> None:
        self.now = 0
        self.go = asyncio.Event()
        self.error: Exception | None = None
        self.fresh: Fresh[str, int] = Fresh(self._make, lambda: self.now, fresh_ms=1_000, size=2)

    async def _make(self, key: str) -> int:
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return self.fresh.made


async def test_a_value_is_made_once_for_all_who_ask_and_again_when_it_is_old() -> None:
    maker = Maker()
    asking = [asyncio.create_task(maker.fresh.get("a")) for _ in range(10)]
    await asyncio.sleep(0)
    maker.now = 5_000  # slow to make, and still made once
    asking.append(asyncio.create_task(maker.fresh.get("a")))
    await asyncio.sleep(0)
    maker.go.set()
    assert await asyncio.gather(*asking) == [1] * 11
    maker.now = 500
    assert await maker.fresh.get("a") == 1
    maker.now = 1_000
    assert await maker.fresh.get("a") == 2


async def test_who_stops_waiting_stops_nobody_else() -> None:
    maker = Maker()
    first, second = asyncio.create_task(maker.fresh.get("a")), asyncio.create_task(maker.fresh.get("a"))
    await asyncio.sleep(0)
    first.cancel()
    maker.go.set()
    assert await second == 1
    assert maker.fresh.made == 1


async def test_a_failure_is_told_to_all_and_not_kept() -> None:
    maker = Maker()
    maker.error = OSError("away")
    maker.go.set()
    failed = await asyncio.gather(*[maker.fresh.get("a") for _ in range(3)], return_exceptions=True)
    assert [type(one) for one in failed] == [OSError] * 3 and maker.fresh.made == 1
    maker.error = None
    assert await maker.fresh.get("a") == 2


async def test_the_longest_unasked_is_forgotten() -> None:
    maker = Maker()
    maker.go.set()
    for key in ("a", "b", "a", "c"):
        await maker.fresh.get(key)
    assert maker.fresh.made == 3
    await maker.fresh.get("a")
    assert maker.fresh.made == 3
    await maker.fresh.get("b")
    assert maker.fresh.made == 4
