"""A stage with an open window, a session that keeps its answers, and stream entries read back."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import msgspec
from redis.asyncio import Redis

from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.errors import Refusal
from broadcast_sync.settings import Settings, Voting
from broadcast_sync.show.model import Ruleset, Show, Stage, Window
from broadcast_sync.show.model import Voting as VotingState
from broadcast_sync.tokens import Identity
from broadcast_sync.wire.client import Vote
from broadcast_sync.wire.codecs import JSON, Codec
from broadcast_sync.wire.server import ContestantInfo, Data, VoteAck
from voting.ballot.library import parse
from voting.ballot.ruleset import RulesetData

CONTESTANTS = (
    ContestantInfo("c1", 1, "Sokha", "", "active"),
    ContestantInfo("c2", 2, "Dara", "", "active"),
    ContestantInfo("c3", 3, "Bopha", "", "eliminated"),
)

BRISK = """
name = "brisk"
text = "Small limits, so that a short run of ballots meets all of them."
max_vote_count = 6

[[claims]]
kind = "pace"
name = "votes"
scope = "episode"
limit = 6
period_s = 10
burst = 6
word = "votesPerTenSeconds"

[types.free]
[[types.free.claims]]
kind = "counter"
name = "free"
scope = "episode"
limit = 12
code = "NO_FREE_VOTES"
shows = "free"

[types.super]
weight = 3
[[types.super.claims]]
kind = "counter"
name = "super"
scope = "episode"
limit = 2
code = "SUPER_LIMIT"
shows = "super"
"""


class FixedClock:
    """A clock that stands still."""

    def __init__(self, now: int = 0) -> None:
        self.now = now

    def now_ms(self) -> int:
        return self.now


class FakeSession:
    """What the intake sees of a session. `answers` are VoteAcks and Refusals in the order of their arrival."""

    def __init__(
        self, user: str | None = "u1", roles: frozenset[str] = frozenset({"user"}), organisation: str = "default",
        codec: Codec = JSON,
    ) -> None:
        self.identity = None if user is None else Identity(user, organisation, roles, 2**52)
        self.codec = codec
        self.answers: list[VoteAck | Refusal] = []
        self.ids: list[str] = []

    def reply(self, data: Data) -> None:
        assert isinstance(data, VoteAck)
        self.answers.append(data)
        self.ids.append(data.id)

    def refuse(self, refusal: Refusal, id: str | None = None) -> None:
        self.answers.append(refusal)
        self.ids.append(id or "")

    @property
    def shown(self) -> list[object]:
        """Each answer in short: (voteId, remaining, replayed) or the code of the refusal."""
        return [
            answer.code if isinstance(answer, Refusal) else (answer.vote_id, answer.remaining, answer.replayed)
            for answer in self.answers
        ]


def brisk() -> RulesetData:
    return parse(BRISK, "brisk")


def ballot_settings(**voting: Any) -> Settings:
    return Settings(voting=Voting(**voting))


def stage_of(
    ruleset: Ruleset, *, voting: VotingState = "OPEN", opens_ms: int | None = None, seconds: int = 60, grace_s: int = 5,
    show_id: str = "", revision: int = 2,
) -> Stage:
    """A stage with its own show and window; opens in an hour, so that the engine forgets nothing meanwhile."""
    opens = opens_ms if opens_ms is not None else time.time_ns() // 1_000_000 + 3_600_000
    closes = opens + seconds * 1000
    show = Show(show_id or uuid4().hex, 1, "Test", 7, CONTESTANTS)
    window = Window(str(uuid4()), opens, closes, closes + grace_s * 1000, ruleset, CONTESTANTS)
    return Stage("default", revision=revision, show=show, voting=voting, window=window)


def vote(id: str = "b1", contestant: str = "c1", kind: str = "free", count: int = 1, **more: Any) -> Vote:
    return Vote(id, contestant, kind, count, **more)


async def entries(client: Redis, keys: ShardKeys, kind: str | None = None) -> list[tuple[str, dict[bytes, bytes]]]:
    """The shard's stream: (id, fields), of one kind if asked."""
    found: Any = await client.xrange(keys.stream)
    return [(entry.decode(), fields) for entry, fields in found if kind is None or fields[b"k"] == kind.encode()]


async def rows(client: Redis, keys: ShardKeys, window_id: str) -> list[list[Any]]:
    """Every accepted row of a window in a shard's stream."""
    found: list[list[Any]] = []
    for _, fields in await entries(client, keys, "b"):
        if fields[b"w"].decode() == window_id:
            batch = msgspec.msgpack.decode(fields[b"v"])
            assert len(batch) == int(fields[b"n"])
            found.extend(batch)
    return found
