"""PURE: what the entries of a shard's stream move between accounts. Amounts are whole votes.

A voter has two accounts, `paid` and `bundle`; the house has `issued`, `cast` and `expired`. Every transfer is between
one of the voter's and one of the house's, so every transfer sums to nothing, and so does the journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Struct

from voting.ledger.entries import VoidedVote

Account = Literal["paid", "bundle"]
Kind = Literal["credit", "vote", "expiry", "refund"]
HOUSE: Final[dict[Kind, str]] = {"credit": "issued", "vote": "cast", "expiry": "expired", "refund": "cast"}
"""The house's account on the other side of each kind of transfer."""


class Transfer(NamedTuple):
    """`votes` for the voter's account, negative if they leave it. `transfer_id` is the id of the vote that was paid or
    given back, or of the credit whose votes came or expired; `lot` is that of the bundle's credit, empty for paid
    votes. `at_ms` in Unix ms."""

    transfer_id: UUID
    kind: Kind
    voter: str
    account: str
    lot: str
    votes: int
    at_ms: int


class Credit(Struct, frozen=True, rename="camel"):
    """Votes that a voter was given. `key` is the giver's idempotency key; `expires_ms` 0: they never expire."""

    credit_id: str
    key: str
    account: Account
    votes: int
    expires_ms: int = 0


class Change(Struct, frozen=True, rename="camel"):
    """A change of a wallet that no ballot made, as the stream's k=c entry has it in `d`; `credit` null: an expiry."""

    voter: str
    at_ms: int
    credit: Credit | None = None


_flat: Final = msgspec.msgpack.Decoder(list[Any]).decode
_change: Final = msgspec.json.Decoder(Change).decode
_refunds: Final = msgspec.json.Decoder(list[tuple[int, str, Account, str, int]]).decode


def read_change(content: bytes) -> Change:
    """The `d` of a k=c entry; msgspec.DecodeError if it is not one."""
    return _change(content)


def of_change(change: Change, expired: bytes) -> list[Transfer]:
    """What a k=c entry moves; `expired` is its field `x`, msgpack [lot, votes, ...]. ValueError if it is not that."""
    flat = _flat(expired) if expired else []
    moved = [
        Transfer(UUID(lot), "expiry", change.voter, "bundle", lot, -votes, change.at_ms)
        for lot, votes in zip(flat[::2], flat[1::2], strict=True)
    ]
    credit = change.credit
    if credit is not None:
        lot = credit.credit_id if credit.account == "bundle" else ""
        moved.append(Transfer(
            UUID(credit.credit_id), "credit", change.voter, credit.account, lot, credit.votes, change.at_ms
        ))
    return moved


def of_ballots(rows: Sequence[Sequence[Any]], payments: bytes) -> Iterable[Transfer]:
    """What wallets paid for the ballots of a k=b entry; `payments` is its field `j`, msgpack [row, account, lot, votes,
    ...], where the account `expired` says that a lot ended. ValueError or IndexError if it is not that."""
    flat = _flat(payments)
    for number, account, lot, votes in zip(flat[::4], flat[1::4], flat[2::4], flat[3::4], strict=True):
        vote_id, voter, received_ms = rows[number][0], rows[number][1], rows[number][7]
        if account == "expired":
            yield Transfer(UUID(lot), "expiry", voter, "bundle", lot, -votes, received_ms)
        else:
            yield Transfer(UUID(bytes=vote_id), "vote", voter, account, lot, -votes, received_ms)


def of_voids(votes: Sequence[VoidedVote], refunds: bytes, at_ms: int) -> Iterable[Transfer]:
    """What wallets got back for the votes of a k=v entry; `refunds` is its field `j`, JSON [[vote, voter, account, lot,
    votes], ...]. IndexError or msgspec.MsgspecError if it is not that."""
    for number, voter, account, lot, count in _refunds(refunds):
        yield Transfer(votes[number].vote_id, "refund", voter, account, lot, count, at_ms)
