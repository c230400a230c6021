"""PURE: what the entries of a shard's stream say. What cannot be understood raises EntryError, never is skipped.

Fields: `k` the kind; b = ballots (w window, n rows, v MessagePack rows), o = window opened (w, d JSON),
f = fence (w, d JSON tally of the shard), v = votes voided (w, d JSON why, v JSON rows), c = wallet changed by a credit
or an expiry (d JSON, x MessagePack lots that expired). A b has a j, MessagePack, where wallets paid.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from broadcast_sync.show.model import Show, Window
from broadcast_sync.wire.server import ContestantInfo

_START: Final = datetime(1970, 1, 1, tzinfo=UTC)


class EntryError(Exception):
    """An entry of a stream cannot be brought into the ledger. `entry_id` is where the shard stands still."""

    def __init__(self, entry_id: str, reason: str) -> None:
        super().__init__(f"entry {entry_id}: {reason}")
        self.entry_id = entry_id
        self.reason = reason


class StreamId(NamedTuple):
    """The id of a stream entry; orders as the stream does."""

    ms: int
    seq: int

    @classmethod
    def parse(cls, text: str | bytes) -> StreamId:
        """From `ms-seq`; ValueError if it is not of that form."""
        ms, _, seq = (text.decode("ascii") if isinstance(text, bytes) else text).partition("-")
        return cls(int(ms), int(seq))

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"


class Opened(Struct, frozen=True, rename="camel"):
    """What the ledger is told of a window before its first ballot: `d` of k=o. Times are Unix milliseconds."""

    show_id: str
    episode: int
    episode_ref: int
    opens_ms: int
    closes_ms: int
    hard_closes_ms: int
    ruleset: str
    rules_hash: str
    rules: dict[str, Any]
    contestants: tuple[ContestantInfo, ...]
    canonical: str = ""
    timezone: str = "UTC"
    round: int = 0
    season: str = ""
    rehearsal: bool = False
    visibility: str = "public"

    @classmethod
    def of(cls, show: Show, window: Window, season: str = "") -> Opened:
        """As the gates write it down when they open."""
        rules = window.ruleset
        return cls(
            show.show_id, show.episode, show.episode_ref, window.opens_ms, window.closes_ms, window.hard_closes_ms,
            rules.name, rules.hash, rules.rules, window.contestants, rules.canonical, show.timezone, window.round,
            season, show.rehearsal, window.visibility,
        )


_opened: Final = msgspec.json.Decoder(Opened)


class WindowOpened(NamedTuple):
    """Kind o."""

    entry_id: str
    window_id: UUID
    opened: Opened


class Ballots(NamedTuple):
    """Kind b: the ballots of one batch. `size` is what the entry says of itself; `payload`, and `payments`, empty
    unless wallets paid for any, are decoded late."""

    entry_id: str
    window_id: UUID
    size: int
    payload: bytes
    payments: bytes = b""


class Fence(NamedTuple):
    """Kind f: after it the shard takes no ballot of the window."""

    entry_id: str
    window_id: UUID


class VoidReason(Struct, frozen=True, rename="camel"):
    """Why votes are voided, by whom and when; `approved_by` is the second person where there was one."""

    reason: str
    voided_by: str
    voided_ms: int
    approved_by: str | None = None


class VoidedVote(Struct, frozen=True, array_like=True):
    """A vote that does not count any more; `votes` are weighted."""

    vote_id: UUID
    contestant_id: str
    vote_type: str
    votes: Annotated[int, Meta(ge=1, le=2**63 - 1)]


_reason: Final = msgspec.json.Decoder(VoidReason)
_voided: Final = msgspec.json.Decoder(tuple[VoidedVote, ...])


class Voided(NamedTuple):
    """Kind v: votes of earlier entries that do not count any more. `refunds`, empty unless wallets got any back, is
    read by the wallet's journal."""

    entry_id: str
    window_id: UUID
    why: VoidReason
    votes: tuple[VoidedVote, ...]
    refunds: bytes = b""


class Changed(NamedTuple):
    """Kind c: a wallet changed by a credit or by an expiry; both are read by the wallet's journal. Of no window."""

    entry_id: str
    change: bytes
    expired: bytes


Entry = WindowOpened | Ballots | Fence | Voided | Changed


def read_entry(entry_id: str, fields: Mapping[bytes, bytes]) -> Entry:
    """The entry of a kind this program knows. Raises EntryError for any other, and for missing or wrong fields."""
    try:
        kind = fields[b"k"]
        if kind == b"c":
            return Changed(entry_id, fields[b"d"], fields.get(b"x", b""))
        window_id = UUID(fields[b"w"].decode("ascii"))
        if kind == b"b":
            return Ballots(entry_id, window_id, int(fields[b"n"]), fields[b"v"], fields.get(b"j", b""))
        if kind == b"o":
            return WindowOpened(entry_id, window_id, _opened.decode(fields[b"d"]))
        if kind == b"f":
            return Fence(entry_id, window_id)
        if kind == b"v":
            why, votes = _reason.decode(fields[b"d"]), _voided.decode(fields[b"v"])
            return Voided(entry_id, window_id, why, votes, fields.get(b"j", b""))
    except KeyError as error:
        raise EntryError(entry_id, f"has no field {error}") from None
    except (ValueError, msgspec.MsgspecError) as error:
        raise EntryError(entry_id, str(error)) from None
    raise EntryError(entry_id, f"is of the unknown kind {kind!r}")


def moment(ms: int) -> datetime:
    """Unix milliseconds as the aware datetime PostgreSQL takes; exact, OverflowError beyond the year 9999."""
    return _START + timedelta(milliseconds=ms)
