"""`broadcast-sync wallet credit`, `broadcast-sync wallet show`: for operators and tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final

import msgspec
import orjson
import typer

from broadcast_sync import settings as configuration
from broadcast_sync.bus.connect import VALKEY_ERRORS, connect
from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.bus.timekeeper import set_clock
from broadcast_sync.clock import EngineClock
from broadcast_sync.engine.engines import open_engines
from broadcast_sync.errors import Refusal, StartError
from broadcast_sync.settings import Settings
from voting.ledger.store import OUTAGE, open_pool
from voting.wallet.journal import JournalEntry
from voting.wallet.wallet import Balance, Credited, Wallet

DAY_MS: Final = 86_400_000

AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
Config = Annotated[Path | None, typer.Option("--config", help="Settings file; default ./config.toml if there is one.")]
Voter = Annotated[str, typer.Option(help="Whose wallet.")]

wallet_app: Final = typer.Typer(no_args_is_help=True, help="Votes that have been bought.")


@wallet_app.command()
def credit(
    voter: Voter,
    votes: Annotated[int, typer.Option(help="How many votes.")],
    key: Annotated[str, typer.Option(help="Idempotency key: the same key credits this voter once.")],
    type: Annotated[str, typer.Option(help="paid, or bundle, which expires.")] = "paid",
    days: Annotated[int | None, typer.Option(help="Days until a bundle expires.")] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Give votes to a voter."""
    done = asyncio.run(_credit(configuration.load(config), voter, type, votes, key, days))
    if as_json:
        typer.echo(orjson.dumps(msgspec.to_builtins(done), option=orjson.OPT_INDENT_2).decode())
    else:
        did = "had already" if done.replayed else "has been given"
        typer.echo(f"{voter} {did} {done.votes} votes ({done.account}): paid {done.paid}, bundle {done.bundle}")


@wallet_app.command()
def show(voter: Voter, as_json: AsJson = False, config: Config = None) -> None:
    """Show a voter's balances and the last of the journal."""
    balance, entries = asyncio.run(_show(configuration.load(config), voter))
    if as_json:
        found = {"voter": voter, **msgspec.to_builtins(balance), "entries": msgspec.to_builtins(entries)}
        typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return
    typer.echo(f"{voter}: paid {balance.paid}, bundle {balance.bundle}")
    for bundle in balance.bundles:
        typer.echo(f"  bundle {bundle.id}: {bundle.votes} until {bundle.expires_at}")
    for entry in entries:
        typer.echo(f"  {entry.moved_at}  {entry.kind:6}  {entry.account:6}  {entry.votes:+}")


@asynccontextmanager
async def _wallet(settings: Settings) -> AsyncIterator[tuple[Wallet, EngineClock]]:
    try:
        async with open_engines(settings, serve=False) as engines:
            client = connect(engines.valkey_url)
            pool = await open_pool(engines.postgres_url)
            try:
                clock = EngineClock()
                await set_clock(client, StageKeys(settings.show.organisation), clock)
                yield Wallet(client, pool, settings.show.organisation, settings.voting.shards, clock), clock
            finally:
                await pool.close()
                await client.aclose()
    except (*OUTAGE, *VALKEY_ERRORS) as error:
        raise StartError(f"the engines do not answer ({error}); `broadcast-sync migrate` makes the schema") from error


async def _credit(settings: Settings, voter: str, account: str, votes: int, key: str, days: int | None) -> Credited:
    if account not in ("paid", "bundle"):
        raise StartError(f"--type: expected paid or bundle, not {account[:64]!r}", exit_code=2)
    async with _wallet(settings) as (wallet, clock):
        expires_ms = None if days is None else clock.now_ms() + days * DAY_MS
        try:
            return await wallet.credit(
                voter, "paid" if account == "paid" else "bundle", votes, key, expires_ms=expires_ms
            )
        except Refusal as refusal:
            raise StartError(f"{refusal.code}: {refusal.message}", exit_code=2) from None


async def _show(settings: Settings, voter: str) -> tuple[Balance, list[JournalEntry]]:
    async with _wallet(settings) as (wallet, _):
        return await wallet.balance(voter), await wallet.entries(voter)
