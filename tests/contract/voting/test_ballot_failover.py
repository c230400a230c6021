"""The intake while real engines fail over, load, lose their scripts or belong to a cluster: no ballot is lost, none is
counted twice, and the same client heals by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import MovedError

from broadcast_sync.bus.connect import AFRESH_S, connect
from broadcast_sync.bus.keys import shard_of
from broadcast_sync.bus.pubsub import Connected, Disconnected, Subscription
from broadcast_sync.engine.valkey import check_valkey
from broadcast_sync.errors import StartError
from broadcast_sync.wire.server import VoteAck
from tests.support.ballots import FakeSession, FixedClock, ballot_settings, rows, stage_of, vote
from tests.support.loose_valkey import LooseValkey, ask, loose_valkey
from voting.ballot.gates import Gates
from voting.ballot.intake import BallotIntake


class Node:
    """A node on `client` with a window open at every shard it can reach."""

    def __init__(self, client: Redis, shards: int = 1) -> None:
        settings = ballot_settings(shards=shards)
        self.gates = Gates(settings, client)
        self.stage = stage_of(self.gates.ruleset(None))
        self.intake = BallotIntake(settings, FixedClock(), client, self.gates, lambda: self.stage)
        assert self.stage.window is not None
        self.window = self.stage.window

    async def press(self, id: str, voter: str = "u1") -> object:
        """The answer to one ballot: the code of its refusal, or whether it was replayed."""
        session = FakeSession(voter)
        self.intake.handle(session, vote(id), self.window.opens_ms)
        await self.intake.drain()
        [answer] = session.answers
        return answer.replayed if isinstance(answer, VoteAck) else answer.code

    async def insist(self, id: str, voter: str = "u1") -> object:
        """As a client does: again with the same id for as long as the answer is TRY_AGAIN."""
        while (answer := await self.press(id, voter)) == "TRY_AGAIN":  # noqa: ASYNC110 - this wait is what clients do
            await asyncio.sleep(AFRESH_S / 5)
        return answer

    async def counted(self, client: Redis) -> int:
        """Votes in the tally, which are as many as the rows of the stream."""
        written = [row for keys in self.gates.shards for row in await rows(client, keys, self.window.window_id)]
        assert len({row[6] + row[1] for row in written}) == len(written)
        gates = Gates(ballot_settings(shards=len(self.gates.shards)), client)
        total = sum((await gates.tallies(self.window.window_id)).values())
        assert total == len(written)
        return total


@pytest.fixture
async def primary(tmp_path: Path) -> AsyncIterator[LooseValkey]:
    async with loose_valkey(tmp_path / "a") as engine:
        yield engine


def lead(address: Path, engine: LooseValkey) -> None:
    """The address that clients know now leads to `engine`, as a virtual IP or a name does after a failover."""
    fresh = address.with_suffix(".new")
    fresh.symlink_to(engine.folder / "valkey.sock")
    fresh.replace(address)


async def test_a_primary_that_becomes_a_replica_is_left_for_the_new_one(primary: LooseValkey, tmp_path: Path) -> None:
    address = tmp_path / "address"
    lead(address, primary)
    async with loose_valkey(tmp_path / "b") as other, primary.client() as old, other.client() as new:
        await new.replicaof("127.0.0.1", str(primary.port))
        client = connect(f"unix://{address}", timeout_s=2)
        node = Node(client)
        await node.gates.opening(node.stage)
        async with aclosing(Subscription(client, ("news",), ping_s=0.1).reports()) as reports:
            assert isinstance(await anext(reports), Connected)
            assert await node.press("first") is False
            await until(lambda: has_all(new, old))

            await new.replicaof("NO", "ONE")
            await old.replicaof("127.0.0.1", str(other.port))
            assert await node.press("second") == "TRY_AGAIN"  # READONLY
            lead(address, other)
            # the retry counts once, the one before is remembered by the new primary
            assert await node.insist("second") is False
            assert await node.press("second") is True
            assert await node.press("first") is True
            assert await node.counted(new) == 2
            assert isinstance(await anext(reports), Disconnected)
            assert isinstance(await anext(reports), Connected)
            assert await new.pubsub_numsub("news") == [(b"news", 1)]
        await client.aclose()


async def test_a_replica_cut_off_from_its_primary_takes_nothing(primary: LooseValkey, tmp_path: Path) -> None:
    async with loose_valkey(tmp_path / "b", "--replica-serve-stale-data", "no") as cut_off, cut_off.client() as there:
        client = connect(cut_off.url, timeout_s=2)
        node = Node(client)
        await node.gates.opening(node.stage)
        await there.replicaof("127.0.0.1", "1")
        assert await node.press("a") == "TRY_AGAIN"  # MASTERDOWN
        await there.replicaof("NO", "ONE")
        assert await node.insist("a") is False
        assert await node.counted(there) == 1
        await client.aclose()


async def test_an_engine_that_is_loading_means_try_again(primary: LooseValkey) -> None:
    client = connect(primary.url, timeout_s=2)
    node = Node(client)
    await node.gates.opening(node.stage)
    assert await node.press("a") is False
    async with primary.client() as there:
        await there.mset({f"filler:{number}": b"x" for number in range(2_000)})
        await there.bgrewriteaof()  # its base is an RDB, whose loading can be slowed
        await until(lambda: rewritten(there))
    await primary.kill()
    assert await node.press("b") == "TRY_AGAIN"  # nobody there
    await primary.start("--key-load-delay", "500", "--loading-process-events-interval-bytes", "1024", loaded=False)
    async with primary.client() as there:
        assert (await there.info("persistence"))["loading"] == 1
    assert await node.press("b") == "TRY_AGAIN"  # LOADING
    assert await node.insist("b") is False
    assert await node.press("a") is True
    async with primary.client() as there:
        assert await node.counted(there) == 2
    await client.aclose()


async def test_lost_scripts_are_loaded_again_behind_the_ballot(primary: LooseValkey) -> None:
    async with primary.client() as client:
        node = Node(client)
        await node.gates.opening(node.stage)
        assert await node.press("a") is False
        await client.script_flush("SYNC")
        assert await node.press("b") is False
        await client.script_flush("SYNC")
        assert await asyncio.gather(*[node.press("c", voter) for voter in ("u2", "u3")]) == [False, False]
        assert await node.counted(client) == 4


async def test_a_script_that_runs_too_long_elsewhere_means_try_again(primary: LooseValkey) -> None:
    client = connect(primary.url, timeout_s=0.3)
    node = Node(client)
    await node.gates.opening(node.stage)
    async with primary.client() as there:
        await there.config_set("busy-reply-threshold", 50)
        stuck = asyncio.ensure_future(ask(there, "EVAL", "while true do end", 0))
        assert await node.press("a") == "TRY_AGAIN"  # silent, then BUSY
        assert await node.press("a") == "TRY_AGAIN"
        await there.script_kill()
        await asyncio.gather(stuck, return_exceptions=True)
        assert await node.insist("a") is False
        assert await node.counted(there) == 1
    await client.aclose()


async def until(so: Callable[[], Awaitable[bool]]) -> None:
    """Returns when `so` is true: an engine has no event for it. The test's own time limit is the only one."""
    while not await so():  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.01)


