"""One HTTP request as the ballot intake sees a session: it asks once and waits for the one answer."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from starlette.requests import Request

from broadcast_sync.errors import Refusal
from broadcast_sync.ids import uuid7
from broadcast_sync.tokens import Identity
from broadcast_sync.wire.client import Vote
from broadcast_sync.wire.codecs import JSON, Codec
from broadcast_sync.wire.server import Data, VoteAck
from voting.ballot.intake import Voter

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
CODES: Final = (
    "BAD_MESSAGE", "FORBIDDEN", "VOTING_CLOSED", "VOTING_ENDED", "INVALID_CONTESTANT", "CONTESTANT_ELIMINATED",
    "INVALID_VOTE_TYPE", "INVALID_VOTE_COUNT", "NO_FREE_VOTES", "INSUFFICIENT_VOTE_BALANCE",
    "INSUFFICIENT_BUNDLE_VOTES", "PHONE_NOT_VERIFIED", "SMS_LIMIT", "ALREADY_VOTED", "ROUND_LIMIT", "DAILY_LIMIT",
    "SUPER_LIMIT", "MEGA_LIMIT", "RATE_LIMIT", "BUSY", "TRY_AGAIN",
)
"""What a ballot can be refused with."""


class Ballots(Protocol):
    """The ballot intake."""

    def handle(self, session: Voter, vote: Vote, received_ms: int) -> None: ...
    async def remaining(self, identity: Identity) -> dict[str, int] | None: ...


class Caller:
    """A session of one ballot."""

    def __init__(self, identity: Identity) -> None:
        self.identity: Identity | None = identity
        self.codec: Codec = JSON
        self.answer: asyncio.Future[VoteAck] = asyncio.get_running_loop().create_future()

    def reply(self, data: Data) -> None:
        if isinstance(data, VoteAck) and not self.answer.done():
            self.answer.set_result(data)

    def refuse(self, refusal: Refusal, id: str | None = None) -> None:
        if not self.answer.done():
            self.answer.set_exception(refusal)


async def cast(ballots: Ballots, identity: Identity, vote: Vote, received_ms: int, timeout_s: float) -> VoteAck:
    """The answer to a ballot, given when the engine has it on disk. Raises the ballot's refusals; TRY_AGAIN when there
    is none within `timeout_s`: then the same id finds out."""
    caller = Caller(identity)
    ballots.handle(caller, vote, received_ms)
    try:
        async with asyncio.timeout(timeout_s):
            return await caller.answer
    except TimeoutError:
        raise Refusal("TRY_AGAIN", retry_after=1.0) from None


def ballot_id(request: Request, given: str | None, received_ms: int) -> str:
    """The ballot's id: of the body or of the header Idempotency-Key, which must not differ. Without either one is made,
    and a retry is another ballot. Raises Refusal BAD_MESSAGE."""
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is not None:
        key = key.strip().removeprefix('"').removesuffix('"')
        if not 1 <= len(key) <= 64 or not (key.isascii() and key.isprintable()):
            raise Refusal("BAD_MESSAGE", f"{IDEMPOTENCY_KEY} must have 1 to 64 printable characters.")
    if key is not None and given not in (None, key):
        raise Refusal("BAD_MESSAGE", f"id and {IDEMPOTENCY_KEY} differ.")
    return given or key or str(uuid7(received_ms))
