"""One message to all subscribers of a channel: made once a format, written in slices that let others in between.

One task does all fan-outs. Must-arrive messages go first and in order; of newest-only ones only the newest of each
channel and type is kept waiting. Whom it begins with changes each time, so that nobody is always last.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from random import randrange
from time import monotonic
from typing import Final, TypeAlias

import structlog

from broadcast_sync.hub.channels import Channels, Member
from broadcast_sync.hub.closes import LOST_POSITION
from broadcast_sync.hub.metrics import Counts
from broadcast_sync.hub.outbox import Key
from broadcast_sync.wire.delivery import Delivery
from broadcast_sync.wire.formats import Format
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.visibility import is_beside

MAX_WAITING: Final = 1_024
"""Must-arrive messages that may wait. One more and its channel's sockets are told to come back (4004)."""
STRIDE: Final = 32
"""Sockets served between two looks at the clock, if the message is small."""
STRIDE_BYTES: Final = 131_072
"""Bytes handed to the kernel between two looks at the clock, if it is large."""
NEWS_SHARE: Final = 0.3
"""Of a slice, for newest-only messages: a cue that comes in the midst of a board takes several turns of the loop to be
decided and stored, and should not wait a whole slice in each."""
LARGE: Final = 65_536
"""A message of so many bytes of JSON is made in slices of its own, one a format: 1 MB takes 2 to 7 ms."""

_log = structlog.get_logger()


class Job:
    """One message on its way. The subscribers are those at the moment it starts: who joins later has it already."""

    __slots__ = ("channel", "departures", "formats", "next", "prepared", "published", "serve", "sessions", "stride")

    def __init__(self, prepared: Prepared, channel: str, serve: Serve) -> None:
        self.prepared = prepared
        self.channel = channel
        self.serve = serve
        self.published = monotonic()
        self.sessions: list[Member] | None = None
        self.formats: list[Format] = []
        """Those that are still to be made before the first socket is served."""
        self.stride = STRIDE
        self.departures = 0
        self.next = 0


Serve: TypeAlias = "Callable[[Job, list[Member]], None]"


