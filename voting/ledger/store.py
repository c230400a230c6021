"""The connection pool and the statements of the ledger."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, Final, TypeAlias

import asyncpg

Pool: TypeAlias = Any
"""An asyncpg.Pool; asyncpg publishes no types."""
Connection: TypeAlias = Any
"""A connection taken from one."""

REFUSED: Final = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError)
"""PostgreSQL will not have these rows, however often it is asked."""

OUTAGE: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""PostgreSQL is away, restarting, full or overloaded: worth trying again. To be caught after REFUSED."""


async def open_pool(postgres_url: str, *, size: int = 4, timeout_s: float = 60.0) -> Pool:
    """A pool of at most `size` connections, made when needed; a statement takes at most `timeout_s`.

    The caller closes it. It opens no connection, so a PostgreSQL that is down shows at the first use.
    """
    return await asyncpg.create_pool(
        postgres_url, min_size=0, max_size=size, command_timeout=timeout_s, timeout=timeout_s
    )


@cache
def statement(name: str, package: str = "voting.ledger.sql") -> str:
    """The text of `name`.sql."""
    return files(package).joinpath(f"{name}.sql").read_text("utf-8")


async def ensure_partition(connection: Connection, episode_ref: int) -> None:
    """Makes the votes partition of an episode if it is missing; nobody who writes or counts votes waits for it."""
    await connection.execute("SELECT make_votes_partition($1)", episode_ref)


def partition(episode_ref: int) -> str:
    """The votes partition of an episode."""
    return f"votes_{int(episode_ref)}"
