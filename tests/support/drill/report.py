"""What each trouble cost, and the tables. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct

from tests.support.drill.crowd import Ballot
from tests.support.drill.house import Row


class Trouble(Struct, frozen=True):
    """`back_s`: from the trouble's beginning until every socket has had a ballot acknowledged that was cast after it.
    `slowest_s`: the longest that a ballot waited for its ack meanwhile; `reconnects`: sockets that came up again."""

    what: str
    acked: int
    slowest_s: float
    reconnects: int
    back_s: float


class Reckoning(Struct, frozen=True):
    """Acknowledged, counted and written votes, compared id by id. Empty lists and equal numbers are what must be.

    `doubled`: acknowledged under two ids, or two ids for one ballot; `missing`: acknowledged and not in the ledger;
    `unknown`: in the ledger and neither acknowledged nor given up by its voter; `changed`: not as it was cast.
    """

    acked: int
    given_up: int
    replayed: int
    tally: int
    ledger: int
    certified: bool
    doubled: list[str]
    missing: list[str]
    unknown: list[str]
    changed: list[str]

    @property
    def exact(self) -> bool:
        """True if no vote was lost and none counted twice."""
        wrong = self.doubled or self.missing or self.unknown or self.changed
        return not wrong and self.certified and self.tally == self.ledger and self.ledger - self.acked <= self.given_up


def reckon(
    acked: Mapping[str, Sequence[Ballot]], unanswered: set[tuple[str, str]], replayed: int, rows: Sequence[Row],
    tally: Mapping[str, int], certified: bool,
) -> Reckoning:
    """`tally` is the result that was published, votes by contestant."""
    written = {vote_id: Ballot(voter, id, contestant) for vote_id, voter, id, contestant in rows}
    ballots = Counter((ballot.voter, ballot.id) for ballot in written.values())
    counted = Counter(ballot.contestant_id for ballot in written.values())
    doubled = [vote_id for vote_id, cast in acked.items() if len(cast) > 1]
    doubled += [f"{voter} {id}" for (voter, id), count in ballots.items() if count > 1]
    return Reckoning(
        acked=len(acked), given_up=len(unanswered), replayed=replayed, tally=sum(tally.values()), ledger=len(rows),
        certified=certified and {name: votes for name, votes in tally.items() if votes} == dict(counted),
        doubled=doubled,
        missing=[vote_id for vote_id in acked if vote_id not in written],
        unknown=[
            vote_id for vote_id, ballot in written.items()
            if vote_id not in acked and (ballot.voter, ballot.id) not in unanswered
        ],
        changed=[vote_id for vote_id, cast in acked.items() if vote_id in written and written[vote_id] != cast[0]],
    )


def markdown(troubles: Sequence[Trouble], found: Reckoning) -> str:
    lines = [
        "| trouble | acked meanwhile | slowest ack s | sockets that came back | everybody acked again after s |",
        "| --- | --- | --- | --- | --- |",
    ]
    for one in troubles:
        cells = (one.what, f"{one.acked:,}", f"{one.slowest_s:.1f}", f"{one.reconnects:,}", f"{one.back_s:.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    numbers = {
        "acked": found.acked, "of these by a repeated answer": found.replayed, "given up": found.given_up,
        "tally": found.tally, "ledger": found.ledger, "lost": len(found.missing), "doubled": len(found.doubled),
        "unknown": len(found.unknown), "changed": len(found.changed),
    }
    values = [*(f"{number:,}" for number in numbers.values()), "**exact**" if found.exact else "**NOT EXACT**"]
    lines += ["", f"| {' | '.join([*numbers, 'result'])} |", f"|{' --- |' * len(values)}", f"| {' | '.join(values)} |"]
    return "\n".join(lines)
