"""`broadcast-sync recount`, `broadcast-sync migrate`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import msgspec
import orjson
import typer
from msgspec import Struct
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from broadcast_sync import settings as configuration
from broadcast_sync.bus.connect import VALKEY_ERRORS, connect
from broadcast_sync.engine.engines import open_engines
from broadcast_sync.errors import StartError
from broadcast_sync.settings import Settings
from voting.ledger.migrate import migrate as migrate_database
from voting.ledger.recount import (
    Comparison,
    compare,
    known_window,
    last_ids,
    latest_window,
    reached,
    tallied,
    watermarks,
)
from voting.ledger.recount import recount as count_again
from voting.ledger.store import OUTAGE, Pool, open_pool

PATIENCE_S: Final = 5.0
"""How long a recount waits for the ledger to reach what the tally counts."""

Config = Annotated[Path | None, typer.Option("--config", help="Settings file; default ./config.toml if there is one.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


class Recount(Struct, frozen=True, rename="camel"):
    """A recount's outcome; counts by contestant."""

    window_id: str
    outcome: Comparison
    tally: dict[str, int]
    ledger: dict[str, int]


async def compare_window(
    client: Redis, pool: Pool, organisation: str, shards: int, window_id: str | None, patience_s: float = PATIENCE_S
) -> Recount:
    """Recounts a window, by default the latest, once the ledger has reached the tally; after `patience_s` seconds
    as it is. Raises StartError (exit 2) if neither engine knows the window; engine errors pass through."""
    found = window_id or await latest_window(pool, organisation)
    if found is None:
        raise StartError("the ledger has no window yet; open voting first", exit_code=2)
    end = time.monotonic() + patience_s
    while True:
        before = await tallied(client, organisation, shards, found)
        targets = await last_ids(client, organisation, shards)
        drained = reached(await watermarks(pool, organisation), targets)
        ledger = await count_again(pool, organisation, found)
        tally = await tallied(client, organisation, shards, found)
        if not tally and not ledger and not await known_window(pool, organisation, found):
            raise StartError(f"no window {found} here; `broadcast-sync recount` takes the latest", exit_code=2)
        outcome = compare(tally, ledger, drained and tally == before)
        if outcome != "PENDING" or time.monotonic() >= end:
            return Recount(found, outcome, tally, ledger)
        await asyncio.sleep(0.1)


def recount(
    window: Annotated[str | None, typer.Option(help="Window id; default the latest.")] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Count the ledger again and compare with the tally: exit 0 if equal, 1 if not."""
    if window is not None:
        try:
            UUID(window)
        except ValueError:
            raise StartError(f"--window {window!r} is no window id; it is a UUID", exit_code=2) from None
    found = asyncio.run(_recount(configuration.load(config), window))
    if as_json:
        totals = {"tallyTotal": sum(found.tally.values()), "ledgerTotal": sum(found.ledger.values())}
        typer.echo(orjson.dumps({**msgspec.to_builtins(found), **totals}, option=orjson.OPT_INDENT_2).decode())
    else:
        _show(found)
    if found.outcome != "EQUAL":
        raise typer.Exit(1)


async def _recount(settings: Settings, window: str | None) -> Recount:
    try:
        async with open_engines(settings, serve=False) as engines:
            client = connect(engines.valkey_url)
            pool = await open_pool(engines.postgres_url)
            try:
                return await compare_window(client, pool, settings.show.organisation, settings.voting.shards, window)
            finally:
                await pool.close()
                await client.aclose()
    except (*OUTAGE, *VALKEY_ERRORS) as error:
        raise StartError(f"the engines cannot be read ({error}); `broadcast-sync migrate` makes the schema") from error


_WORDS: Final[dict[Comparison, str]] = {
    "EQUAL": "EQUAL: every vote of the tally is in the ledger, once.",
    "PENDING": "PENDING: the ledger has not caught up with the tally yet; try again shortly.",
    "DIFFERS": "DIFFERS: the ledger has caught up and does not hold what the tally says.",
}


def _show(found: Recount) -> None:
    table = Table(title=f"window {found.window_id}", title_justify="left")
    table.add_column("contestant")
    for name in ("tally", "ledger", "difference"):
        table.add_column(name, justify="right")
    names = sorted(found.tally.keys() | found.ledger.keys())
    rows = [(name, found.tally.get(name, 0), found.ledger.get(name, 0)) for name in names]
    for name, tally, ledger in rows:
        table.add_row(name, f"{tally:,}", f"{ledger:,}", f"{ledger - tally:+,}" if ledger != tally else "")
    table.add_section()
    tally, ledger = sum(found.tally.values()), sum(found.ledger.values())
    table.add_row("total", f"{tally:,}", f"{ledger:,}", f"{ledger - tally:+,}" if ledger != tally else "")
    console = Console()
    console.print(table)
    console.print(_WORDS[found.outcome], style="green" if found.outcome == "EQUAL" else "red", highlight=False)


def migrate(as_json: AsJson = False, config: Config = None) -> None:
    """Bring the database to this program's schema."""
    applied = asyncio.run(_migrate(configuration.load(config)))
    if as_json:
        typer.echo(orjson.dumps({"applied": applied}).decode())
    else:
        typer.echo(f"applied: {', '.join(applied)}" if applied else "nothing to do, the schema is up to date")


async def _migrate(settings: Settings) -> list[str]:
    async with open_engines(settings, serve=False) as engines:
        return await migrate_database(engines.postgres_url)
