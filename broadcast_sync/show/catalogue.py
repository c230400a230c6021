"""Shows in PostgreSQL: show files in, episodes out. SQL stands in show/sql, one statement a file."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

import asyncpg
import msgspec
from msgspec import Struct

from broadcast_sync.errors import StartError
from broadcast_sync.show.model import Show
from broadcast_sync.show.showfile import ShowFile, parse
from broadcast_sync.wire.server import ContestantInfo

_SQL: Final = files("broadcast_sync.show").joinpath("sql")


def _sql(name: str) -> str:
    return _SQL.joinpath(f"{name}.sql").read_text("utf-8")


ORGANISATION: Final = _sql("upsert_organisation")
SEASON: Final = _sql("upsert_season")
EPISODE: Final = _sql("upsert_episode")
VOTED: Final = _sql("contestants_with_votes")
CLEAR: Final = _sql("delete_contestants")
CONTESTANT: Final = _sql("insert_contestant")
FIND: Final = _sql("find_episode")
LINE_UP: Final = _sql("line_up")
LIST: Final = _sql("list_episodes")


def demo() -> ShowFile:
    """The rehearsal show that ships with the package."""
    return parse(files("broadcast_sync.show").joinpath("demo", "demo.toml").read_bytes(), "demo.toml")


class EpisodeRow(Struct, frozen=True, rename="camel"):
    """One episode in a list."""

    show_id: str
    episode: int
    title: str
    season: str
    contestants: int
    ref: int


class Catalogue:
    """The shows of one organisation. The pool is the caller's; engine errors pass through."""

    def __init__(self, pool: asyncpg.Pool, organisation: str) -> None:
        self._pool = pool
        self._organisation = organisation

    async def load(self, file: ShowFile) -> int:
        """Stores `file` whole or not at all, and makes room for the episode's votes. Returns the episode's ref.

        Loading again updates it. Raises StartError if the file is of another organisation, or leaves out a
        contestant who has votes.
        """
        org, show_id, number = self._organisation, file.show.id, file.episode.number
        if file.organisation != org:
            raise StartError(
                f"the file is of organisation {file.organisation}, this server's is {org}; "
                "change the file or [show] organisation", exit_code=2,
            )
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(ORGANISATION, org)
            await connection.execute(SEASON, org, file.season.id, file.season.title)
            ref: int = await connection.fetchval(
                EPISODE, org, file.season.id, show_id, number, file.episode.title, file.show.timezone
            )
            await connection.execute("SELECT make_votes_partition($1)", ref)
            kept = [contestant.id for contestant in file.contestants]
            lost = await connection.fetch(VOTED, org, show_id, number, ref, kept)
            if lost:
                names = ", ".join(row["contestant_id"] for row in lost)
                raise StartError(
                    f"{show_id} episode {number}: {names} cannot be left out, there are votes for them; "
                    'set status = "eliminated" instead', exit_code=2,
                )
            await connection.execute(CLEAR, org, show_id, number)
            await connection.executemany(
                CONTESTANT,
                [
                    (
                        org, show_id, number, person.id, person.number, person.name, person.khmer_name, person.photo,
                        person.hometown, person.category, person.performance_order or place, person.status,
                    )
                    for place, person in enumerate(file.contestants, 1)
                ],
            )
        return ref

    async def find(self, show_id: str, episode: int) -> Show | None:
        """The episode with its line-up in order of performance; None if there is none."""
        async with self._pool.acquire() as connection, connection.transaction(readonly=True):
            head = await connection.fetchrow(FIND, self._organisation, show_id, episode)
            if head is None:
                return None
            people = await connection.fetch(LINE_UP, self._organisation, show_id, episode)
        return Show(
            show_id, episode, head["title"], head["ref"],
            tuple(
                ContestantInfo(
                    person["contestant_id"], person["number"], person["name"], person["photo_url"],
                    person["status"], person["khmer_name"], person["hometown"], person["category"],
                )
                for person in people
            ),
            head["timezone"],
        )

    async def list(self) -> list[EpisodeRow]:
        """Every episode, by show and number."""
        rows = await self._pool.fetch(LIST, self._organisation)
        return [EpisodeRow(*row.values()) for row in rows]

    async def load_demo(self) -> bool:
        """Loads the rehearsal show, under this organisation, into a catalogue that holds nothing. False if it
        holds anything."""
        if await self.list():
            return False
        await self.load(msgspec.structs.replace(demo(), organisation=self._organisation))
        return True
