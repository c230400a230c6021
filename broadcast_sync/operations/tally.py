"""TALLY: what the control room sees each second, made of the reports that all nodes and the director leave in
one hash in Valkey. A report older than `STALE_MS` belongs to a node that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from broadcast_sync.bus.connect import VALKEY_ERRORS, heed_cancellation
from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.clock import Clock
from broadcast_sync.wire.server import (
    ArmedInfo,
    ClockInfo,
    CueLogRow,
    DirectorInfo,
    DueInfo,
    NodeInfo,
    PendingInfo,
    ReferenceInfo,
    RundownInfo,
    Tally,
)

STALE_MS: Final = 5_000
INTERVAL_S: Final = 1.0


class NodeReport(Struct, frozen=True):
    """One process: its sockets, and the shares of them that were sent the newest message of channel `show` and have
    acknowledged it."""

    sockets: int
    applied: float
    at_ms: int
    acked: float = 0.0
    degraded: bool = False
    clock_offset_ms: float = 0.0

    def info(self, node: str) -> NodeInfo:
        """As the control room sees it."""
        return NodeInfo(node, self.sockets, self.applied, self.acked, self.degraded, round(self.clock_offset_ms, 1))


class DirectorReport(Struct, frozen=True):
    """What only the director knows. `recount` is EQUAL, PENDING or DIFFERS; `ledger_lag` in votes. Figures of votes are
    None while they are for nobody, and `embargoed` while they are not for everybody: it is the director who says so,
    since no other node can know sooner that a window has been opened."""

    votes_per_second: float | None
    total_votes: int | None
    ledger_lag: int | None
    recount: str
    at_ms: int
    embargoed: bool = False
    node: str = ""

    @property
    def public_total(self) -> int | None:
        """The votes of the window as everybody may know them."""
        return None if self.embargoed else self.total_votes

    def info(self, now_ms: int) -> DirectorInfo | None:
        """As the control room sees it at `now_ms`; None if there was no report."""
        return DirectorInfo(self.node, max(0, now_ms - self.at_ms)) if self.at_ms else None


class StageView(Struct, frozen=True):
    """What the tally shows of the stage; `legal` are the cue events that would be accepted now, `asks` those
    of them that a second person would have to confirm, `streams` is how much
    of their memory the votes that wait for the ledger have taken."""

    revision: int
    voting: str
    legal: list[str]
    degraded: bool
    streams: str = "OK"
    armed: list[ArmedInfo] = []
    pending: list[PendingInfo] = []
    rundown: RundownInfo | None = None
    reference: ReferenceInfo | None = None
    rehearsal: bool = False
    asks: list[str] = []
    due: list[DueInfo] = []


_reports = msgspec.json.Decoder(NodeReport)
_director = msgspec.json.Decoder(DirectorReport)
DIRECTOR_FIELD: Final = "director"


def merge(nodes: list[NodeInfo]) -> tuple[int, float, float]:
    """Sockets of all nodes, and the shares of them that were sent the newest message and have acknowledged it."""
    sockets = sum(node.sockets for node in nodes)
    if not sockets:
        return 0, 1.0, 1.0
    applied = sum(node.sockets * node.applied for node in nodes) / sockets
    return sockets, round(applied, 4), round(sum(node.sockets * node.acked for node in nodes) / sockets, 4)


def last_lateness_ms(cues: list[CueLogRow]) -> int | None:
    """The lateness of the last cue that was taken; `cues` are newest first."""
    return next((cue.lateness_ms for cue in cues if cue.outcome == "executed"), None)


class TallyReporter:
    """Leaves this node's report each second and hands the tally made of all of them to `publish`.

    When Valkey does not answer, the tally is made of this node alone and says `degraded`: fails open, since an
    operator must see something.
    """

    def __init__(
        self,
        *,
        client: Redis,
        keys: StageKeys,
        clock: Clock,
        node: str,
        report: Callable[[], NodeReport],
        stage: Callable[[], StageView],
        clock_info: Callable[[], ClockInfo],
        cues: Callable[[], list[CueLogRow]],
        publish: Callable[[Tally], None],
    ) -> None:
        self._client = client
        self._keys = keys
        self._clock = clock
        self._node = node
        self._report = report
        self._stage = stage
        self._clock_info = clock_info
        self._cues = cues
        self._publish = publish
        self._last_director = DirectorReport(0.0, 0, 0, "PENDING", 0)
        self._last: Tally | None = None

    @property
    def last(self) -> Tally | None:
        """The last tally; None until there is one, at most a second or so after the start."""
        return self._last

    @property
    def director(self) -> DirectorReport:
        """The director's last report; all zero until there is one."""
        return self._last_director

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            heed_cancellation()
            self._last = self._tally(*await self._exchange())
            self._publish(self._last)
            await asyncio.sleep(INTERVAL_S - self._clock.now_ms() % 1000 / 1000)

    async def leave(self) -> None:
        """Takes this node out of the tally; called at a clean stop."""
        await self._client.hdel(self._keys.nodes, self._node)

    async def _exchange(self) -> tuple[list[NodeInfo], bool]:
        own = self._report()
        try:
            await self._client.hset(self._keys.nodes, self._node, msgspec.json.encode(own))
            found: Any = await self._client.hgetall(self._keys.nodes)
            await self._forget(found, own.at_ms)
        except VALKEY_ERRORS:
            return [own.info(self._node)], True  # the mirror has logged the outage
        fresh = [own.info(self._node)]
        for name, value in found.items():
            if name.decode() == DIRECTOR_FIELD:
                self._last_director = _director.decode(value)
            elif name.decode() != self._node:
                report = _reports.decode(value)
                if own.at_ms - report.at_ms <= STALE_MS:
                    fresh.append(report.info(name.decode()))
        return sorted(fresh, key=lambda node: node.node), False

    async def _forget(self, found: dict[bytes, bytes], now_ms: int) -> None:
        gone = [
            name for name, value in found.items()
            if name.decode() != DIRECTOR_FIELD and now_ms - _reports.decode(value).at_ms > 60_000
        ]
        if gone:
            await self._client.hdel(self._keys.nodes, *gone)

    def _tally(self, nodes: list[NodeInfo], cut_off: bool) -> Tally:
        sockets, applied, acked = merge(nodes)
        stage, cues = self._stage(), self._cues()
        director = self._last_director
        return Tally(
            revision=stage.revision,
            state=stage.voting,
            sockets=sockets,
            applied=applied,
            votes_per_second=director.votes_per_second,
            ledger_lag=director.ledger_lag,
            recount=director.recount,
            legal=stage.legal,
            total_votes=director.total_votes,
            degraded=stage.degraded or cut_off,
            cues=cues,
            streams=stage.streams,
            armed=stage.armed,
            pending=stage.pending,
            rundown=stage.rundown,
            reference=stage.reference,
            rehearsal=stage.rehearsal,
            acked=acked,
            nodes=nodes,
            clock=self._clock_info(),
            last_lateness_ms=last_lateness_ms(cues),
            director=director.info(self._clock.now_ms()),
            asks=stage.asks,
            due=stage.due,
        )


async def report_as_director(
    client: Redis, keys: StageKeys, clock: Clock, report: Callable[[], DirectorReport]
) -> None:
    """One of the director's loops: leaves its report each second, until cancelled. Outages are passed over, since
    a report that is missing is only an older one shown."""
    while True:
        heed_cancellation()
        try:
            await client.hset(keys.nodes, DIRECTOR_FIELD, msgspec.json.encode(report()))
        except VALKEY_ERRORS:
            pass  # the mirror has logged the outage
        await asyncio.sleep(INTERVAL_S - clock.now_ms() % 1000 / 1000)
