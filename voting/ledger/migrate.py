"""The door to the migrations. Alembic takes half a second to import, which an operator who sends a cue from the command
line must not wait for, so it is imported when a database is really to be brought up to date."""

from __future__ import annotations


async def migrate(postgres_url: str) -> list[str]:
    """Brings the database to the newest version in one transaction; returns the versions applied, oldest first.

    Nodes that start together take turns. Raises StartError if the database cannot be reached, is newer than this
    program or holds tables of another origin under our names; then nothing was changed.
    """
    from voting.ledger.migrations.upgrade import upgrade

    return await upgrade(postgres_url)
