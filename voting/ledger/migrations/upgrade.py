"""Brings the ledger's database to this program's schema version: alembic over asyncpg, SQL in files of its own.

A revision is a small Python file under migrations/versions that names its predecessor and runs the .sql file of
the same name. DSNs are read by asyncpg alone, so every form it accepts works here.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import asyncpg
from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from broadcast_sync.errors import StartError

_LOCK: Final = 0x6273_6C65_6467_6572
"""Key of the advisory lock that lets one node migrate at a time ("bsledger")."""

_TAKEN: Final = (asyncpg.DuplicateTableError, asyncpg.DuplicateObjectError, asyncpg.DuplicateFunctionError)


def execute_file(revision: str) -> None:
    """Runs the .sql file beside the revision file `revision` (its `__file__`) within the migration's transaction.

    The file goes to PostgreSQL as one simple query, so it may hold any number of statements.
    """
    statements = Path(revision).with_suffix(".sql").read_text("utf-8")
    connection = op.get_bind()
    connection.execute(text("SELECT 1"))  # SQLAlchemy sends its BEGIN with the first statement of its own
    driver: Any = connection.connection.dbapi_connection
    driver.run_async(lambda raw: raw.execute(statements))


def _config(connection: Connection) -> Config:
    config = Config()
    folder = str(files("voting.ledger").joinpath("migrations"))
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> list[str]:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    config = _config(connection)
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    known.reverse()
    version = MigrationContext.configure(connection).get_current_revision()
    if version is not None and version not in known:
        raise StartError(
            f"the database has schema version {version}, newer than this program's {known[-1]}; "
            "install a newer broadcast-sync or point [engine] postgres_url to another database"
        )
    command.upgrade(config, "head")
    return known[known.index(version) + 1 :] if version else known


async def upgrade(postgres_url: str) -> list[str]:
    """See voting.ledger.migrate.migrate."""
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(postgres_url), poolclass=NullPool
    )
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(_upgrade)
    except _TAKEN as error:
        raise StartError(
            f"the database was not made by this program ({error}); "
            "point [engine] postgres_url to an empty database"
        ) from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError) as error:
        raise StartError(f"the database cannot be migrated ({error}); check [engine] postgres_url") from error
    finally:
        await engine.dispose()
