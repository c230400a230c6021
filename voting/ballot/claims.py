"""Claims: what a ballot wants to use up. The script takes every claim of a ballot or none."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

COUNTER: Final = 1
"""A fixed counter: what was used before plus `cost` may not exceed `limit`."""
PACE: Final = 2
"""GCRA: `burst` at once after a rest, then one every `period_ms / limit`."""
RATE: Final = 3
"""A sliding log: never more than `limit` in any `period_ms`."""
PAID: Final = 4
"""A balance that never expires: it may not fall below 0."""
BUNDLE: Final = 5
"""Lots of votes with an expiry each; what expires first is spent first."""

WAITS: Final = frozenset({PACE, RATE})
"""Kinds whose refusal says when to come back."""

WALLET: Final = "wallet"
"""The book of a voter's balances: kept for ever, and every change of it is journalled."""
SHARD: Final = "shard"
"""What all voters of a shard share in a window; no voter's book."""


class Claim(Struct, frozen=True, gc=False):
    """`cost` out of `limit` in the field `counter` of one book: the voter's within `scope`, or WALLET, or SHARD.

    `cost` 0 looks and takes nothing. `expiry_ms` (Unix milliseconds) is until when the book must be remembered;
    `period_ms` and `burst` are those of a PACE or RATE. `by_contestant` adds the ballot's contestant to the field.
    `code` is the refusal when the claim fails; `shows`, if not empty, the name under which an answer tells what is
    left of it.
    """

    kind: int
    counter: str
    scope: str
    cost: int
    limit: int
    expiry_ms: int
    code: str
    shows: str = ""
    period_ms: int = 0
    burst: int = 0
    by_contestant: bool = False
