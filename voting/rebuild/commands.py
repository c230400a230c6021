"""`broadcast-sync rebuild`: fills an engine that has lost its data from the ledger."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated

import msgspec
import orjson
import typer
from rich.console import Console
from rich.progress import Progress

from broadcast_sync import settings as configuration
from broadcast_sync.bus.connect import VALKEY_ERRORS, connect
from broadcast_sync.engine.engines import open_engines
from broadcast_sync.errors import StartError
from broadcast_sync.settings import Settings
from voting.ledger.store import OUTAGE, open_pool
from voting.rebuild.rebuild import Rebuilder, Rebuilt


def rebuild(
    force: Annotated[bool, typer.Option("--force", help="Replace what the engine has.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file; default ./config.toml.")] = None,
) -> None:
    """Restore gates, tallies, limits, answers, wallets and the show in a Valkey that has lost its data: exit 0 done, 1
    refused or failed (do it again), 2 wrong use."""
    done = asyncio.run(_rebuild(configuration.load(config), force=force, quiet=as_json))
    if as_json:
        typer.echo(orjson.dumps(msgspec.to_builtins(done), option=orjson.OPT_INDENT_2).decode())
        return
    typer.echo(
        f"rebuilt {done.windows:,} windows, {done.votes:,} votes and their answers, {done.wallets:,} wallets; "
        + (f"voting is {done.voting}" if done.voting else "no show is on air")
    )
    if done.unplaced:
        typer.echo(f"{done.unplaced:,} votes are counted, but their rules do not know them any more", err=True)


async def _rebuild(settings: Settings, *, force: bool, quiet: bool) -> Rebuilt:
    try:
        async with open_engines(settings, serve=False) as engines:
            client, pool = connect(engines.valkey_url), await open_pool(engines.postgres_url)
            try:
                one = Rebuilder(
                    client, pool, settings.show.organisation, settings.voting.shards, time.time_ns() // 1_000_000
                )
                if not force:
                    await one.check()
                with Progress(console=Console(stderr=True), transient=True, disable=quiet) as bar:
                    task = bar.add_task("votes", total=await one.total())
                    return await one.run(lambda votes: bar.advance(task, votes))
            finally:
                await pool.close()
                await client.aclose()
    except (*OUTAGE, *VALKEY_ERRORS) as error:
        raise StartError(f"not finished ({error}); the same command again begins afresh") from error
