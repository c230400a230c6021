"""The show as VotingChannel tells it. PURE."""

from __future__ import annotations

from typing import Final

from broadcast_sync.wire.cable import ContestantVotes, DetailedUpdate, EpisodeResults, VoteUpdate
from broadcast_sync.wire.server import BoardRow, ContestantUpdate, LiveResults, StateUpdate

TRENDING: Final = frozenset({"hot", "rising", "stable", "falling"})
"""The words that this channel knows; all others are `stable`."""


def episode_results(state: StateUpdate, board: LiveResults | None, now: str) -> EpisodeResults | None:
    """The ranking of the episode on air, all at zero before the first board; None when nothing is on air."""
    if state.show is None:
        return None
    return EpisodeResults(
        episode_id=state.show.episode,
        episode_number=state.show.episode,
        total_votes=board.total_votes if board else 0,
        voting_active=state.voting == "OPEN",
        voting_end=state.window.closes_at if state.window else None,
        contestants=_ranked(state, board),
        last_updated=board.last_updated if board else now,
    )


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


def standings(results: EpisodeResults) -> dict[str, VoteUpdate]:
    """The newest `vote_update` of each contestant."""
    return {row.id: VoteUpdate(results.episode_id, row.votes, row.percentage, row.rank) for row in results.contestants}


def detailed_update(episode: int, update: ContestantUpdate) -> DetailedUpdate:
    return DetailedUpdate(
        contestant_id=update.contestant_id,
        episode_id=episode,
        total_votes=update.total_votes,
        percentage=update.percentage,
        recent_votes=update.recent_votes,
        trending=update.trending if update.trending in TRENDING else "stable",
    )