async def is_up(cluster: Redis) -> bool:
    return bool((await ask(cluster, "CLUSTER INFO"))["cluster_state"] == "ok")


async def knows(cluster: Redis, node_id: str) -> bool:
    return any(node["node_id"] == node_id for node in (await ask(cluster, "CLUSTER NODES")).values())


async def has_size(cluster: Redis, primaries: int) -> bool:
    return int((await ask(cluster, "CLUSTER INFO"))["cluster_size"]) == primaries


async def rewritten(engine: Redis) -> bool:
    return not (await engine.info("persistence"))["aof_rewrite_in_progress"]


async def has_all(replica: Redis, primary: Redis) -> bool:
    return bool(await replica.dbsize() == await primary.dbsize())


async def test_a_cluster_node_takes_what_is_in_its_slots_and_for_the_rest_means_try_again(tmp_path: Path) -> None:
    async with (
        loose_valkey(tmp_path / "c", cluster=True) as here, loose_valkey(tmp_path / "d", cluster=True) as there,
        here.client() as client, there.client() as beyond,
    ):
        node = Node(client, shards=2)
        voters, strangers = (
            {shard_of(name, 2): name for name in (f"{kind}{number}" for number in range(20))} for kind in "us"
        )
        slots = [await ask(client, "CLUSTER KEYSLOT", keys.stream) for keys in node.gates.shards]
        ours, theirs = [(await ask(each, "CLUSTER MYID")).decode() for each in (client, beyond)]
        await ask(client, "CLUSTER ADDSLOTSRANGE", 0, 16383)
        await ask(client, "CLUSTER MEET", "127.0.0.1", there.port, there.cluster_port)
        await until(lambda: knows(client, theirs))
        await until(lambda: is_up(client))
        await until(lambda: is_up(beyond))
        await node.gates.opening(node.stage)
        assert [await node.press("a", voter) for voter in voters.values()] == [False, False]

        await ask(client, "CLUSTER SETSLOT", slots[1], "MIGRATING", theirs)
        await ask(beyond, "CLUSTER SETSLOT", slots[1], "IMPORTING", ours)
        assert await node.press("b", voters[1]) is False
        assert await node.press("b", strangers[1]) == "TRY_AGAIN"  # the book may be on the other node already
        keys = await ask(client, "CLUSTER GETKEYSINSLOT", slots[1], 100)
        await ask(client, "MIGRATE", "127.0.0.1", there.port, "", 0, 5000, "KEYS", *keys)
        await ask(beyond, "CLUSTER SETSLOT", slots[1], "NODE", theirs)
        await ask(client, "CLUSTER SETSLOT", slots[1], "NODE", theirs)
        with pytest.raises(MovedError):
            await client.get(node.gates.shards[1].stream)
        assert await node.press("b", strangers[1]) == "TRY_AGAIN"  # MOVED
        await until(lambda: has_size(client, 2))
        with pytest.raises(StartError, match="one of 2 primaries of a cluster"):
            await check_valkey(here.url)
        assert await node.press("b", voters[0]) is False

        await ask(client, "CLUSTER SETSLOT", slots[1], "IMPORTING", theirs)
        await ask(beyond, "CLUSTER SETSLOT", slots[1], "MIGRATING", ours)
        await ask(beyond, "MIGRATE", "127.0.0.1", here.port, "", 0, 5000, "KEYS", *keys)
        await ask(client, "CLUSTER SETSLOT", slots[1], "NODE", ours)
        assert await node.insist("b", strangers[1]) is False
        assert await node.press("b", voters[1]) is True
        await ask(client, "CLUSTER DELSLOTS", slots[0])
        assert await node.press("c", voters[0]) == "TRY_AGAIN"  # CLUSTERDOWN
        await ask(client, "CLUSTER ADDSLOTS", slots[0])
        assert await node.insist("c", voters[0]) is False
        assert await node.counted(client) == 6