class Fanout:
    """Call `publish` at any time, from the loop's thread; `run` is the task that does the work."""

    def __init__(self, channels: Channels, counts: Counts, slice_s: float) -> None:
        self._channels = channels
        self._counts = counts
        self._slice_s = slice_s
        self._must_arrive: deque[Job] = deque()
        self._newest: dict[Key, Job] = {}
        self._current: Job | None = None
        self._work = asyncio.Event()

    def publish(self, prepared: Prepared, channel: str) -> None:
        """Queues a message for the channel's subscribers; nothing happens if there are none."""
        if self._channels.get(channel) is None:
            return
        if prepared.delivery is Delivery.NEWEST_ONLY:
            # an older one keeps its turn and loses its content
            serve = self._serve_seers if is_beside(channel) else self._serve
            self._newest[(channel, prepared.type)] = Job(prepared, channel, serve)
        elif len(self._must_arrive) >= MAX_WAITING:
            self._overflow(prepared, channel)
        else:
            counted = prepared.epoch is not None and prepared.offset is not None and prepared.channel == channel
            once = counted and prepared.delivery is Delivery.MUST_ARRIVE
            self._must_arrive.append(Job(prepared, channel, self._serve_once if once else self._serve))
        self._work.set()

    @property
    def waiting(self) -> int:
        """Messages that have not gone to their last socket."""
        return len(self._must_arrive) + len(self._newest) + (self._current is not None)

    async def run(self) -> None:
        """Works until cancelled, never holding the loop for longer than a slice."""
        while True:
            await self._work.wait()
            while (job := self._take()) is not None:
                try:
                    self._slice(job)
                except Exception:
                    # one message that cannot be framed must not end the fan-out of all others
                    self._counts.errors += 1
                    _log.exception("fanout_failed", channel=job.channel, type=job.prepared.type)
                    self._done(job)
                await asyncio.sleep(0)
            self._work.clear()

    def _take(self) -> Job | None:
        """What to work on now: must-arrive messages overtake a newest-only one that is half done."""
        if self._must_arrive:
            return self._must_arrive[0]
        if self._current is None and self._newest:
            self._current = self._newest.pop(next(iter(self._newest)))
        return self._current

    def _done(self, job: Job) -> None:
        if job is self._current:
            self._current = None
        else:
            self._must_arrive.popleft()
        self._counts.fanned_out(monotonic() - job.published)

    def _slice(self, job: Job) -> None:
        started = monotonic()
        sessions = self._sessions(job)
        if job.formats:
            made = job.prepared.frame_for(job.formats.pop())
            job.stride = min(job.stride, max(1, STRIDE_BYTES // max(1, len(made))))
        else:
            deadline = started + (self._slice_s if job in self._must_arrive else self._slice_s * NEWS_SHARE)
            while job.next < len(sessions):
                chunk = sessions[job.next : job.next + job.stride]
                job.next += job.stride
                job.serve(job, chunk)
                if monotonic() >= deadline:
                    break
            if job.next >= len(sessions):
                self._done(job)
        if monotonic() - started > 2 * self._slice_s:
            self._counts.overruns += 1

    def _sessions(self, job: Job) -> list[Member]:
        """Whom the job still concerns. Who has unsubscribed since it started is taken out; who has closed is
        passed over when their turn comes."""
        channel = self._channels.get(job.channel)
        if channel is None:
            job.sessions, job.next, job.formats = [], 0, []
        elif job.sessions is None:
            everybody = list(channel.members)
            first = randrange(len(everybody))
            job.sessions = everybody[first:] + everybody[:first]
            job.departures = self._channels.departures
            if len(job.prepared.json) >= LARGE:
                job.formats = list({session.format for session in everybody if session.format.shared})
        elif job.departures != self._channels.departures:
            job.sessions = [session for session in job.sessions[job.next :] if session in channel.members]
            job.next = 0
            job.departures = self._channels.departures
        return job.sessions or []

    def _serve(self, job: Job, sessions: list[Member]) -> None:
        """The hot loop: for a socket that reads, this is one `transport.write` of shared bytes."""
        prepared = job.prepared
        format, made = None, b""
        for session in sessions:
            if session.format is not format:
                format = session.format
                made = prepared.frame_for(format)
            if session.ready:
                session.write(made)
            else:
                session.send(prepared)
        self._counts.deliveries += len(sessions)

    def _serve_seers(self, job: Job, sessions: list[Member]) -> None:
        """Counts that are not public: each is asked again, as a token may have expired since its session joined."""
        for session in sessions:
            if session.sees_counts():
                session.send(job.prepared)
                self._counts.deliveries += 1

    def _serve_once(self, job: Job, sessions: list[Member]) -> None:
        """Must-arrive messages: not for a session whose snapshot or replay had it already."""
        prepared, channel = job.prepared, job.channel
        epoch, offset = place = (prepared.epoch or "", prepared.offset or 0)
        for session in sessions:
            given = session.channels.get(channel)
            if given is None or (given[0] == epoch and given[1] >= offset):
                continue
            session.channels[channel] = place
            session.send(prepared)
        self._counts.deliveries += len(sessions)

    def _overflow(self, prepared: Prepared, channel: str) -> None:
        """Fails closed: sockets that would silently miss a message are sent away, in slices as well, to resume from
        their position. What waits for them goes with them."""
        found = self._channels.get(channel)
        members = list(found.members) if found is not None else []
        going = Job(prepared, channel, self._send_away)
        going.sessions, going.departures = members, self._channels.departures
        self._counts.dropped_jobs += 1
        _log.error("fanout_overflow", channel=channel, sockets=len(members), waiting=MAX_WAITING)
        self._must_arrive = deque(job for job in self._must_arrive if job.channel != channel)
        self._must_arrive.append(going)

    def _send_away(self, job: Job, sessions: list[Member]) -> None:
        for session in sessions:
            session.close(LOST_POSITION)
