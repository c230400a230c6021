"""The wallet's journal in PostgreSQL: written within the ledger writer's transaction, read for history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct

from broadcast_sync.wire.times import iso
from voting.ledger.entries import Ballots, Changed, Entry, EntryError, Voided, moment
from voting.ledger.rows import decode_rows
from voting.ledger.store import Connection, Pool, statement
from voting.wallet.transfers import Change, Transfer, of_ballots, of_change, of_voids, read_change

PACKAGE: Final = "voting.wallet.sql"

_log = structlog.get_logger()


class JournalEntry(Struct, frozen=True, rename="camel"):
    """What came to a voter's account or left it (negative), in whole votes. `transfer_id` is the vote's id, or that of
    the credit whose votes came or expired; `lot` the credit of a bundle, empty for paid votes. `entry_id` only grows
    and is the cursor."""

    entry_id: int
    transfer_id: str
    kind: str
    account: str
    lot: str
    votes: int
    moved_at: str


async def write(connection: Connection, organisation: str, entries: Iterable[Entry]) -> int:
    """Journals what `entries` of a stream moved, within the caller's transaction; returns the number of transfers.
    Raises EntryError if an entry cannot be understood; PostgreSQL's errors pass through."""
    transfers: list[Transfer] = []
    for entry in entries:
        try:
            if isinstance(entry, Ballots) and entry.payments:
                transfers += of_ballots(decode_rows(entry.payload), entry.payments)
            elif isinstance(entry, Voided) and entry.refunds:
                transfers += of_voids(entry.votes, entry.refunds, entry.why.voided_ms)
            elif isinstance(entry, Changed):
                transfers += await _change(connection, organisation, read_change(entry.change), entry.expired)
        except (ValueError, IndexError, TypeError, msgspec.MsgspecError) as error:
            raise EntryError(entry.entry_id, f"moves votes of wallets in a way that is not known: {error}") from None
    if transfers:
        await _insert(connection, organisation, transfers)
    return len(transfers)


async def history(pool: Pool, organisation: str, voter: str, before: int, limit: int) -> list[JournalEntry]:
    """A voter's entries with an id below `before`, newest first, at most `limit`."""
    rows = await pool.fetch(statement("list_entries", PACKAGE), organisation, voter, before, limit)
    return [
        JournalEntry(
            row["entry_id"], str(row["transfer_id"]), row["kind"], row["account"], row["lot"], row["votes"],
            iso(_ms(row["moved_at"])),
        )
        for row in rows
    ]


async def _change(connection: Connection, organisation: str, change: Change, expired: bytes) -> list[Transfer]:
    moved = of_change(change, expired)
    credit = change.credit
    if credit is None:
        return moved
    found = await connection.fetchval(
        statement("insert_credit", PACKAGE), organisation, change.voter, credit.key, UUID(credit.credit_id),
        credit.account, credit.votes, moment(credit.expires_ms) if credit.expires_ms else None, moment(change.at_ms),
    )
    if found is not None:
        return moved
    # The engine forgot the key and was asked again before it was rebuilt: the journal is right, `rebuild` mends it.
    _log.error("wallet_credit_twice", organisation=organisation, voter=change.voter, key=credit.key)
    return [transfer for transfer in moved if transfer.kind != "credit"]


async def _insert(connection: Connection, organisation: str, transfers: Sequence[Transfer]) -> None:
    ids, kinds, voters, accounts, lots, votes, times = zip(*transfers, strict=True)
    await connection.execute(
        statement("insert_accounts", PACKAGE), organisation, list(kinds), list(voters), list(accounts)
    )
    await connection.execute(
        statement("insert_entries", PACKAGE), organisation, list(ids), list(kinds), list(voters), list(accounts),
        list(lots), list(votes), [moment(at_ms) for at_ms in times],
    )


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
