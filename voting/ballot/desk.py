"""What the intake keeps at hand for one window: its rules, and what ballots want in the engine's own words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Final

import msgspec
from msgspec import Struct

from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.show.model import Show, Window
from broadcast_sync.wire.client import Vote
from voting.ballot.batcher import Order, script_ballot
from voting.ballot.claims import SHARD, WALLET, Claim
from voting.ballot.rules import Ruled, WindowRules

ASKED_MAX: Final = 1024
"""How many different wishes (vote type, count and category) are kept ready for a day; rarer ones are made when they
come."""
DAYS_MAX: Final = 4
"""How many days' wishes are kept; around midnight ballots of two days come together."""

_encode: Final = msgspec.msgpack.Encoder().encode
_ids: Final = count(1)


class Asked(Struct, frozen=True):
    """What one kind of ballot wants: the rules' answer, and the same as an order to each shard's script."""

    ruled: Ruled
    orders: tuple[Order, ...]


class Desk:
    """One window at this node. Made when the window appears, dropped when it changes."""

    def __init__(self, show: Show, window: Window, rules: WindowRules, shards: Sequence[ShardKeys]) -> None:
        self.show: Final = show
        self.window: Final = window
        self.rules: Final = rules
        self._shards = shards
        self._day = rules.day(window.opens_ms)
        self._asked: dict[tuple[str, int, str], Asked] = {}
        self._days = {self._day: self._asked}
        self.lookup: Final = self._make(Ruled((), 1), 0, "", taking=False)
        """Takes nothing, only looks for the first answer of a ballot."""

    def ask(self, contestant_id: str, vote_type: str, vote_count: int, at_ms: int) -> Asked:
        """What a ballot that arrived at `at_ms` wants. Raises the refusals of `WindowRules.judge`."""
        if not self._day.start_ms <= at_ms < self._day.end_ms:
            self._turn_to(at_ms)
        categories = self.rules.categories
        kind = vote_type, vote_count, categories.get(contestant_id, "") if categories else ""
        asked = self._asked.get(kind)
        if asked is not None:
            self.rules.stands(contestant_id)
            return asked
        ruled = self.rules.judge(contestant_id, vote_type, vote_count, self._day)
        asked = self._make(ruled, vote_count, vote_type)
        if len(self._asked) < ASKED_MAX:
            self._asked[kind] = asked
        return asked

    def _turn_to(self, at_ms: int) -> None:
        self._day = self.rules.day(at_ms)
        if self._day not in self._days and len(self._days) >= DAYS_MAX:
            del self._days[min(self._days, key=lambda day: day.start_ms)]
        self._asked = self._days.setdefault(self._day, {})

    def _make(self, ruled: Ruled, vote_count: int, vote_type: str, *, taking: bool = True) -> Asked:
        books = {self.rules.scope: self.rules.expiry_ms}
        for claim in ruled.claims:
            if claim.scope != SHARD:
                books.setdefault(claim.scope, claim.expiry_ms)
        numbers = {scope: number for number, scope in enumerate(books, 1)} | {SHARD: 0}
        votes = vote_count * ruled.weight
        return Asked(ruled, tuple([
            Order(next(_ids), _encode((
                votes,
                [(keys.wallet("") if scope == WALLET else keys.book(scope, ""), end) for scope, end in books.items()],
                [self._claim(claim, numbers) for claim in ruled.claims] if taking else False,
                vote_type,
            )))
            for keys in self._shards
        ]))

    def _claim(self, claim: Claim, numbers: dict[str, int]) -> tuple[object, ...]:
        limit = max(1, claim.limit // len(self._shards)) if claim.scope == SHARD else claim.limit
        return (
            claim.kind, claim.counter, claim.cost, limit, claim.period_ms, numbers[claim.scope], claim.by_contestant,
            claim.code, claim.burst,
        )


def ballot_of(
    order: Order, ruled: Ruled, voter: str, vote: Vote, vote_id: bytes, received_ms: int, metadata: str | None
) -> bytes:
    """A ballot as take_ballots.lua takes it. Encoded one by one, so that what cannot be encoded costs its own sender
    only: UnicodeEncodeError."""
    contestant, kind, votes = vote.contestant_id, vote.vote_type, vote.vote_count
    return script_ballot(
        (voter, vote.id, received_ms, contestant, order.id),
        _encode((vote_id, voter, contestant, kind, votes, ruled.weight, vote.id, received_ms, metadata)),
        _encode((vote_id, contestant, kind, votes)),
    )
