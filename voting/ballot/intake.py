"""The hub's handler of VOTE: checks, claims, batch, answer. The hot path: nothing here waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import msgspec
import structlog
from asyncpg.pgproto.pgproto import UUID as FastUUID  # ten times as fast as the standard library's
from msgspec import UNSET, Raw, UnsetType
from redis.asyncio import Redis

from broadcast_sync.bus.connect import VALKEY_ERRORS
from broadcast_sync.bus.keys import shard_of
from broadcast_sync.clock import Clock
from broadcast_sync.errors import Refusal
from broadcast_sync.ids import uuid7_bytes
from broadcast_sync.settings import Settings
from broadcast_sync.show.model import Ruleset, Stage
from broadcast_sync.tokens import Identity
from broadcast_sync.wire.client import Vote
from broadcast_sync.wire.codecs import MSGPACK, Codec
from broadcast_sync.wire.server import Data, VoteAck
from voting.ballot.answer import BEFORE, BROKEN, ENDED, FAILED, FULL, NOT_OPEN, TAKEN, UNKNOWN, Answer, decode_first
from voting.ballot.batcher import Batcher, Room
from voting.ballot.claims import WAITS
from voting.ballot.desk import Desk, ballot_of
from voting.ballot.gates import Gates, season_of
from voting.ballot.metrics import BallotMetrics
from voting.ballot.refusals import Refusals
from voting.ballot.rules import Ruled, WindowRules
from voting.ballot.standing import left, marked
from voting.receipts.issuer import ReceiptIssuer
from voting.receipts.voter import WithReceipt

METADATA_BYTES: Final = 1024
RETRY_S: Final = 1.0
"""What BUSY and TRY_AGAIN tell clients to wait; theirs is to add jitter."""

_log = structlog.get_logger()


class Voter(Protocol):
    """What the intake needs of the hub's Session."""

    @property
    def identity(self) -> Identity | None: ...
    @property
    def codec(self) -> Codec: ...
    def reply(self, data: Data) -> None: ...
    def refuse(self, refusal: Refusal, id: str | None = None) -> None: ...


def metadata_text(raw: Raw | UnsetType, codec: Codec) -> str | None:
    """Metadata as JSON text, None if there is none. Raises Refusal BAD_MESSAGE if it is too large or not JSON."""
    if raw is UNSET:
        return None
    content = bytes(raw)
    try:
        if codec is MSGPACK and len(content) <= METADATA_BYTES:
            content = msgspec.json.encode(msgspec.msgpack.decode(content))
        if len(content) > METADATA_BYTES:
            raise Refusal("BAD_MESSAGE", f"metadata may have {METADATA_BYTES} bytes of JSON.")
        text = content.decode()
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        raise Refusal("BAD_MESSAGE", "metadata is not JSON.") from None
    return None if text == "null" else text


