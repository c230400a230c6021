"""The stage in Valkey: one script compares the revision, stores the stage, appends and publishes its events.

Engine errors pass through. After one, a commit may or may not have happened; the same cueId finds out.
"""

from __future__ import annotations

from typing import Any, Final
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


class Loaded(Struct, frozen=True):
    """The stored stage, and what a cueId was answered before, if it was."""

    stage: Stage
    first: Remembered | None


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

    async def load_for(self, cue_id: str) -> Loaded:
        """The stored stage and the first answer to `cue_id`, read at one moment."""
        found: Any = await self._client.mget(self._keys.state, self._ack_key(cue_id))
        state, ack = found
        return Loaded(self._decode(state), _remembered.decode(ack) if ack else None)

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
        remembered: Remembered | None = None, record: CueRecord | None = None,
    ) -> Committed | Conflict | Replayed:
        """Stores and publishes `decision` if the stored revision is `expected_revision`.

        `decision.stage` must carry epoch and offset of the stage it was decided on. With `remembered`, its cueId
        is looked up first and its answer kept for two days; `record` goes to the cue log in the same step.
        """
        stage, messages = self._messages(decision, now_ms)
        keys = [self._keys.state, self._keys.events, self._keys.cues]
        if remembered is not None:
            keys.append(self._ack_key(remembered.ack.cue_id))
        result = await _COMMIT(
            self._client, keys,
            [
                expected_revision, msgspec.json.encode(stage), self._keys.channel, EVENTS_KEPT,
                msgspec.json.encode(remembered) if remembered else b"", ACK_LIFE_S,
                msgspec.json.encode(record) if record else b"", *messages,
            ],
        )
        if result[0] == b"replayed":
            return Replayed(_remembered.decode(result[1]))
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

    def _ack_key(self, cue_id: str) -> str:
        return f"{self._keys.acks}:{cue_id}"

    def _decode(self, state: bytes | None) -> Stage:
        return _stage.decode(state) if state else Stage(organisation=self._organisation)
