"""The JSON of the mobile apps' API, spelled as the apps know it. What this server does not hold is null."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from broadcast_sync.errors import Refusal

ID_CHARACTERS = r"^[^\x00-\x1f\x7f]+$"


class Shape(Struct, frozen=True):
    """Base of what is answered."""


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of what is asked; an unknown field is an error."""


# --- asked ------------------------------------------------------------------------------------------------


class CastVote(Request, frozen=True):
    """One ballot. `id` is the app's own and makes a retry safe; the header Idempotency-Key says the same. `episode_id`
    must be the episode on air. What the rules allow as type and count is theirs to say."""

    contestant_id: Annotated[str, Meta(min_length=1, max_length=64)]
    vote_type: Annotated[str, Meta(min_length=1, max_length=32)] = "free"
    vote_count: int = 1
    episode_id: int | None = None
    id: Annotated[str, Meta(min_length=1, max_length=64, pattern=ID_CHARACTERS)] | None = None


class HistoryQuery(Request, frozen=True):
    """`cursor` is the `next_cursor` of the page before."""

    cursor: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    per_page: Annotated[int, Meta(ge=1, le=100)] = 20


# --- answered ---------------------------------------------------------------------------------------------


class TimeRemaining(Shape, frozen=True):
    total_seconds: int
    days: int
    hours: int
    minutes: int
    seconds: int

    @classmethod
    def of(cls, seconds: int) -> TimeRemaining:
        return cls(seconds, seconds // 86_400, seconds % 86_400 // 3_600, seconds % 3_600 // 60, seconds % 60)


class Episode(Shape, frozen=True):
    """`total_votes` is null while it may not be told."""

    id: int
    title: str
    episode_number: int
    description: str | None
    air_date: str | None
    voting_start: str | None
    voting_end: str | None
    voting_active: bool
    time_remaining: TimeRemaining | None
    total_votes: int | None
    thumbnail_url: str | None
    video_url: str | None


class Performance(Shape, frozen=True):
    performance_order: int
    song_performed: str | None
    judges_score: float | None
    performance_video_url: str | None


class Contestant(Shape, frozen=True):
    """`votes` and `percentage` are null while they may not be told."""

    id: str
    name: str
    khmer_name: str
    bio: str | None
    hometown: str
    age: int | None
    photo_url: str
    status: str
    votes: int | None
    percentage: float | None
    performance: Performance | None


class VotingStatus(Shape, frozen=True):
    """What the voter has done in the episode, as the ledger has it, and what is left by the rules."""

    has_voted: bool
    free_votes_used: int
    free_votes_remaining: int | None
    paid_votes_cast: int
    total_votes_cast: int
    vote_balance: int | None


class Package(Shape, frozen=True):
    """A pack of votes that is sold."""

    id: str
    name: str
    vote_count: int
    bonus_votes: int
    total_votes: int
    price: str
    currency: str
    badge_text: str | None


class CurrentEpisode(Shape, frozen=True):
    episode: Episode
    contestants: list[Contestant]
    user_voting_status: VotingStatus
    vote_packages: list[Package]


class CurrentEpisodeAnswer(Shape, frozen=True):
    data: CurrentEpisode
    success: Literal[True] = True


class NextEpisode(Shape, frozen=True):
    id: int
    title: str
    air_date: str | None
    voting_start: str | None


class NoEpisode(Shape, frozen=True):
    """`next_episode` is the one on air whose window has not been opened yet."""

    error: str
    next_episode: NextEpisode | None
    success: Literal[False] = False


class VotedFor(Shape, frozen=True):
    """`current_votes` counts this vote; null if the engine did not say in time."""

    id: str
    name: str
    current_votes: int | None


class VotesRemaining(Shape, frozen=True):
    free_votes: int | None
    vote_balance: int | None
    sms_votes_available: bool


class UserStatus(Shape, frozen=True):
    votes_remaining: VotesRemaining
    vote_balance: int | None
    loyalty_points_earned: int | None


class VoteTaken(Shape, frozen=True):
    """`replayed` is true when this id had been counted before: this is that first answer again."""

    vote_id: str
    contestant: VotedFor
    user_status: UserStatus
    replayed: bool


class VoteTakenAnswer(Shape, frozen=True):
    data: VoteTaken
    success: Literal[True] = True


class ResultEpisode(Shape, frozen=True):
    id: int
    title: str
    episode_number: int
    voting_active: bool
    total_votes: int


class ResultRow(Shape, frozen=True):
    contestant_id: str
    name: str
    khmer_name: str
    photo_url: str
    votes: int
    percentage: float
    rank: int


class HourOfVotes(Shape, frozen=True):
    """`hour` is its beginning."""

    hour: str
    votes: int


class Breakdown(Shape, frozen=True):
    """Of votes by their weight, but for `unique_voters`; voided ones left out. `by_hour` are the last 24 hours."""

    total_votes: int
    unique_voters: int
    by_type: dict[str, int]
    by_hour: list[HourOfVotes]


class Results(Shape, frozen=True):
    episode: ResultEpisode
    results: list[ResultRow]
    vote_breakdown: Breakdown
    last_updated: str


class ResultsAnswer(Shape, frozen=True):
    data: Results
    success: Literal[True] = True


class VoteContestant(Shape, frozen=True):
    id: str
    name: str
    photo_url: str


class VoteEpisode(Shape, frozen=True):
    id: int
    title: str
    episode_number: int


class HistoryVote(Shape, frozen=True):
    id: str
    contestant: VoteContestant
    episode: VoteEpisode
    vote_type: str
    vote_count: int
    created_at: str
    voided: bool


class Pagination(Shape, frozen=True):
    """`next_cursor` is null on the last page."""

    per_page: int
    next_cursor: str | None


class VoteHistory(Shape, frozen=True):
    votes: list[HistoryVote]
    pagination: Pagination


class HistoryAnswer(Shape, frozen=True):
    data: VoteHistory
    success: Literal[True] = True


class Purchase(Shape, frozen=True):
    """A credit of the wallet; `amount` is what was paid for it, null while no sale is known."""

    order_number: str
    completed_at: str
    total_votes: int
    amount: str | None


class Balance(Shape, frozen=True):
    """`balance` are the votes in the wallet, bundles that have not expired included; `pending_votes` are votes by SMS
    that are under way."""

    balance: int
    pending_votes: int | None
    recent_purchases: list[Purchase]
    available_packages: list[Package]


class BalanceAnswer(Shape, frozen=True):
    data: Balance
    success: Literal[True] = True


class Failure(Shape, frozen=True):
    """A refusal: `error` and `errors` for people, `code` for machines; `retryable` says whether the same request may
    succeed later, `retry_after` in how many seconds."""

    error: str
    errors: list[str]
    code: str
    retryable: bool
    retry_after: float | UnsetType = UNSET
    success: Literal[False] = False

    @classmethod
    def of(cls, refusal: Refusal) -> Failure:
        wait_s = UNSET if refusal.retry_after is None else refusal.retry_after
        return cls(refusal.message, [refusal.message], refusal.code, refusal.retryable, wait_s)
