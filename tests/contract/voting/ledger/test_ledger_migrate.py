"""Migrations against a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from broadcast_sync.errors import StartError
from tests.support.engines import RunningEngines
from voting.ledger.migrate import migrate


@pytest.fixture
async def empty_url(engines: RunningEngines) -> AsyncIterator[str]:
    name = f"empty_{uuid4().hex}"
    maintenance = await asyncpg.connect(engines.postgres_url)
    await maintenance.execute(f"CREATE DATABASE {name}")
    yield engines.database(name)
    await maintenance.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await maintenance.close()


async def test_two_nodes_starting_together_migrate_once(empty_url: str) -> None:
    applied = await asyncio.gather(migrate(empty_url), migrate(empty_url))
    assert sorted(applied, key=len)[0] == [] and sorted(applied, key=len)[1][0] == "0001"
    assert await migrate(empty_url) == []


async def test_a_newer_database_is_left_alone(empty_url: str) -> None:
    await migrate(empty_url)
    connection = await asyncpg.connect(empty_url)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StartError, match=r"9999, newer than this program's \d{4}; install"):
        await migrate(empty_url)
    assert await connection.fetchval("SELECT version_num FROM alembic_version") == "9999"
    await connection.close()


async def test_a_database_of_another_program_is_left_alone(empty_url: str) -> None:
    connection = await asyncpg.connect(empty_url)
    await connection.execute("CREATE TABLE votes (x int)")
    with pytest.raises(StartError, match="was not made by this program"):
        await migrate(empty_url)
    assert await connection.fetchval("SELECT to_regclass('organisations')") is None
    await connection.close()


async def test_an_unreachable_database_is_one_line_with_the_way_out() -> None:
    with pytest.raises(StartError, match="check \\[engine\\] postgres_url") as caught:
        await migrate("postgresql://postgres@/postgres?host=/nowhere")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "change"),
    [("votes", "UPDATE votes SET vote_count = 2"), ("votes", "DELETE FROM votes"), ("results", "DELETE FROM results")],
)
async def test_history_is_append_only(postgres_url: str, table: str, change: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(
        """
        INSERT INTO organisations VALUES ('o', 'O'); INSERT INTO seasons VALUES ('o', 's', 'S');
        INSERT INTO episodes (org_id, season_id, show_id, number, title) VALUES ('o', 's', 'd', 1, 'E');
        CREATE TABLE votes_1 PARTITION OF votes FOR VALUES IN (1);
        INSERT INTO windows VALUES ('o', gen_random_uuid(), 1, now(), now(), now(), 'r', 'h', '{}', '[]');
        INSERT INTO results SELECT 'o', window_id, true, 0, 0, '[]', '{}' FROM windows;
        INSERT INTO votes SELECT 'o', 1, gen_random_uuid(), window_id, 0, 'v', 'c', 'f', 1, 1, 'x', now() FROM windows
        """
    )
    with pytest.raises(asyncpg.RestrictViolationError, match="is append-only"):
        await connection.execute(change)
    assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 1
    await connection.close()