class BallotIntake:
    """Takes ballots of this node's sessions. An answer is given only when the engine has the ballot on disk.

    A client's `id` names one ballot of a voter in an episode: when it has been taken, a later ballot with that id, even
    after the close and even if it asks for something else that the rules allow, changes nothing and gets the first
    answer again. A refused ballot leaves no trace, so its id may be used again.
    """

    def __init__(
        self, settings: Settings, clock: Clock, client: Redis, gates: Gates, stage: Callable[[], Stage],
        full: Callable[[], bool] = lambda: False, receipts: ReceiptIssuer | None = None,
    ) -> None:
        """`client` stays the caller's and should allow two connections a shard beside its other users. While `full`
        says so, no ballot is taken: those before it still wait for the ledger. Without `receipts` none are given."""
        self.metrics: Final = BallotMetrics()
        self._client = client
        self._clock = clock
        self._gates = gates
        self._stage = stage
        self._full = full
        self._receipts = receipts
        self._shards = gates.shards
        self.refusals: Final = Refusals(client, gates.shards[0])
        self._room = Room(settings.voting.queue_max)
        self.metrics.waiting = lambda: self._room.taken
        self._batchers = [
            Batcher(settings.voting, clock, client, keys, self._room, self.metrics) for keys in self._shards
        ]
        self._desk: Desk | None = None
        self._rules_missing: Ruleset | None = None

    def handle(self, session: Voter, vote: Vote, received_ms: int) -> None:
        """One ballot, whose frame arrived at `received_ms`. Answers by VOTE_ACK or ERROR on `session`, once: at once
        by raising Refusal, or when the engine has spoken; one that asked for a receipt a turn of the loop later."""
        if vote.receipt and self._receipts is not None and session.identity is not None:
            current = self._stage().window
            window_id = "" if current is None else current.window_id
            session = WithReceipt(session, self._receipts, vote, window_id, received_ms)
        try:
            try:
                self._take(session, vote, received_ms)
            except UnicodeEncodeError:
                raise Refusal("BAD_MESSAGE", "The text has characters that cannot be written down.") from None
        except Refusal as refusal:
            self.metrics.refused[refusal.code] += 1
            window = self._stage().window
            if window is not None:
                self.refusals.count(window.window_id, refusal.code)
            if isinstance(session, WithReceipt):
                session.refuse(refusal, id=vote.id)
                return
            raise

    async def remaining(self, identity: Identity) -> dict[str, int] | None:
        """What a voter may still cast under the current window's rules, by name (`free`, `paid`); None if there is no
        window or the engine does not say."""
        desk = self._known_desk()
        if desk is None:
            return None
        now_ms = self._clock.now_ms()
        keys = self._shards[shard_of(identity.user_id, len(self._shards))]
        try:
            limits = desk.rules.limits(desk.rules.day(now_ms))
            return await left(self._client, keys, identity.user_id, limits, now_ms) if limits else {}
        except (*VALKEY_ERRORS, ValueError, msgspec.MsgspecError):
            return None  # for display only: the next answer will tell, and the batcher reports the engine

    async def voted(self, identity: Identity) -> set[str] | None:
        """The contestants of the current window whom a voter cannot vote for again, where the rules allow one vote
        each; None if there is no window or the engine does not say."""
        desk = self._known_desk()
        if desk is None:
            return None
        once = {contestant.id: desk.rules.once(contestant.id) for contestant in desk.window.contestants}
        keys = self._shards[shard_of(identity.user_id, len(self._shards))]
        claims = {contestant: claim for contestant, claim in once.items() if claim is not None}
        try:
            return await marked(self._client, keys, identity.user_id, claims)
        except VALKEY_ERRORS:
            return None

    async def run(self) -> None:
        """Reports this node's own refusals to the engine now and then, until cancelled."""
        await self.refusals.run()

    async def drain(self) -> None:
        """Returns when every ballot handled so far has been answered and every refusal reported; for a stop that loses
        no answer. What an engine that is away cannot be told is logged."""
        for batcher in self._batchers:
            await batcher.drain()
        await asyncio.sleep(0)  # receipts come a turn later
        try:
            await self.refusals.flush()
        except VALKEY_ERRORS as error:
            _log.error("refusals_unreported", error=repr(error))

    def _take(self, session: Voter, vote: Vote, received_ms: int) -> None:
        stage = self._stage()
        identity = session.identity
        if identity is None:
            raise Refusal("UNAUTHENTICATED")
        if "user" not in identity.roles or identity.organisation != stage.organisation:
            raise Refusal("FORBIDDEN")
        identity.heed_expiry(received_ms)
        if not 1 <= len(vote.id) <= 64 or not vote.id.isprintable():
            raise Refusal("BAD_MESSAGE", "id must have 1 to 64 printable characters.")
        metadata = metadata_text(vote.metadata, session.codec)
        desk = self._current(stage)
        if stage.voting == "IDLE" or desk is None:
            raise Refusal("VOTING_CLOSED")

        voter = identity.user_id
        shard = shard_of(voter, len(self._shards))
        vote_id = uuid7_bytes(received_ms)
        if stage.voting == "CLOSED" or received_ms > desk.window.hard_closes_ms:
            # Too late to count; yet it may be a retry of one that was taken in time, and then it gets that answer.
            asked = desk.lookup
        elif self._full():
            raise Refusal("TRY_AGAIN", "The votes before this one are being stored; try again.", retry_after=RETRY_S)
        else:
            asked = desk.ask(vote.contestant_id, vote.vote_type, vote.vote_count, received_ms)
            if asked.ruled.phone and not identity.phone_verified:
                raise Refusal("PHONE_NOT_VERIFIED")
        order = asked.orders[shard]
        ballot = ballot_of(order, asked.ruled, voter, vote, vote_id, received_ms, metadata)
        answered = partial(self._answered, session, vote, desk.rules, asked.ruled, vote_id)
        if not self._batchers[shard].put(desk.window.window_id, order, ballot, received_ms, answered):
            raise Refusal("BUSY", retry_after=RETRY_S)

    def _known_desk(self) -> Desk | None:
        """The current window's desk for those who only read; None as well if its rules are not known here."""
        try:
            return self._current(self._stage())
        except Refusal:
            return None  # voting says so

    def _current(self, stage: Stage) -> Desk | None:
        """The desk of the stage's window, made anew when the window changes; None without a window. Raises Refusal
        BUSY if this version does not know the window's rules."""
        show, window, desk = stage.show, stage.window, self._desk
        if show is None or window is None:
            return None
        if desk is None or desk.window is not window or desk.show is not show:
            held = window.ruleset
            data = None if held == self._rules_missing else self._gates.rules(held)
            if data is None:
                if self._rules_missing != held:
                    _log.error("ballot_rules_missing", ruleset=held.name, hash=held.hash)
                self._rules_missing = held
                raise Refusal("BUSY", "This server does not know the rules of this vote.", retry_after=RETRY_S)
            desk = self._desk = Desk(show, window, WindowRules(data, show, window, season_of(stage)), self._shards)
        return desk

    def _answered(
        self, session: Voter, vote: Vote, rules: WindowRules, ruled: Ruled, vote_id: bytes, answer: Answer
    ) -> None:
        if answer.verdict == TAKEN:
            self.metrics.accepted += 1
            self.metrics.votes += vote.vote_count * ruled.weight
            values = answer.values
            session.reply(VoteAck(
                vote.id, str(FastUUID(vote_id)), "queued", vote.contestant_id, vote.vote_type, vote.vote_count,
                {name: values[index] for index, name in rules.shown[vote.vote_type]}, False,
            ))
        elif answer.verdict == BEFORE:
            self._replay(session, vote, rules, answer)
        else:
            refusal = _refusal(answer, ruled)
            self.metrics.refused[refusal.code] += 1
            session.refuse(refusal, id=vote.id)

    def _replay(self, session: Voter, vote: Vote, rules: WindowRules, answer: Answer) -> None:
        try:
            first = decode_first(answer.first)
        except msgspec.DecodeError as error:
            _log.error("ballot_memory_broken", error=str(error))
            session.refuse(Refusal("TRY_AGAIN", retry_after=RETRY_S), id=vote.id)
            return
        ack = first.ack
        self.metrics.replayed += 1
        session.reply(VoteAck(
            vote.id, str(FastUUID(ack.vote_id)), "queued", ack.contestant_id, ack.vote_type, ack.vote_count,
            {name: first.left[index] for index, name in rules.shown.get(ack.vote_type, ()) if index < len(first.left)},
            True,
        ))


def _refusal(answer: Answer, ruled: Ruled) -> Refusal:
    verdict = answer.verdict
    if verdict == FAILED:
        index, wait_ms = answer.values
        claim = ruled.claims[index]
        return Refusal(claim.code, retry_after=wait_ms / 1000 if claim.kind in WAITS else None)
    if verdict == NOT_OPEN:
        return Refusal("VOTING_CLOSED")
    if verdict == ENDED:
        return Refusal("VOTING_ENDED")
    if verdict == FULL:
        return Refusal("INVALID_VOTE_COUNT", "This window has as many votes as can be counted exactly.")
    if verdict not in (UNKNOWN, BROKEN):
        _log.error("ballot_answer_unexpected", verdict=verdict)
    return Refusal("TRY_AGAIN", retry_after=RETRY_S)
