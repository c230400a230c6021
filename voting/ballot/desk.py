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
from voting.ballot.rules import Ruled, WindowRules

ASKED_MAX: Final = 1024
"""How many different wishes (vote type and count) are kept ready; rarer ones are made when they come."""

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
        self._asked: dict[tuple[str, int], Asked] = {}
        self.lookup: Final = self._make(Ruled((), 1), 0, taking=False)
        """Takes nothing, only looks for the first answer of a ballot."""

    def ask(self, contestant_id: str, vote_type: str, vote_count: int) -> Asked:
        """What the ballot wants. Raises the refusals of `WindowRules.judge`."""
        asked = self._asked.get((vote_type, vote_count))
        if asked is not None:
            self.rules.stands(contestant_id)
            return asked
        ruled = self.rules.judge(contestant_id, vote_type, vote_count)
        asked = self._make(ruled, vote_count)
        if len(self._asked) < ASKED_MAX:
            self._asked[vote_type, vote_count] = asked
        return asked

    def _make(self, ruled: Ruled, vote_count: int, *, taking: bool = True) -> Asked:
        claims = [(claim.kind, claim.counter, claim.cost, claim.limit, claim.period_ms) for claim in ruled.claims]
        number, votes, expiry_ms = next(_ids), vote_count * ruled.weight, self.rules.expiry_ms
        return Asked(ruled, tuple([
            Order(number, _encode((votes, keys.book(self.rules.scope, ""), expiry_ms, claims if taking else False)))
            for keys in self._shards
        ]))


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
