"""Recounts over real engines: the command's exit codes, the watch, the service."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from redis.asyncio import Redis
from typer.testing import CliRunner

from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.errors import StartError
from broadcast_sync.ids import uuid7
from broadcast_sync.settings import Engine, Ledger, Settings, Show, Voting
from tests.support.ledger import ORG, AlwaysHeld, cast, ledger_ids, open_window, row, seed_episode
from voting.ledger.commands import compare_window, migrate, recount
from voting.ledger.lag import lag
from voting.ledger.service import LedgerService
from voting.ledger.watch import LedgerWatch
from voting.ledger.writer import LedgerWriter

app = typer.Typer()
app.command("recount")(recount)
app.command("migrate")(migrate)


@pytest.fixture
def config(valkey_url: str, postgres_url: str, tmp_path: Path) -> str:
    file = tmp_path / "config.toml"
    file.write_text(
        f'[engine]\nvalkey_url = "{valkey_url}"\npostgres_url = "{postgres_url}"\n[show]\norganisation = "{ORG}"\n'
    )
    return str(file)


@pytest.fixture
async def window(valkey: Redis, pool: Any) -> str:
    """A window with 7 votes, all of them in the ledger."""
    window = await open_window(valkey, await seed_episode(pool))
    await cast(valkey, window, [row("c01", 2, 3), row("c02")])
    writer = LedgerWriter(ORG, 0, valkey, pool, AlwaysHeld(), Ledger(poll_ms=1))
    await writer.step()
    return window


async def run(*arguments: str) -> Any:
    """The command in a thread, as it makes an event loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))


async def test_equal_is_exit_0(window: str, config: str) -> None:
    shown = await run("recount", "--config", config)
    assert shown.exit_code == 0 and "EQUAL" in shown.output and window in shown.output
    told = await run("recount", "--window", window, "--json", "--config", config)
    found = json.loads(told.output)
    assert told.exit_code == 0
    assert found["outcome"] == "EQUAL" and found["tally"] == found["ledger"] == {"c01": 6, "c02": 1}
    assert found["tallyTotal"] == found["ledgerTotal"] == 7


async def test_differing_is_exit_1_and_shows_both(window: str, config: str, valkey: Redis) -> None:
    await valkey.hincrby(ShardKeys(ORG, 0).tally(window), "c02", 1234)
    shown = await run("recount", "--config", config)
    assert shown.exit_code == 1 and "DIFFERS" in shown.output and "1,235" in shown.output and "-1,234" in shown.output


async def test_a_ledger_that_does_not_catch_up_is_pending_and_exit_1(
    window: str, config: str, valkey: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cast(valkey, window, [row()])
    monkeypatch.setattr(compare_window, "__defaults__", (0.0,))
    shown = await run("recount", "--config", config)
    assert shown.exit_code == 1 and "PENDING" in shown.output


@pytest.mark.parametrize("window_id", ["nonsense", "", str(uuid7())], ids=["nonsense", "empty", "unknown"])
async def test_a_window_that_is_not_there_is_exit_2(window: str, config: str, window_id: str) -> None:
    shown = await run("recount", "--window", window_id, "--config", config)
    assert isinstance(shown.exception, StartError) and shown.exception.exit_code == 2


async def test_no_window_at_all_is_exit_2(valkey: Redis, config: str) -> None:
    shown = await run("recount", "--config", config)
    assert isinstance(shown.exception, StartError) and shown.exception.exit_code == 2


async def test_watch_sees_equal_pending_and_differs(valkey: Redis, pool: Any, window: str) -> None:
    watch = LedgerWatch(valkey, pool, ORG, 1, 60.0)
    seen: list[object] = [watch.comparison]
    await watch.look(window)
    seen.append((watch.comparison, watch.lag))
    await cast(valkey, window, [row(), row()])
    await watch.look(window)
    seen.append((watch.comparison, watch.lag))
    await valkey.hset(ShardKeys(ORG, 0).tally(window), "c01", 1)
    await watch.look(window)
    assert [*seen, watch.comparison] == ["PENDING", ("EQUAL", (0, 0)), ("PENDING", (1, 1)), "DIFFERS"]


async def test_lag_of_streams_that_nobody_has_written_yet(valkey: Redis, pool: Any) -> None:
    assert await lag(valkey, pool, ORG, 2) == (0, 0)
    await open_window(valkey, await seed_episode(pool), shard=1)
    assert await lag(valkey, pool, ORG, 2) == (1, 1)


async def test_service_writes_every_shard_and_gives_its_leases_up(
    valkey: Redis, valkey_url: str, postgres_url: str, pool: Any
) -> None:
    settings = Settings(
        engine=Engine(valkey_url=valkey_url, postgres_url=postgres_url),
        show=Show(organisation=ORG), voting=Voting(shards=2), ledger=Ledger(poll_ms=1),
    )  # fmt: skip
    window = await open_window(valkey, ref := await seed_episode(pool))
    await open_window(valkey, ref, 1, window)
    sent = await cast(valkey, window, [row()], 0) | await cast(valkey, window, [row()], 1)
    await valkey.xadd(ShardKeys(ORG, 1).stream, {"k": "?", "w": window})
    service = LedgerService(settings, valkey_url, pool, "node-1")
    running = asyncio.create_task(service.run())
    while not service.stopped or set(await ledger_ids(pool)) != sent:
        await valkey.ping()
    assert "unknown kind" in service.stopped[0] and "shard 1" in service.stopped[0]
    while await valkey.exists(ShardKeys(ORG, 1).lease):
        pass
    running.cancel()
    await asyncio.wait([running])
    assert await valkey.exists(ShardKeys(ORG, 0).lease) == 0


async def test_migrate_command_says_what_it_did(config: str, valkey: Redis, pool: Any) -> None:
    await pool.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    first = await run("migrate", "--json", "--config", config)
    assert json.loads(first.output)["applied"][0] == "0001"
    second = await run("migrate", "--config", config)
    assert second.exit_code == 0 and "up to date" in second.output
