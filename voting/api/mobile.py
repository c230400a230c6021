"""The mobile apps' API under /api/v1/xfactor/voting/: the episode on air, a vote, results, history, balance."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Annotated, Final, Protocol

import msgspec
from msgspec import Meta, Raw
from starlette.requests import Request
from starlette.responses import Response

from broadcast_sync.api import Answer, Endpoint, ErrorForm, Parameter, endpoint
from broadcast_sync.bus.connect import VALKEY_ERRORS
from broadcast_sync.clock import Clock
from broadcast_sync.errors import Refusal
from broadcast_sync.http import json_response, refusal_response
from broadcast_sync.show.countdown import remaining_s
from broadcast_sync.show.model import Show, Stage, Window
from broadcast_sync.tokens import Identity
from broadcast_sync.wire.client import Vote
from broadcast_sync.wire.server import ContestantInfo, VoteAck
from broadcast_sync.wire.times import iso
from voting.api import shapes
from voting.api.admission import Admission
from voting.api.caller import CODES, IDEMPOTENCY_KEY, Ballots, ballot_id, cast
from voting.api.cursor import Cursors
from voting.api.history import Ballot, History
from voting.api.limits import network_of
from voting.api.tallies import Tallies
from voting.wallet.wallet import Balance

ROOT: Final = "/api/v1/xfactor/voting"
BODY_BYTES: Final = 4_096
HEADER_LENGTH: Final = 64
PURCHASES_SHOWN: Final = 5

EpisodeId = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class Published(Protocol):
    """Whoever knows what has been released."""

    async def of_episode(self, episode_ref: int) -> shapes.Results | None:
        """The newest released result of an episode; None if there is none. Raises Refusal BUSY."""
        ...


class Wallets(Protocol):
    """Whoever knows what is in a wallet."""

    async def balance(self, voter: str) -> Balance:
        """What a voter has now. Engine errors pass through."""
        ...


def failed(refusal: Refusal) -> Response:
    """A refusal as the apps know it."""
    return refusal_response(refusal, shapes.Failure.of(refusal))


UNPROCESSABLE: Final = (
    "VOTING_CLOSED", "VOTING_ENDED", "NO_FREE_VOTES", "INSUFFICIENT_VOTE_BALANCE", "INSUFFICIENT_BUNDLE_VOTES",
    "ALREADY_VOTED", "PHONE_NOT_VERIFIED",
)
FORM: Final = ErrorForm(shapes.Failure, failed, dict.fromkeys(UNPROCESSABLE, 422))
"""The apps know a refused vote by 422, whatever the reason; how often one may ask and outages keep their statuses."""


class MobileApi:
    """The handlers. `stage` is the show as this node knows it; `secret` keys the hashes of addresses and devices."""

    def __init__(
        self, *, admission: Admission, ballots: Ballots, tallies: Tallies, history: History, published: Published,
        wallet: Wallets, cursors: Cursors, stage: Callable[[], Stage], clock: Clock, secret: bytes, answer_s: float,
    ) -> None:
        self._admission = admission
        self._ballots = ballots
        self._tallies = tallies
        self._history = history
        self._published = published
        self._wallet = wallet
        self._cursors = cursors
        self._stage = stage
        self._clock = clock
        self._secret = secret
        self._answer_s = answer_s

    def endpoints(self) -> list[Endpoint]:
        guarded = {"tag": "mobile", "guard": self._admission, "form": FORM}
        return [
            endpoint(
                "GET", f"{ROOT}/current_episode", "The episode that is voted on", self._current, **guarded,
                answers={
                    200: Answer(shapes.CurrentEpisodeAnswer, "The episode, who stands in it, what the voter has left."),
                    404: Answer(shapes.NoEpisode, "No window is open."),
                },
                refuses=("BUSY",),
            ),
            endpoint(
                "POST", f"{ROOT}/cast_vote", "A vote", self._cast, **guarded,
                body=shapes.CastVote, body_bytes=BODY_BYTES, example=shapes.CastVote("c07", "free", 1, id="my-vote-1"),
                headers={
                    IDEMPOTENCY_KEY: Parameter(str, "The same as the field id.", "my-vote-1"),
                    "X-App-Version": Parameter(str, "Kept with the vote."),
                    "X-Device-ID": Parameter(str, "Kept with the vote as a keyed hash."),
                },
                description="Answered when the vote is durable. Sent again with the same id it counts once and gets "
                "the first answer. 503 with Retry-After: ask again with the same id.",
                answers={200: Answer(shapes.VoteTakenAnswer, "Counted.")}, refuses=CODES,
            ),
            endpoint(
                "GET", f"{ROOT}/results/{{id}}", "The released result of an episode", self._results, **guarded,
                path_parameters={"id": Parameter(EpisodeId, "The episode's id, as current_episode has it.", 1)},
                answers={200: Answer(shapes.ResultsAnswer, "The newest released one.")}, refuses=("NOT_FOUND", "BUSY"),
            ),
            endpoint(
                "GET", f"{ROOT}/history", "What the voter has cast", self._page, **guarded,
                query=shapes.HistoryQuery, answers={200: Answer(shapes.HistoryAnswer, "Newest first.")},
                refuses=("BUSY",),
            ),
            endpoint(
                "GET", f"{ROOT}/vote_balance", "What the voter has paid for and not cast", self._balance, **guarded,
                answers={200: Answer(shapes.BalanceAnswer, "The balance.")}, refuses=("BUSY",),
            ),
        ]

    # --- the episode ------------------------------------------------------------------------------------------

    async def _current(self, request: Request, identity: Identity) -> Response:
        stage = self._stage()
        show, window = stage.show, stage.window
        if show is None or window is None or stage.voting != "OPEN":
            return json_response(shapes.NoEpisode("No active voting episode", _next(stage)), 404)
        counts = await self._tallies.of(stage)
        left = await self._ballots.remaining(identity) or {}
        cast_before = await self._history.cast(identity.user_id, show.episode_ref)
        found = shapes.CurrentEpisode(
            self._episode(show, window, counts),
            [_contestant(one, place, counts, stage) for place, one in enumerate(window.contestants, 1)],
            _status(cast_before, left), [],
        )
        return json_response(shapes.CurrentEpisodeAnswer(found))

    def _episode(self, show: Show, window: Window, counts: Mapping[str, int] | None) -> shapes.Episode:
        left_s = remaining_s(window.closes_ms, self._clock.now_ms())
        return shapes.Episode(
            id=show.episode_ref, title=show.title, episode_number=show.episode, description=None, air_date=None,
            voting_start=iso(window.opens_ms), voting_end=iso(window.closes_ms), voting_active=True,
            time_remaining=shapes.TimeRemaining.of(left_s),
            total_votes=None if counts is None else sum(counts.values()), thumbnail_url=None, video_url=None,
        )

    # --- a vote -----------------------------------------------------------------------------------------------

    async def _cast(self, request: Request, identity: Identity, body: shapes.CastVote) -> shapes.VoteTakenAnswer:
        received_ms, stage = self._clock.now_ms(), self._stage()
        show, window = stage.show, stage.window
        if show is None or window is None:
            raise Refusal("VOTING_CLOSED")
        if body.episode_id not in (None, show.episode_ref):
            raise Refusal("INVALID_CONTESTANT", "This episode is not on air.")
        vote = Vote(
            ballot_id(request, body.id, received_ms), body.contestant_id, body.vote_type, body.vote_count,
            self._metadata(request),
        )
        ack = await cast(self._ballots, identity, vote, received_ms, self._answer_s)
        votes = await self._tallies.exactly(stage, ack.contestant_id)
        return shapes.VoteTakenAnswer(_taken(ack, window, votes))

    def _metadata(self, request: Request) -> Raw:
        """What the ledger keeps of where a vote came from: addresses and devices as keyed hashes only."""
        host = network_of(request.client.host) if request.client else ""
        device, app = request.headers.get("X-Device-ID"), request.headers.get("X-App-Version")
        kept = {
            "via": "rest", "address": self._hash(host), "device": device and self._hash(device[:256]),
            "app": app and app[:HEADER_LENGTH],
        }
        return Raw(msgspec.json.encode({name: value for name, value in kept.items() if value}))

    def _hash(self, text: str) -> str:
        return hmac.new(self._secret, text.encode("utf-8", "replace"), sha256).hexdigest()[:32]

    # --- what was -----------------------------------------------------------------------------------------------

    async def _results(self, request: Request, identity: Identity) -> shapes.ResultsAnswer:
        text = request.path_params["id"]
        known = text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) < 2**31
        found = await self._published.of_episode(int(text)) if known else None
        if found is None:
            raise Refusal("NOT_FOUND", "There is no released result of this episode.")
        return shapes.ResultsAnswer(found)

    async def _page(self, request: Request, identity: Identity, query: shapes.HistoryQuery) -> shapes.HistoryAnswer:
        voter = identity.user_id
        last = None if query.cursor is None else self._cursors.read(voter, query.cursor)
        found = await self._history.before(voter, last, query.per_page + 1)
        page = found[: query.per_page]
        following = self._cursors.make(voter, page[-1].vote_id) if len(found) > len(page) else None
        votes = [_vote(ballot) for ballot in page]
        return shapes.HistoryAnswer(shapes.VoteHistory(votes, shapes.Pagination(query.per_page, following)))

    async def _balance(self, request: Request, identity: Identity) -> shapes.BalanceAnswer:
        try:
            wallet = await self._wallet.balance(identity.user_id)
        except VALKEY_ERRORS:
            raise Refusal("BUSY", "The balance cannot be read right now.", retry_after=2.0) from None
        bought = [
            shapes.Purchase(credit.key, credit.credited_at, credit.votes, None)
            for credit in await self._history.credits(identity.user_id, PURCHASES_SHOWN)
        ]
        return shapes.BalanceAnswer(shapes.Balance(wallet.paid + wallet.bundle, None, bought, []))


def _next(stage: Stage) -> shapes.NextEpisode | None:
    if stage.show is None or stage.voting != "IDLE":
        return None
    return shapes.NextEpisode(stage.show.episode_ref, stage.show.title, None, None)


def _contestant(
    one: ContestantInfo, place: int, counts: Mapping[str, int] | None, stage: Stage
) -> shapes.Contestant:
    votes = None if counts is None else counts.get(one.id, 0)
    total = sum(counts.values()) if counts else 0
    on_stage = stage.performance if stage.performance and stage.performance.contestant_id == one.id else None
    return shapes.Contestant(
        id=one.id, name=one.name, khmer_name=one.khmer_name, bio=None, hometown=one.hometown, age=None,
        photo_url=one.photo_url, status=one.status, votes=votes,
        percentage=None if votes is None else round(100 * votes / total, 2) if total else 0.0,
        performance=shapes.Performance(place, on_stage.song_name if on_stage else None, None, None),
    )


def _status(cast_before: Mapping[str, int], left: Mapping[str, int]) -> shapes.VotingStatus:
    total = sum(cast_before.values())
    return shapes.VotingStatus(
        total > 0, cast_before.get("free", 0), left.get("free"), cast_before.get("paid", 0), total, _bought(left)
    )


def _bought(left: Mapping[str, int]) -> int | None:
    """The votes in the wallet, where the rules show them."""
    known = [left[account] for account in ("paid", "bundle") if account in left]
    return sum(known) if known else None


def _taken(ack: VoteAck, window: Window, votes: int | None) -> shapes.VoteTaken:
    names = {one.id: one.name for one in window.contestants}
    free, bought = ack.remaining.get("free"), _bought(ack.remaining)
    sms = "sms" in window.ruleset.rules.get("voteTypes", ())
    return shapes.VoteTaken(
        ack.vote_id, shapes.VotedFor(ack.contestant_id, names.get(ack.contestant_id, ""), votes),
        shapes.UserStatus(shapes.VotesRemaining(free, bought, sms), bought, None), ack.replayed,
    )


def _vote(ballot: Ballot) -> shapes.HistoryVote:
    return shapes.HistoryVote(
        str(ballot.vote_id), shapes.VoteContestant(ballot.contestant_id, ballot.name, ballot.photo_url),
        shapes.VoteEpisode(ballot.episode_ref, ballot.episode_title, ballot.episode_number),
        ballot.vote_type, ballot.vote_count, ballot.received_at, ballot.voided,
    )
