"""The rehearsal's voters: real sockets, a token each, and a ledger of their own of what was acked."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final
from uuid import uuid4

from msgspec import Struct

from broadcast_sync.wire.server import ResultsReady, WindowInfo
from broadcast_sync.wire.times import parse_iso
from clients.load.target import Target
from clients.load.voters import Press, popularity, presses
from clients.python.client import BroadcastSyncClient
from clients.python.connection import Backoff
from clients.python.errors import ClientError, Refused, Unconfirmed

ARRIVE_S: Final = 3.0
"""The sockets of an audience come up over this time."""
MISSED_S: Final = 1.0
"""A press that should have been made longer ago than this is left out: its voter was not there yet."""
LEAVE_S: Final = 0.6
VOTER_BACKOFF: Final = Backoff(base_s=0.5, cap_s=4.0)


class Ledger(Struct):
    """What one audience did in one window. `acked` are the ids of votes by contestant, so one counted twice shows."""

    window_id: str
    whole: bool
    """True if the audience was there from the opening on."""
    acked: dict[str, set[str]]
    refused: Counter[str]
    unconfirmed: int = 0

    @property
    def total(self) -> int:
        return sum(len(ids) for ids in self.acked.values())

    def missing(self, results: ResultsReady) -> dict[str, int]:
        """By contestant, how many acked votes a result does not have. Must be empty."""
        certified = {row.contestant_id: row.vote_count for row in results.results}
        short = {one: len(ids) - certified.get(one, 0) for one, ids in self.acked.items()}
        return {one: count for one, count in short.items() if count > 0}


class Audience:
    """`size` voters who come, vote in one window as people do, and leave."""

    def __init__(
        self, target: Target, size: int, tokens: Callable[[int], Awaitable[list[str]]], random: Random
    ) -> None:
        self._target = target
        self._size = size
        self._tokens = tokens
        self._random = random
        self._liked: dict[str, float] = {}
        self._voters: list[BroadcastSyncClient] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._complete = False
        self.ledger: Ledger | None = None

    @property
    def seated(self) -> bool:
        """True once somebody has come."""
        return bool(self._voters)

    @property
    def ready(self) -> bool:
        """True if all have come and have not voted yet."""
        return self._complete and self.ledger is None

    @property
    def connected(self) -> int:
        return sum(voter.live for voter in self._voters)

    async def gather(self) -> None:
        """Brings a new audience in, over `ARRIVE_S`; raises as the source of tokens does."""
        await self.leave()
        self.ledger = None
        tokens = await self._tokens(self._size)
        url = self._target.websocket("/voting/sync")
        for token in tokens:
            voter = BroadcastSyncClient(
                url, token=token, channels=("show",), backoff=VOTER_BACKOFF, compression=False, proxy=None,
                random=self._random.random,
            )
            voter.start()
            self._voters.append(voter)
            await asyncio.sleep(ARRIVE_S / len(tokens))
        self._complete = True

    def vote(self, window: WindowInfo, now_ms: float, *, whole: bool) -> None:
        """The lines are open: everybody does what they will do."""
        contestants = [one.id for one in window.contestants if one.status == "active"]
        self._liked = popularity(contestants, self._liked, self._random)
        self.ledger = Ledger(window.window_id, whole, {one: set() for one in contestants}, Counter())
        opens_ms = parse_iso(window.opens_at)
        window_s = (parse_iso(window.closes_at) - opens_ms) / 1000.0
        for voter in self._voters:
            plan = presses(self._liked, window_s, self._random)
            coming = tuple(press for press in plan if opens_ms / 1000.0 + press.at_s > now_ms / 1000.0 - MISSED_S)
            if coming:
                self._spawn(self._press(voter, coming, opens_ms, self.ledger))

    async def settled(self, timeout_s: float) -> None:
        """Until every vote has its answer or was given up, at most `timeout_s`."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=timeout_s)

    async def leave(self) -> None:
        """Everybody goes, within `LEAVE_S`."""
        for task in self._tasks:
            task.cancel()
        self._complete = False
        voters, self._voters = self._voters, []
        if voters:
            leaving = {asyncio.ensure_future(voter.close()) for voter in voters}
            _, late = await asyncio.wait(leaving, timeout=LEAVE_S)
            for each in late:
                each.cancel()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _press(
        self, voter: BroadcastSyncClient, plan: tuple[Press, ...], opens_ms: int, ledger: Ledger
    ) -> None:
        for press in plan:
            await asyncio.sleep(max(0.0, (opens_ms - voter.now_ms()) / 1000.0 + press.at_s))
            id = uuid4().hex
            try:
                ack = await voter.vote(press.contestant_id, id=id)
            except Refused as refused:
                ledger.refused[refused.code] += 1
                if refused.code in ("VOTING_CLOSED", "VOTING_ENDED"):
                    return
            except Unconfirmed as unconfirmed:
                ledger.unconfirmed += unconfirmed.sent
            except ClientError:
                return  # this voter's connection is over; what was acked stays in the ledger
            else:
                ledger.acked.setdefault(ack.contestant_id, set()).add(ack.vote_id)
