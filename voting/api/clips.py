"""/api/vote: clips in rounds. What stands in the slot, what a voter has left, and a vote for a clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Final, Literal, Protocol

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from broadcast_sync.api import Answer, Endpoint, ErrorForm, Parameter, endpoint
from broadcast_sync.clock import Clock
from broadcast_sync.errors import Refusal
from broadcast_sync.http import JSON, refusal_response
from broadcast_sync.show.model import Stage, Window
from broadcast_sync.show.views import season_info
from broadcast_sync.tokens import Identity
from broadcast_sync.wire.client import Vote
from voting.api.admission import Admission
from voting.api.caller import CODES, IDEMPOTENCY_KEY, Ballots, ballot_id, cast
from voting.api.tallies import Tallies

BODY_BYTES: Final = 1_024
DAY: Final = "votesPerDay"
"""The word under which a ruleset shows its limit a day."""


class ClipBallots(Ballots, Protocol):
    """The ballot intake, where rules may allow one vote a clip."""

    async def voted(self, identity: Identity) -> set[str] | None: ...


class CastClip(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A vote for a clip. `id` is the client's own and makes a retry safe; the header Idempotency-Key says the same."""

    clip_id: Annotated[str, Meta(min_length=1, max_length=64)]
    vote_type: Annotated[str, Meta(min_length=1, max_length=32)] = "standard"
    id: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")] | None = None


class Clip(Struct, frozen=True):
    """A clip of the slot. `score` are its weighted votes, null while they may not be told and when the engine does not
    say."""

    id: str
    number: int
    name: str
    photo_url: str
    status: str
    has_voted: bool
    score: int | None


class VotingState(Struct, frozen=True, rename="camel"):
    """`remainingVotes` by vote type, empty when nothing is open; `currentSlot` is null without a season. `voting` is
    the show's: IDLE, OPEN, CLOSING or CLOSED."""

    clips: list[Clip]
    total_votes_today: int
    remaining_votes: dict[str, int]
    voted_clip_ids: list[str]
    current_slot: int | None
    total_slots: int | None
    voting: str


class ClipTaken(Struct, frozen=True, rename="camel"):
    """`newScore` counts this vote, null as `score`; `replayed` is true when this id had been counted before."""

    clip_id: str
    vote_type: str
    new_score: int | None
    total_votes_today: int
    remaining_votes: dict[str, int]
    vote_id: str
    replayed: bool
    success: Literal[True] = True


class ClipRefused(Struct, frozen=True, rename="camel"):
    """`code` for machines, `message` for people; `retryAfter` in seconds."""

    code: str
    message: str
    retryable: bool
    retry_after: float | UnsetType = UNSET
    success: Literal[False] = False


def refused(refusal: Refusal) -> Response:
    """The plain refusal, with `success` false."""
    wait_s = UNSET if refusal.retry_after is None else refusal.retry_after
    return refusal_response(refusal, ClipRefused(refusal.code, refusal.message, refusal.retryable, wait_s))


FORM: Final = ErrorForm(ClipRefused, refused, {"INVALID_CONTESTANT": 404})


class ClipApi:
    """The handlers. `stage` is the show as this node knows it."""

    def __init__(
        self, *, admission: Admission, ballots: ClipBallots, tallies: Tallies, stage: Callable[[], Stage],
        clock: Clock, answer_s: float,
    ) -> None:
        self._admission = admission
        self._ballots = ballots
        self._tallies = tallies
        self._stage = stage
        self._clock = clock
        self._answer_s = answer_s

    def endpoints(self) -> list[Endpoint]:
        return [
            endpoint(
                "GET", "/api/vote", "The clips of the slot and what the voter has left", self._state, tag="rounds",
                guard=self._admission, form=FORM, answers={200: Answer(VotingState, "As it stands.")},
            ),
            endpoint(
                "POST", "/api/vote", "A vote for a clip", self._cast, tag="rounds", guard=self._admission, form=FORM,
                body=CastClip, body_bytes=BODY_BYTES, media=(JSON, "text/plain"),
                example=CastClip("c07", "standard", "my-vote-1"),
                headers={IDEMPOTENCY_KEY: Parameter(str, "The same as the field id.", "my-vote-1")},
                description="text/plain is taken for JSON: it is what fetch() sends when it is not told.",
                answers={200: Answer(ClipTaken, "Counted.")}, refuses=CODES,
            ),
        ]

    async def _state(self, request: Request, identity: Identity) -> VotingState:
        stage = self._stage()
        season, window = season_info(stage), stage.window
        slot, slots = (season.slot, season.slots) if season else (None, None)
        if window is None:
            return VotingState([], 0, {}, [], slot, slots, stage.voting)
        counts = await self._tallies.of(stage)
        left = await self._ballots.remaining(identity) or {}
        voted = await self._ballots.voted(identity) or set()
        clips = [
            Clip(
                one.id, one.number, one.name, one.photo_url, one.status, one.id in voted,
                None if counts is None else counts.get(one.id, 0),
            )
            for one in window.contestants
        ]
        ids = [clip.id for clip in clips if clip.has_voted]
        return VotingState(clips, _today(window, left), _left(window, left), ids, slot, slots, stage.voting)

    async def _cast(self, request: Request, identity: Identity, body: CastClip) -> ClipTaken:
        received_ms, stage = self._clock.now_ms(), self._stage()
        window = stage.window
        if window is None:
            raise Refusal("VOTING_CLOSED")
        vote = Vote(ballot_id(request, body.id, received_ms), body.clip_id, body.vote_type)
        ack = await cast(self._ballots, identity, vote, received_ms, self._answer_s)
        score = await self._tallies.exactly(stage, ack.contestant_id)
        left = ack.remaining
        return ClipTaken(
            ack.contestant_id, ack.vote_type, score, _today(window, left), _left(window, left), ack.vote_id,
            ack.replayed,
        )


def _left(window: Window, left: Mapping[str, int]) -> dict[str, int]:
    """What is left of each vote type that has a limit of its own name."""
    return {kind: left[kind] for kind in window.ruleset.rules.get("voteTypes", ()) if kind in left}


def _today(window: Window, left: Mapping[str, int]) -> int:
    """The votes cast today: the limit a day less what is left of it."""
    limit: int = window.ruleset.rules.get(DAY, 0)
    return max(0, limit - left.get("standard", limit))
