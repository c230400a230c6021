from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from msgspec.structs import replace

from broadcast_sync.errors import StartError
from broadcast_sync.show.catalogue import Catalogue, demo


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(postgres_url, min_size=1, max_size=3) as made:
        yield made


async def vote(pool: asyncpg.Pool, ref: int, contestant: str) -> None:
    await pool.execute(
        "INSERT INTO votes VALUES ('default', $1, gen_random_uuid(), gen_random_uuid(), 0, 'v', $2, 'free', 1, 1, "
        "'c', now(), NULL)",
        ref, contestant,
    )


async def test_the_demo_goes_in_and_comes_back(pool: asyncpg.Pool) -> None:
    catalogue = Catalogue(pool, "default")
    assert await catalogue.find("demo", 1) is None
    assert await catalogue.load_demo() and not await catalogue.load_demo()
    show = await catalogue.find("demo", 1)
    assert show is not None and show.title == "Voices of the Mekong: Live Show 1"
    assert [person.number for person in show.contestants] == list(range(1, 13))
    first = show.contestants[0]
    assert (first.id, first.name, first.khmer_name, first.status) == ("c01", "Sok Dara", "សុខ តារា", "active")
    assert [(row.show_id, row.episode, row.contestants, row.ref) for row in await catalogue.list()] == [
        ("demo", 1, 12, show.episode_ref)
    ]
    await vote(pool, show.episode_ref, "c01")
    assert await pool.fetchval(f"SELECT count(*) FROM votes_{show.episode_ref}") == 1


async def test_loading_again_updates_and_swaps_numbers(pool: asyncpg.Pool) -> None:
    catalogue, file = Catalogue(pool, "default"), demo()
    ref = await catalogue.load(file)
    await vote(pool, ref, "c01")
    one, two, *others = file.contestants
    swapped = [replace(one, number=2, status="eliminated"), replace(two, number=1, name="Chan"), *others[:-1]]
    assert await catalogue.load(replace(file, contestants=swapped)) == ref
    show = await catalogue.find("demo", 1)
    assert show is not None and len(show.contestants) == 11
    assert [(person.id, person.number, person.status) for person in show.contestants[:2]] == [
        ("c01", 2, "eliminated"), ("c02", 1, "active"),
    ]


async def test_whoever_has_votes_cannot_be_left_out(pool: asyncpg.Pool) -> None:
    catalogue, file = Catalogue(pool, "default"), demo()
    ref = await catalogue.load(file)
    await vote(pool, ref, "c05")
    fewer = replace(file, contestants=file.contestants[:4], episode=replace(file.episode, title="Changed"))
    with pytest.raises(StartError, match="c05 cannot be left out"):
        await catalogue.load(fewer)
    show = await catalogue.find("demo", 1)
    assert show is not None and len(show.contestants) == 12 and show.title != "Changed"


async def test_each_episode_has_its_partition(pool: asyncpg.Pool) -> None:
    catalogue, file = Catalogue(pool, "default"), demo()
    first = await catalogue.load(file)
    second = await catalogue.load(replace(file, episode=replace(file.episode, number=2)))
    assert first != second
    for ref in (first, second):
        assert await pool.fetchval("SELECT to_regclass($1)::text", f"votes_{ref}") == f"votes_{ref}"


async def test_the_file_of_another_organisation_is_refused(pool: asyncpg.Pool) -> None:
    with pytest.raises(StartError, match="organisation default"):
        await Catalogue(pool, "other").load(demo())
    assert await Catalogue(pool, "other").load_demo()
