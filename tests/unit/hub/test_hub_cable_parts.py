"""Identifiers in use, tokens in requests, and the show in VotingChannel's words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.hub.cable import token_in
from broadcast_sync.hub.cable_addresses import SHARED_FROM, SHARED_MOST, Addresses
from broadcast_sync.hub.cable_views import detailed_update, episode_results, standings
from broadcast_sync.show.views import state_update
from broadcast_sync.wire.cable import Addressed, Broadcast, ContestantVotes, EpisodeResults, RecentBallot, VoteUpdate
from broadcast_sync.wire.deflate import Deflate
from broadcast_sync.wire.server import ContestantUpdate, LiveResults, RecentVote
from broadcast_sync.wire.times import iso
from tests.support.stages import after, on_air, open_voting


def test_an_identifier_that_many_use_is_shared_until_its_last_has_gone() -> None:
    addresses = Addresses(Deflate(6))
    taken = [addresses.take("x", True) for _ in range(SHARED_FROM)]
    assert set(taken) == {taken[0]} and taken[0].shared
    assert addresses.take("x", False) is not taken[0]  # plain sockets have bytes of their own
    for format in taken[1:]:
        addresses.release(format, True)
    assert taken[0].shared and len(addresses) == 2
    addresses.release(taken[0], True)
    assert len(addresses) == 1
    again = addresses.take("x", True)
    assert again is not taken[0] and not again.shared


def test_there_are_so_many_places_and_none_is_lost_by_newcomers() -> None:
    addresses = Addresses(None)

    def many(name: str) -> Addressed:
        taken = [addresses.take(name, False) for _ in range(SHARED_FROM)]
        return taken[-1]

    first = [many(f"a{n}") for n in range(SHARED_MOST)]
    late = many("late")
    assert all(format.shared for format in first) and not late.shared
    for _ in range(SHARED_FROM):
        addresses.release(first[0], False)
    addresses.take("late", False)
    assert late.shared  # a place came free


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_what_is_taken_and_released_leaves_nothing(steps: list[tuple[str, bool]]) -> None:
    addresses = Addresses(None)
    held = [(addresses.take(name, agreed), agreed) for name, agreed in steps]
    assert len(addresses) == len(set(steps))
    for format, agreed in held:
        addresses.release(format, agreed)
    assert (len(addresses), addresses._shared, addresses._uses) == (0, 0, {})


def test_a_frame_is_kept_and_compressed_only_for_identifiers_that_are_shared() -> None:
    broadcast = Broadcast("results_update", b'{"type":"results_update","data":"%b"}' % (b"x" * 400), "c")
    own, shared = Addressed("own", Deflate(6)), Addressed("shared", Deflate(6))
    shared.shared = True
    assert broadcast.frame_for(own) is not broadcast.frame_for(own)
    assert broadcast.frame_for(own)[0] == 0x81
    assert broadcast.frame_for(shared) is broadcast.frame_for(shared)
    assert broadcast.frame_for(shared)[0] == 0xC1


@pytest.mark.parametrize(
    ("target", "authorization", "token"),
    [
        ("/cable", [], None),
        ("/cable?token=a.b", [], "a.b"),
        ("/cable?x=1&token=a%2Bb&token=last", [], "last"),
        ("/cable?token=", [], None),
        ("/cable?token=query", ["Bearer header"], "header"),
        ("/cable?token=query", ["Basic eDp5"], "query"),
        ("/cable", ["bearer   spaced "], "spaced"),
        ("/cable", ["Bearer"], None),
        ("/cable?" + "&".join(f"a{n}" for n in range(99)) + "&token=x", [], None),
    ],
)
def test_where_a_token_is_looked_for(target: str, authorization: list[str], token: str | None) -> None:
    assert token_in(target, authorization) == token


@given(st.text())
def test_no_query_is_too_strange(query: str) -> None:
    token_in(f"/cable?{query}", [])


def test_the_standing_of_each_contestant() -> None:
    row = ContestantVotes("c01", "n", "", "", "", 3, 75.0, 1)
    results = EpisodeResults(1, 1, 4, True, None, [row], "")
    assert standings(results) == {"c01": VoteUpdate(1, 3, 75.0, 1)}


@pytest.mark.parametrize(
    ("trend", "word"),
    [("hot", "hot"), ("rising", "rising"), ("stable", "stable"), ("falling", "falling"),
     ("of another version", "stable")],
)
def test_trends_in_this_channels_words(trend: str, word: str) -> None:
    assert detailed_update(1, ContestantUpdate("c01", 3, 75.0, 1, 2, trend), 0).trending == word


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-3, "less than a minute"), (29, "less than a minute"), (31, "1 minute"), (89, "1 minute"), (91, "2 minutes"),
     (2_669, "44 minutes"), (2_671, "about 1 hour"), (5_369, "about 1 hour"), (5_371, "about 2 hours"),
     (12_600, "about 4 hours")],
)  # fmt: skip
def test_the_last_ballots_say_how_long_ago_they_came(seconds: int, words: str) -> None:
    now_ms = 1_795_292_100_000
    ballot = RecentVote("so***", "free", 2, iso(now_ms - seconds * 1000))
    told = detailed_update(1, ContestantUpdate("c01", 3, 75.0, 1, 2, "hot", [ballot]), now_ms)
    assert told.recent_votes == [RecentBallot("so***", 2, "free", words)]


def test_the_episode_says_who_voted_how_where_that_is_known() -> None:
    state = state_update(after(on_air(), open_voting()))
    known = LiveResults([], 5, "", 60, {"free": 3, "paid": 2}, 0, 3)
    told = episode_results(state, known, "")
    assert told is not None and (told.unique_voters, told.vote_breakdown) == (0, {"free_votes": 3, "paid_votes": 2})
    hidden = state_update(after(on_air(), open_voting(visibility="hidden")))
    for one, board in ((state, LiveResults([], 5, "", 60)), (state, None), (hidden, known)):
        told = episode_results(one, board, "")
        assert told is not None and (told.unique_voters, told.vote_breakdown) == (None, None)
