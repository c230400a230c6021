"""`broadcast-sync void`: votes that do not count any more, by id or by voter."""

from __future__ import annotations

import asyncio
import getpass
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
import orjson
import typer
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from broadcast_sync import settings as configuration
from broadcast_sync.bus.connect import VALKEY_ERRORS, connect
from broadcast_sync.engine.engines import open_engines
from broadcast_sync.errors import StartError
from broadcast_sync.settings import Settings
from voting.ledger.entries import VoidReason
from voting.ledger.recount import reached, watermarks
from voting.ledger.store import OUTAGE, open_pool
from voting.ledger.voids import Found, find_votes, void_votes

MOST: Final = 100_000
"""Votes one command takes."""
PATIENCE_S: Final = 5.0
"""How long it waits for the ledger to have written them down."""
SHOWN: Final = 5


class Asked(Struct, frozen=True):
    """Which votes: `ids` or `voters`, one of them given."""

    ids: list[UUID] | None
    voters: list[str] | None
    window: UUID | None


class Voided(Struct, frozen=True, rename="camel"):
    """What was done, or would be. `votes` are weighted, by contestant those that are voided now; `written` says that
    the ledger has them."""

    dry_run: bool
    reason: str
    voided_by: str
    ballots: int
    votes: int
    by_contestant: dict[str, int]
    already_voided: int
    written: bool


def void(
    vote_ids: Annotated[list[str] | None, typer.Argument(metavar="VOTE_ID...", help="Votes by id.")] = None,
    reason: Annotated[str, typer.Option(help="Why; it is kept with each of them.")] = "",
    voter: Annotated[list[str] | None, typer.Option(help="All votes of this voter; may be repeated.")] = None,
    file: Annotated[Path | None, typer.Option(help="File of vote ids, one a line; - is standard input.")] = None,
    window: Annotated[str | None, typer.Option(help="Only in this window.")] = None,
    by: Annotated[str | None, typer.Option(help="Who voids; default the user of this terminal.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be voided.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file; default ./config.toml.")] = None,
) -> None:
    """Void votes: they stay in the ledger and count no more. It cannot be undone; doing it again changes nothing."""
    if not 3 <= len(reason.strip()) <= 500:
        raise StartError("--reason: say why, in 3 to 500 characters", exit_code=2)
    asked = _asked(vote_ids or [], voter or [], file, window)
    why = VoidReason(reason.strip(), (by or f"terminal:{getpass.getuser()}")[:128], time.time_ns() // 1_000_000)
    done = asyncio.run(_void(configuration.load(config), asked, why, dry_run=dry_run))
    if as_json:
        typer.echo(orjson.dumps(msgspec.to_builtins(done), option=orjson.OPT_INDENT_2).decode())
    else:
        _show(done)


def _asked(vote_ids: list[str], voters: list[str], file: Path | None, window: str | None) -> Asked:
    texts = [*vote_ids, *(_lines(file) if file is not None else [])]
    if bool(texts) == bool(voters):
        raise StartError("say which votes: ids (or --file), or --voter; not both", exit_code=2)
    if len(texts) > MOST:
        raise StartError(f"{len(texts):,} votes at once; {MOST:,} at most", exit_code=2)
    ids = [_uuid(text, "a vote id") for text in texts]
    return Asked(ids or None, voters or None, None if window is None else _uuid(window, "a window id"))


def _lines(file: Path) -> list[str]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"{file}: cannot be read ({error})", exit_code=2) from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _uuid(text: str, what: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise StartError(f"{text[:64]!r} is no {what.partition(' ')[2]}; it is a UUID", exit_code=2) from None


async def _void(settings: Settings, asked: Asked, why: VoidReason, *, dry_run: bool) -> Voided:
    organisation = settings.show.organisation
    try:
        async with open_engines(settings, serve=False) as engines:
            client, pool = connect(engines.valkey_url), await open_pool(engines.postgres_url)
            try:
                votes = await find_votes(pool, organisation, asked.ids, asked.voters, asked.window)
                _check(asked, votes)
                written = False
                if not dry_run:
                    _, entries = await void_votes(client, organisation, votes, why)
                    written = await _written(pool, organisation, entries)
                return _told(votes, why, dry_run, written)
            finally:
                await pool.close()
                await client.aclose()
    except (*OUTAGE, *VALKEY_ERRORS) as error:
        raise StartError(f"not all is done ({error}); the same command again does the rest, nothing twice") from error


def _check(asked: Asked, votes: list[Found]) -> None:
    """StartError if a vote asked for is not there: then nothing is voided."""
    missing = set(asked.ids or ()) - {vote.vote_id for vote in votes}
    if missing:
        some = ", ".join(str(one) for one in sorted(missing)[:SHOWN])
        raise StartError(
            f"{len(missing):,} of the ids are no votes in the ledger"
            f"{' within that window' if asked.window else ''}, nothing was voided: {some}", exit_code=2,
        )
    if not votes:
        raise StartError("there are no such votes in the ledger, nothing was voided", exit_code=2)


async def _written(pool: Any, organisation: str, entries: dict[str, Any]) -> bool:
    end = time.monotonic() + PATIENCE_S
    while not reached(await watermarks(pool, organisation), entries):
        if time.monotonic() >= end:
            return False
        await asyncio.sleep(0.05)
    return True


def _told(votes: list[Found], why: VoidReason, dry_run: bool, written: bool) -> Voided:
    now = [vote for vote in votes if not vote.voided]
    by_contestant: dict[str, int] = {}
    for vote in now:
        by_contestant[vote.contestant_id] = by_contestant.get(vote.contestant_id, 0) + vote.votes
    return Voided(
        dry_run, why.reason, why.voided_by, len(now), sum(by_contestant.values()), dict(sorted(by_contestant.items())),
        len(votes) - len(now), written,
    )


def _show(done: Voided) -> None:
    table = Table("contestant", title=f"voided by {done.voided_by}: {done.reason}", title_justify="left")
    table.add_column("votes", justify="right")
    for name, votes in done.by_contestant.items():
        table.add_row(name, f"{votes:,}")
    Console().print(table)
    said = f"{done.ballots:,} ballots, {done.votes:,} votes; {done.already_voided:,} had been voided before"
    if done.dry_run:
        typer.echo(f"dry run: would void {said}")
    else:
        later = "" if done.written else "; the ledger writes them down as soon as a server runs"
        typer.echo(f"voided {said}{later}")
