"""The show as VotingChannel tells it. PURE."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from broadcast_sync.wire.cable import ContestantVotes, DetailedUpdate, EpisodeResults, RecentBallot, VoteUpdate
from broadcast_sync.wire.server import BoardRow, ContestantUpdate, LiveResults, RecentVote, StateUpdate
from broadcast_sync.wire.times import parse_iso

TRENDING: Final = frozenset({"hot", "rising", "stable", "falling"})
"""The words that this channel knows; all others are `stable`."""


def episode_results(state: StateUpdate, board: LiveResults | None, now: str) -> EpisodeResults | None:
    """The ranking of the episode on air, all at zero before the first board; None when nothing is on air. While the
    counts are not for everybody there are no figures, whatever the board."""
    if state.show is None:
        return None
    told = not withheld(state)
    return EpisodeResults(
        episode_id=state.show.episode,
        episode_number=state.show.episode,
        total_votes=(board.total_votes if board else 0) if told else None,
        voting_active=state.voting == "OPEN",
        voting_end=state.window.closes_at if state.window else None,
        contestants=_ranked(state, board) if told else _unranked(state),
        last_updated=board.last_updated if board and told else now,
        unique_voters=board.unique_voters if board and told and board.unique_voters is not UNSET else None,
        vote_breakdown=_breakdown(board) if board and told else None,
    )


def _breakdown(board: LiveResults) -> dict[str, int] | None:
    if board.breakdown is UNSET:
        return None
    return {f"{kind}_votes": votes for kind, votes in board.breakdown.items()}


def withheld(state: StateUpdate) -> bool:
    """Whether the counts of the window are not for everybody yet."""
    return state.window is not None and state.window.visibility != "public" and not state.results_released


def _unranked(state: StateUpdate) -> list[ContestantVotes]:
    """Who stands in the window, in its own order."""
    people = state.window.contestants if state.window else state.contestants
    return [
        ContestantVotes(one.id, one.name, one.khmer_name, one.photo_url, one.hometown, None, None, None)
        for one in people
    ]


def _ranked(state: StateUpdate, board: LiveResults | None) -> list[ContestantVotes]:
    known = {contestant.id: contestant for contestant in state.contestants}
    rows = board.results if board else [
        BoardRow(each.id, each.name, each.photo_url, 0, "0", 0.0, 1, 0, "stable") for each in state.contestants
    ]
    return [
        ContestantVotes(
            id=row.contestant_id,
            name=row.contestant_name,
            khmer_name=known[row.contestant_id].khmer_name if row.contestant_id in known else "",
            photo_url=row.contestant_photo,
            hometown=known[row.contestant_id].hometown if row.contestant_id in known else "",
            votes=row.vote_count,
            percentage=row.percentage,
            rank=row.rank,
        )
        for row in rows
    ]


def vote_update(episode: int, update: ContestantUpdate) -> VoteUpdate:
    return VoteUpdate(episode, update.total_votes, update.percentage, update.rank)


def standings(results: EpisodeResults) -> dict[str, VoteUpdate | None]:
    """The newest `vote_update` of each contestant; None while it may not be told."""
    return {row.id: _standing(results.episode_id, row) for row in results.contestants}


def _standing(episode: int, row: ContestantVotes) -> VoteUpdate | None:
    if row.votes is None or row.percentage is None or row.rank is None:
        return None
    return VoteUpdate(episode, row.votes, row.percentage, row.rank)


def detailed_update(episode: int, update: ContestantUpdate, now_ms: int) -> DetailedUpdate:
    return DetailedUpdate(
        contestant_id=update.contestant_id,
        episode_id=episode,
        total_votes=update.total_votes,
        percentage=update.percentage,
        recent_votes=[] if update.recent is UNSET else [_ballot(ballot, now_ms) for ballot in update.recent],
        trending=update.trending if update.trending in TRENDING else "stable",
    )


def _ballot(ballot: RecentVote, now_ms: int) -> RecentBallot:
    return RecentBallot(ballot.name, ballot.vote_count, ballot.vote_type, _ago(now_ms - parse_iso(ballot.at)))


def _ago(ms: int) -> str:
    """How long ago, in the words that these apps show as they are."""
    minutes = (ms + 30_000) // 60_000
    if minutes < 1:
        return "less than a minute"
    if minutes < 45:
        return "1 minute" if minutes == 1 else f"{minutes} minutes"
    return "about 1 hour" if minutes < 90 else f"about {(minutes + 30) // 60} hours"
