"""Voters on the Python SDK. Each presses, waits for the answer however long it takes, rests, and presses again."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from msgspec import Struct

from clients.python.client import BroadcastSyncClient
from clients.python.connection import Backoff
from clients.python.errors import ClientError

CONTESTANTS: Final = tuple(f"c{number:02d}" for number in range(1, 13))
COMING_UP: Final = 100
"""Voters who connect at once."""


class Ballot(Struct, frozen=True):
    """One acknowledged vote as its voter knows it."""

    voter: str
    id: str
    contestant_id: str


class Voter:
    """One socket. `heard_at` is when the last ballot was cast that has been acknowledged."""

    def __init__(self, crowd: Crowd, number: int, client: BroadcastSyncClient) -> None:
        self._crowd = crowd
        self.number = number
        self.client = client
        self.heard_at = 0.0

    async def press(self) -> None:
        """Votes until the crowd is told to stop; ends when the last ballot has its answer."""
        crowd = self._crowd
        while not crowd.stopping.is_set():
            await crowd.rest(random.uniform(0, 2 * crowd.pace_s))
            if not crowd.stopping.is_set():
                await self._cast()

    async def _cast(self) -> None:
        crowd, cast_at, id = self._crowd, time.monotonic(), uuid4().hex
        contestant = CONTESTANTS[(self.number + len(crowd.acked)) % len(CONTESTANTS)]
        try:
            ack = await self.client.vote(contestant, id=id)
        except ClientError as error:
            crowd.failures[f"{type(error).__name__}: {error}"[:80]] += 1
            crowd.unanswered.add((f"u{self.number}", id))
            return
        crowd.acked.setdefault(ack.vote_id, []).append(Ballot(f"u{self.number}", id, contestant))
        crowd.replayed += ack.replayed
        crowd.slowest_s = max(crowd.slowest_s, time.monotonic() - cast_at)
        self.heard_at = cast_at
        crowd.heard.set()


class Crowd:
    """`tokens` are those of `u1`, `u2` ...; the voters are spread over `urls` in turn."""

    def __init__(self, urls: Sequence[str], tokens: Sequence[str], pace_s: float, backoff: Backoff) -> None:
        self.pace_s: Final = pace_s
        self.acked: Final[dict[str, list[Ballot]]] = {}
        """By the server's vote id, every ballot that was acknowledged with it: one, if all is well."""
        self.failures: Final[Counter[str]] = Counter()
        self.unanswered: Final[set[tuple[str, str]]] = set()
        """(voter, id) of ballots that were given up: they may have been counted, once."""
        self.replayed = 0
        """Acks that were a first answer given again: the one before was lost on its way."""
        self.slowest_s = 0.0
        self.stopping = asyncio.Event()
        self.heard = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.voters: Final = [
            Voter(self, number, BroadcastSyncClient(
                f"{urls[number % len(urls)].replace('http', 'ws', 1)}/voting/sync", token=token, compression=False,
                proxy=None, backoff=backoff,
            ))
            for number, token in enumerate(tokens, 1)
        ]

    @property
    def connections(self) -> int:
        """How often a socket has come up, over all voters."""
        return sum(voter.client.connections for voter in self.voters)

    async def come(self) -> None:
        """Returns when everybody is signed in; from now on they press."""
        for first in range(0, len(self.voters), COMING_UP):
            group = self.voters[first : first + COMING_UP]
            for voter in group:
                voter.client.start()
            await asyncio.gather(*(voter.client.wait_live() for voter in group))
        self._tasks = [asyncio.create_task(voter.press()) for voter in self.voters]

    async def all_heard(self, since: float) -> None:
        """Returns when every voter has had a ballot acknowledged that was cast after `since` (monotonic seconds)."""
        while any(voter.heard_at < since for voter in self.voters):
            self.heard.clear()
            await self.heard.wait()

    async def rest(self, seconds: float) -> None:
        """Waits so long, or until the crowd is told to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            pass  # rested

    async def finish(self) -> None:
        """Nobody presses any more; returns when the last answer is in."""
        self.stopping.set()
        await asyncio.gather(*self._tasks)

    async def leave(self) -> None:
        self.stopping.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(voter.client.close() for voter in self.voters))
