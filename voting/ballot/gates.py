"""Gates: a window is open, moved and shut in every shard; the shards' tallies are read here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.bus.scripts import Script
from broadcast_sync.errors import Refusal, SettingsError
from broadcast_sync.settings import Settings
from broadcast_sync.show.model import Ruleset, Stage, Window
from voting.ballot.library import library
from voting.ballot.ruleset import CapRule, RulesetData, thaw
from voting.ledger.entries import Opened


class ShardFence(Struct, frozen=True):
    """Where a window ends in one shard: `last_id` is the fence's entry in the shard's stream. `tally` are the votes by
    contestant, `refused` the ballots by error code, both as of the stream's entry `tally_id`."""

    shard: int
    last_id: str
    tally_id: str
    tally: dict[str, int]
    refused: dict[str, int]


class Turnout(Struct, frozen=True):
    """Who has voted, and how: votes by type, and an estimate of the number of different voters (HyperLogLog, standard
    error 0.81 %). For display: the ledger has both exactly."""

    types: dict[str, int]
    voters: int


def season_of(stage: Stage) -> str:
    """The id of the season whose round the stage's window is; empty without rounds."""
    window, season = stage.window, stage.season
    return season.id if season is not None and window is not None and window.round else ""


class Gates:
    """The show's WindowPort. Engine errors pass through everywhere; every method may be called again."""

    def __init__(
        self, settings: Settings, client: Redis, rulesets: Mapping[str, RulesetData] | None = None
    ) -> None:
        """`client` stays the caller's; `rulesets` by name, default those that ship with the package and those that the
        settings name. Raises StartError if one of them is broken, SettingsError if the default one is unknown."""
        self._settings = settings
        self._client = client
        self._rulesets = library(settings.voting.ruleset_files) if rulesets is None else rulesets
        self._open = Script("voting.ballot", "open_gate")
        self._fence = Script("voting.ballot", "fence_gate")
        self.shards: Final = tuple(
            ShardKeys(settings.show.organisation, shard) for shard in range(settings.voting.shards)
        )
        if settings.voting.ruleset not in self._rulesets:
            raise SettingsError(f"voting.ruleset: there is no ruleset {settings.voting.ruleset}; {self._known()}")

    def ruleset(self, name: str | None) -> Ruleset:
        """The named ruleset, or the default one. Raises Refusal CUE_REJECTED if unknown or not allowed here."""
        data = self._rulesets.get(name or self._settings.voting.ruleset)
        if data is None:
            raise Refusal("CUE_REJECTED", f"There is no ruleset {str(name)[:64]!r}; {self._known()}.")
        if data.test_only and not self._tests_allowed():
            raise Refusal("CUE_REJECTED", f"The ruleset {data.name} is for tests; voting.allow_unlimited forbids it.")
        for rule in data.claims + tuple([rule for kind in data.types.values() for rule in kind.claims]):
            if isinstance(rule, CapRule) and rule.limit // len(self.shards) < data.max_vote_count:
                raise Refusal(
                    "CUE_REJECTED",
                    f"The cap {rule.name} of {rule.limit} leaves each of the {len(self.shards)} shards less than the "
                    f"{data.max_vote_count} votes that one ballot of {data.name} may hold.",
                )
        return data.frozen()

    def rules(self, held: Ruleset) -> RulesetData | None:
        """The whole ruleset that a window holds, whether this node ships it or not; None if it has rules that this
        version does not know."""
        try:
            return thaw(held)
        except (ValueError, msgspec.MsgspecError):
            return None

    async def opening(self, stage: Stage) -> None:
        """Opens `stage.window` in every shard and tells the ledger of it. ValueError if the stage has no window."""
        show, window = stage.show, stage.window
        if show is None or window is None:
            raise ValueError("no window to open")
        await self._move(stage, window, msgspec.json.encode(Opened.of(show, window, season_of(stage))))

    async def changed(self, stage: Stage) -> None:
        """Gives the times of `stage.window` to the gates that are open; the newest revision wins."""
        if stage.window is not None:
            await self._move(stage, stage.window, b"")

    async def fence(self, window_id: str) -> list[ShardFence]:
        """Shuts the window in every shard: when this returns no ballot of it can be accepted any more."""
        replies = await asyncio.gather(*[
            self._fence(
                self._client,
                (keys.gate(window_id), keys.tally(window_id), keys.stream, keys.refused(window_id)),
                (window_id,),
            )
            for keys in self.shards
        ])
        return [
            ShardFence(keys.shard, last_id.decode(), tally_id.decode(), _counts(tally), _counts(refused))
            for keys, (last_id, tally_id, tally, refused) in zip(self.shards, replies, strict=True)
        ]

    async def tallies(self, window_id: str) -> dict[str, int]:
        """Votes by contestant id, summed over the shards; contestants without votes are missing."""
        total: dict[str, int] = {}
        await asyncio.gather(*[self._add(keys.tally(window_id), total) for keys in self.shards])
        return total

    async def turnout(self, window_id: str) -> Turnout:
        """Votes by type and the number of voters, summed over the shards: a voter votes in one shard alone."""
        types: dict[str, int] = {}
        voters: Any
        *_, voters = await asyncio.gather(
            *[self._add(keys.types(window_id), types) for keys in self.shards],
            asyncio.gather(*[self._client.pfcount(keys.voters(window_id)) for keys in self.shards]),
        )
        return Turnout({name: votes for name, votes in types.items() if votes > 0}, sum(voters))

    async def votes_of(self, window_id: str, contestant_id: str) -> int:
        """One contestant's votes, summed over the shards."""
        parts: Any = await asyncio.gather(*[
            self._client.hget(keys.tally(window_id), contestant_id) for keys in self.shards
        ])
        return sum(int(votes or 0) for votes in parts)

    async def _add(self, key: str, total: dict[str, int]) -> None:
        """Adds a hash of numbers to `total`; each in a turn of the loop of its own, as there may be thousands."""
        found: Any = await self._client.hgetall(key)  # redis-py's type allows str, ours are bytes
        for name, votes in found.items():
            text = name.decode()
            total[text] = total.get(text, 0) + int(votes)

    async def _move(self, stage: Stage, window: Window, ledger: bytes) -> None:
        await asyncio.gather(*[
            self._open(
                self._client,
                (keys.gate(window.window_id), keys.stream, keys.refused(window.window_id)),
                (window.window_id, window.opens_ms, window.hard_closes_ms, stage.revision, ledger),
            )
            for keys in self.shards
        ])

    def _tests_allowed(self) -> bool:
        allowed = self._settings.voting.allow_unlimited
        return allowed == "always" or (allowed == "loopback" and self._settings.loopback)

    def _known(self) -> str:
        return f"known are {', '.join(self._rulesets)}"


def _counts(flat: list[bytes]) -> dict[str, int]:
    """A hash of numbers as a script returns it; what is 0 is left out."""
    return {name.decode(): int(number) for name, number in zip(flat[::2], flat[1::2], strict=True) if int(number)}
