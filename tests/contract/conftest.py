"""Real engines for contract tests: one Valkey and one PostgreSQL a test run, a clean room in them a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import asyncpg
import pytest
from redis.asyncio import Redis

from broadcast_sync.bus.connect import connect
from tests.support.engines import RunningEngines, run_engines
from voting.ledger.migrate import migrate
from voting.ledger.store import Pool, open_pool

TEMPLATE = "migrated"


@pytest.fixture(scope="session")
def engines() -> Iterator[RunningEngines]:
    """One real Valkey and one real PostgreSQL 18 for the whole run, stopped and removed at its end."""
    with run_engines() as running:
        yield running


@pytest.fixture(scope="session")
def template(engines: RunningEngines) -> str:
    """The name of a database with the migrations applied, to be copied."""
    asyncio.run(_migrate(engines))
    return TEMPLATE


async def _migrate(engines: RunningEngines) -> None:
    connection = await asyncpg.connect(engines.postgres_url)
    await connection.execute(f"CREATE DATABASE {TEMPLATE}")
    await connection.close()
    await migrate(engines.database(TEMPLATE))


@pytest.fixture
def valkey_url(engines: RunningEngines) -> str:
    """The URL of the run's Valkey. Take `valkey` too, or flush, for an empty one."""
    return engines.valkey_url


@pytest.fixture
async def valkey(engines: RunningEngines) -> AsyncIterator[Redis]:
    """A client of an empty Valkey; answers are bytes."""
    client = connect(engines.valkey_url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def postgres_url(engines: RunningEngines, template: str) -> AsyncIterator[str]:
    """A database of this test alone with the migrations applied, dropped after it."""
    name = f"test_{uuid4().hex}"
    maintenance = await asyncpg.connect(engines.postgres_url)
    await maintenance.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield engines.database(name)
    await maintenance.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await maintenance.close()


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[Pool]:
    """Connections to the test's database."""
    pool = await open_pool(postgres_url)
    yield pool
    await pool.close()
