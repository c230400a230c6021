"""Collects the ballots of one shard into script calls: at once when idle, in batches under load, bounded always."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import structlog
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.bus.scripts import Script
from broadcast_sync.clock import Clock
from broadcast_sync.settings import Voting
from broadcast_sync.wire.codecs import EXACT
from voting.ballot.answer import BROKEN, UNKNOWN_ANSWER, Answer, read_answers
from voting.ballot.metrics import BallotMetrics

IN_FLIGHT: Final = 2
"""Calls of one shard at a time: while the engine works on one, the next is built, sent and fsynced with it."""

BALLOT_VALUES: Final = 7
"""How many values a ballot is in the script's array."""

_encode: Final = msgspec.msgpack.Encoder().encode
_log = structlog.get_logger()


class Room:
    """How many ballots this node lets wait for the engine, over all shards, those in flight included."""

    def __init__(self, limit: int) -> None:
        self.limit: Final = limit
        self.taken = 0


class Order(Struct, frozen=True, gc=False):
    """What ballots want, said once a batch: `data` is msgpack as take_ballots.lua takes it, `id` stands for it."""

    id: int
    data: bytes


Answered = Callable[[Answer], None]
Waiting = tuple[str, Order, bytes, int, Answered]
"""Window id, order, ballot, arrival in Unix milliseconds, and who wants the answer."""


def script_ballot(head: tuple[str, str, int, str, int], row: bytes, ack: bytes) -> bytes:
    """One ballot as take_ballots.lua takes it: voter, client id, arrival, contestant and order id, then `row` and `ack`
    as they are.

    Those two go as msgpack `str` although they are bytes: the engine's cmsgpack does not know `bin`.
    """
    return b"".join((
        _encode(head)[1:], b"\xdb", len(row).to_bytes(4, "big"), row, b"\xdb", len(ack).to_bytes(4, "big"), ack
    ))


def script_orders(orders: dict[int, bytes]) -> bytes:
    """The msgpack map of orders that take_ballots.lua takes."""
    return b"\xdf" + len(orders).to_bytes(4, "big") + b"".join(
        [_encode(number) + data for number, data in orders.items()]
    )


def script_batch(ballots: Sequence[bytes]) -> bytes:
    """The msgpack array of ballots that take_ballots.lua takes."""
    return b"\xdd" + (len(ballots) * BALLOT_VALUES).to_bytes(4, "big") + b"".join(ballots)


class Batcher:
    """One shard's queue. Every ballot put in is answered exactly once, in the order of its batch, by the engine or,
    when the engine does not say, by UNKNOWN: it fails closed.

    Needs `IN_FLIGHT` connections of `client`, which the caller owns and whose timeout bounds a call.
    """

    def __init__(
        self, settings: Voting, clock: Clock, client: Redis, keys: ShardKeys, room: Room, metrics: BallotMetrics
    ) -> None:
        self._max = settings.batch_max
        self._most = EXACT // settings.shards
        self._wait_s = settings.batch_wait_ms / 1000
        self._clock = clock
        self._client = client
        self._keys = keys
        self._room = room
        self._metrics = metrics
        self._script = Script("voting.ballot", "take_ballots")
        self._queue: deque[Waiting] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._called = 0
        self._timer: asyncio.Handle | None = None
        self._trouble = ""
        self._broken = False

    def put(self, window_id: str, order: Order, ballot: bytes, received_ms: int, answered: Answered) -> bool:
        """Queues a ballot as `script_ballot` makes it. False, and nothing happens, when there is no room.

        `answered` is called once, later, on this loop.
        """
        if self._room.taken >= self._room.limit:
            return False
        self._room.taken += 1
        self._queue.append((window_id, order, ballot, received_ms, answered))
        if self._timer is None:
            # Idle: after the frames that have arrived in this turn of the loop. Busy: when a call returns, a batch is
            # full or the wait is over, whichever comes first.
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._wait_s, self._flush) if self._calls else loop.call_soon(self._flush)
        elif len(self._queue) == self._max and len(self._calls) < IN_FLIGHT:
            self._flush()
        return True

    async def drain(self) -> None:
        """Returns when every ballot put in so far has been answered, whatever comes meanwhile."""
        last = self._called + len(self._queue)
        while self._called < last:
            if self._calls:
                await asyncio.wait(set(self._calls), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0)
        if self._calls:
            await asyncio.wait(set(self._calls))

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue and len(self._calls) < IN_FLIGHT:
            call = asyncio.create_task(self._call(self._next_batch()))
            self._calls.add(call)
            call.add_done_callback(self._returned)

    def _next_batch(self) -> list[Waiting]:
        """The oldest ballots, of one window, at most a batch."""
        queue = self._queue
        batch = [queue.popleft()]
        window_id = batch[0][0]
        while queue and len(batch) < self._max and queue[0][0] == window_id:
            batch.append(queue.popleft())
        self._called += len(batch)
        return batch

    def _returned(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        if self._queue:
            self._flush()

    async def _call(self, batch: list[Waiting]) -> None:
        answers = [UNKNOWN_ANSWER] * len(batch)
        window_id = batch[0][0]
        shard = self._keys
        keys = (shard.gate(window_id), shard.tally(window_id), shard.stream, shard.refused(window_id))
        try:
            orders = script_orders({entry[1].id: entry[1].data for entry in batch})
            ballots = script_batch([entry[2] for entry in batch])
            arguments = (
                window_id, orders, ballots, shard.shared(window_id), shard.types(window_id), shard.voters(window_id),
                self._most,
            )
            reply = await self._script(self._client, keys, arguments)
            answers = read_answers(reply, len(batch))
            self._note("", len(batch))
            if not self._broken and any(answer.verdict == BROKEN for answer in answers):
                self._broken = True
                _log.error("ballot_books_broken", shard=self._keys.tag, window=window_id)
        except (RedisError, OSError) as error:
            # Lost, late, loading, read-only, out of memory or a script's fault: the ballots may have been taken or
            # not. UNKNOWN makes the clients ask again with the same ids, which is safe.
            self._note(f"{type(error).__name__}: {error}", len(batch))
        except Exception as error:
            # Not an answer that we understand: as above, and somebody must look at it.
            self._note(f"{type(error).__name__}: {error}", len(batch), unexpected=True)
        finally:
            self._answer(batch, answers)

    def _answer(self, batch: list[Waiting], answers: list[Answer]) -> None:
        self._room.taken -= len(batch)
        self._metrics.batch_size.observe(len(batch))
        self._metrics.answer_seconds.observe(max(0, self._clock.now_ms() - batch[0][3]) / 1000)
        for (_, _, _, _, answered), answer in zip(batch, answers, strict=True):
            try:
                answered(answer)
            except Exception:
                # one session's fault must not keep the others from their answers
                _log.exception("ballot_answer_failed", shard=self._keys.tag)

    def _note(self, trouble: str, size: int, *, unexpected: bool = False) -> None:
        """One line when the engine starts to fail or fails in another way, one when it is back."""
        if trouble == self._trouble:
            return
        if not trouble:
            _log.info("ballot_engine_back", shard=self._keys.tag)
        elif unexpected:
            _log.exception("ballot_batch_failed", shard=self._keys.tag, ballots=size)
        else:
            _log.error("ballot_engine_trouble", shard=self._keys.tag, ballots=size, error=trouble)
        self._trouble = trouble
