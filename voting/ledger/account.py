"""A window's votes as the ledger accounts for them: accepted and voided, by type and contestant, first and last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from voting.ledger.recount import added
from voting.ledger.store import Pool, statement


class Line(Struct, frozen=True):
    """One contestant's votes of one type. `votes` are weighted and include the `voided` ones, as `ballots` do the
    `voided_ballots`; times are Unix milliseconds of the first and last ballot, None without any."""

    contestant_id: str
    vote_type: str
    ballots: int
    votes: int
    voided_ballots: int = 0
    voided: int = 0
    first_ms: int | None = None
    last_ms: int | None = None


class Account(Struct, frozen=True):
    """All lines of a window, counted in one snapshot of the database."""

    lines: tuple[Line, ...] = ()

    def counts(self) -> dict[str, int]:
        """Votes that count, by contestant."""
        return _added((line.contestant_id, line.votes - line.voided) for line in self.lines)

    def by_type(self) -> dict[str, dict[str, int]]:
        """Votes that count, by type and contestant."""
        found: dict[str, dict[str, int]] = {}
        for line in self.lines:
            found.setdefault(line.vote_type, {})[line.contestant_id] = line.votes - line.voided
        return found

    def voided(self) -> dict[str, int]:
        """Voided votes by contestant, those without left out."""
        return _added((line.contestant_id, line.voided) for line in self.lines if line.voided)

    @property
    def ballots(self) -> int:
        return sum(line.ballots for line in self.lines)

    @property
    def voided_ballots(self) -> int:
        return sum(line.voided_ballots for line in self.lines)

    @property
    def first_ms(self) -> int | None:
        return min((line.first_ms for line in self.lines if line.first_ms is not None), default=None)

    @property
    def last_ms(self) -> int | None:
        return max((line.last_ms for line in self.lines if line.last_ms is not None), default=None)


def _added(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    return added([{name: votes} for name, votes in pairs])


async def account(pool: Pool, organisation: str, window_id: str) -> Account:
    """Counts a window's rows. ValueError if `window_id` is no UUID; PostgreSQL's errors pass through."""
    return Account(_lines(await pool.fetch(statement("account"), organisation, UUID(window_id))))


def _lines(rows: Sequence[Any]) -> tuple[Line, ...]:
    return tuple(
        Line(
            row["contestant_id"], row["vote_type"], row["ballots"], row["votes"], row["voided_ballots"],
            row["voided"], _ms(row["first_at"]), _ms(row["last_at"]),
        )
        for row in rows
    )


def _ms(at: Any) -> int | None:
    return None if at is None else round(at.timestamp() * 1000)
