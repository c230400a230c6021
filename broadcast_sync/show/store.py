"""The stage in Valkey: one script compares the revision, stores the stage, appends and publishes its events.

Engine errors pass through. After one, a commit may or may not have happened; the same cueId finds out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from uuid import uuid4

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from redis.asyncio import Redis

from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.bus.scripts import Script
from broadcast_sync.show.cues import CueRecord, Remembered
from broadcast_sync.show.machine import Decision
from broadcast_sync.show.model import Stage
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import Envelope
from broadcast_sync.wire.times import iso

_COMMIT: Final = Script("broadcast_sync.bus", "commit_stage")
EVENTS_KEPT: Final = 10_000
ACK_LIFE_S: Final = 2 * 86_400
CUES_KEPT: Final = 100_000
"""Refused cues push the oldest records out beyond this, about; the copier normally keeps far fewer."""

_stage = msgspec.json.Decoder(Stage)
_remembered = msgspec.json.Decoder(Remembered)


class Committed(Struct, frozen=True):
    """The stage as it is now stored, with epoch and offset."""

    stage: Stage


class Conflict(Struct, frozen=True):
    """The stored stage has another revision: load it and decide again. Nothing was changed."""


class Replayed(Struct, frozen=True):
    """The cueId has been committed before. Nothing was changed."""

    first: Remembered


class Fenced(Struct, frozen=True):
    """Another director has the lease by now. Nothing was changed."""


class Late(Struct, frozen=True):
    """The engine came to it after its time. Nothing was changed."""

    by_ms: int


class Answer(NamedTuple):
    """What is remembered under `key` (see answer_key); None forgets what was."""

    key: str
    remembered: Remembered | None


def answer_key(scope: str, mode: str, cue_id: str) -> str:
    """Under what the answer to a cue is remembered: one for each show, mode and cueId."""
    return f"{scope}:{mode}:{cue_id}"


def _event(payload: bytes) -> Prepared | None:
    """An event of the stream; None if it is of a later version's type. The gap it leaves ends what can be replayed."""
    try:
        return Prepared.received(payload)
    except (msgspec.DecodeError, KeyError):
        return None


class StageStore:
    """An organisation's stage. The client is the caller's."""

    def __init__(self, client: Redis, keys: StageKeys, organisation: str) -> None:
        self._client = client
        self._keys = keys
        self._organisation = organisation

    async def begin(self) -> None:
        """Stores an empty stage where there is none, so that `show` has an epoch that sockets can resume from
        before the first cue. Leaves an existing one alone."""
        empty = Stage(organisation=self._organisation, epoch=uuid4().hex)
        await self._client.set(self._keys.state, msgspec.json.encode(empty), nx=True)

    async def load(self) -> Stage:
        """The stored stage; revision 0 if there is none."""
        state: Any = await self._client.get(self._keys.state)
        return self._decode(state)

    async def first_answer(self, key: str) -> Remembered | None:
        """What was answered under `key` before, if anything."""
        ack: Any = await self._client.get(self._ack_key(key))
        return _remembered.decode(ack) if ack else None

    async def load_recent(self, count: int) -> tuple[Stage, list[Prepared]]:
        """The stored stage and the last `count` events of its epoch, oldest first, read at one moment."""
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.get(self._keys.state)
            pipe.xrevrange(self._keys.events, count=count)
            state, entries = await pipe.execute()
        stage = self._decode(state)
        events = [_event(fields[b"m"]) for _, fields in reversed(entries)]
        return stage, [event for event in events if event is not None and event.epoch == stage.epoch]

    async def commit(
        self, expected_revision: int, decision: Decision, now_ms: int,
        answers: Sequence[Answer] = (), records: Sequence[CueRecord] = (), *, token: int = 0, until_ms: int = 0,
    ) -> Committed | Conflict | Replayed | Fenced | Late:
        """Stores and publishes `decision` if the stored revision is `expected_revision`.

        `decision.stage` must carry epoch and offset of the stage it was decided on. `answers` are kept for two days and
        `records` go to the cue log in the same step. A node's commit (`token` 0) is not made if the first of `answers`
        is there already; a director's, under its lease's fencing number, overwrites it. None is made after `until_ms`
        (0: any time).
        """
        stage, messages = self._messages(decision, now_ms)
        keys = [self._keys.state, self._keys.events, self._keys.cues, f"{self._keys.director}:fence", self._keys.time]
        result = await _COMMIT(
            self._client, [*keys, *(self._ack_key(answer.key) for answer in answers)],
            [
                expected_revision, msgspec.json.encode(stage), self._keys.channel, EVENTS_KEPT, ACK_LIFE_S, token,
                0 if token else 1, len(records), until_ms,
                *(msgspec.json.encode(one.remembered) if one.remembered else b"" for one in answers),
                *(msgspec.json.encode(record) for record in records), *messages,
            ],
        )
        if result[0] == b"replayed":
            return Replayed(_remembered.decode(result[1]))
        if result[0] == b"fenced":
            return Fenced()
        if result[0] == b"late":
            return Late(int(result[1]))
        return Committed(stage) if result[0] == b"committed" else Conflict()

    async def log_refusal(self, record: CueRecord) -> None:
        """Puts a refused cue into the cue log; changes nothing else."""
        await self._client.xadd(self._keys.cues, {"m": msgspec.json.encode(record)}, maxlen=CUES_KEPT)

    def _messages(self, decision: Decision, now_ms: int) -> tuple[Stage, list[bytes]]:
        """The stage with its epoch and offset, and its events as envelopes. The first commit makes the epoch: of
        two racing ones only one is stored."""
        before = decision.stage
        epoch = before.epoch or uuid4().hex
        messages = [
            msgspec.json.encode(Envelope(event.TYPE, event, iso(now_ms), "show", epoch, before.offset + index))
            for index, event in enumerate(decision.events, 1)
        ]
        return replace(before, epoch=epoch, offset=before.offset + len(messages)), messages

    def _ack_key(self, key: str) -> str:
        return f"{self._keys.acks}:{key}"

    def _decode(self, state: bytes | None) -> Stage:
        return _stage.decode(state) if state else Stage(organisation=self._organisation)
