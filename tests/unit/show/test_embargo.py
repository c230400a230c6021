"""Who may see the counts of a window: the judgement that all doors ask, and the boards held back by it."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from broadcast_sync.errors import Refusal
from broadcast_sync.show.cues import event_data
from broadcast_sync.show.embargo import Boards, Withheld, audience, embargoed
from broadcast_sync.show.machine import decide
from broadcast_sync.show.model import SlotWinner, Stage
from broadcast_sync.show.orders import (
    AdvanceSlot,
    Certify,
    CloseByTimer,
    CompleteAdvance,
    EndShow,
    ReleaseResults,
    StartShow,
)
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import Envelope, VoteUpdate, WindowInfo
from broadcast_sync.wire.visibility import Visibility
from tests.support.stages import NOW, ROUNDS, SHOW, after, on_air, open_voting, results_of

CLOSES = NOW + 90_000
SETTLED = CLOSES + 5_000
WITHHELD: tuple[Visibility, ...] = ("screens", "hidden")


def opened(visibility: Visibility, window_id: str = "w1") -> Stage:
    return after(on_air(), open_voting(visibility=visibility, window_id=window_id))


def counted(stage: Stage, *, by_itself: bool) -> Stage:
    """Closed and certified; `by_itself` is `[results] release = "auto"`."""
    assert stage.window is not None
    closed = after(stage, CloseByTimer(stage.window.window_id), CLOSES)
    return after(closed, Certify(results_of(stage.window.window_id), by_itself), SETTLED)


def board(total: int, window_id: str = "w1", channel: str = "results") -> Prepared:
    return Prepared.received(msgspec.json.encode(
        Envelope("VOTE_UPDATE", VoteUpdate([], total), "2026-11-21T20:15:00.123Z", channel, window_id, total)
    ))


def everybody(channel: str) -> bool:
    return True


# --- the window -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("visibility", ["public", *WITHHELD])
def test_a_window_says_who_may_see_its_counts(visibility: Visibility) -> None:
    decision = decide(on_air(), open_voting(visibility=visibility), NOW)
    info = decision.events[0]
    assert isinstance(info, WindowInfo) and info.visibility == visibility
    assert decision.stage.window is not None and decision.stage.window.visibility == visibility
    assert audience(decision.stage) == visibility and embargoed(decision.stage) is (visibility != "public")


def test_what_is_no_visibility_opens_nothing() -> None:
    with pytest.raises(Refusal, match="visibility"):
        event_data("VOTING_OPEN", {"visibility": "everybody"})


@pytest.mark.parametrize("visibility", WITHHELD)
def test_only_a_cue_ends_an_embargo(visibility: Visibility) -> None:
    assert counted(opened("public"), by_itself=True).released
    stage = counted(opened(visibility), by_itself=True)
    assert not stage.released and embargoed(stage)
    released = after(stage, ReleaseResults(), SETTLED)
    assert audience(released) == "public" and audience(released, "w1") == "public"


def test_what_two_people_let_out_early_goes_out_with_the_certificate() -> None:
    stage = after(opened("hidden"), ReleaseResults(early=True), NOW + 1)
    assert audience(stage) == "hidden"
    assert audience(counted(stage, by_itself=True)) == "public"


def test_the_next_slot_keeps_it_and_a_slot_is_decided_in_public() -> None:
    stage = after(on_air(), open_voting(rules=ROUNDS, visibility="screens"))
    stage = after(stage, AdvanceSlot(), CLOSES - 1)
    stage = after(stage, Certify(results_of("w1"), False), SETTLED)
    assert stage.released
    won = SlotWinner(1, "w1", "c01", 12, "SCORE")
    stage = after(stage, CompleteAdvance(won, "w2", 5_000), SETTLED)
    assert stage.window is not None and (stage.window.window_id, audience(stage)) == ("w2", "screens")


def test_a_slot_whose_recount_differs_is_not_decided_in_public() -> None:
    stage = after(on_air(), open_voting(rules=ROUNDS, visibility="hidden"))
    stage = after(stage, AdvanceSlot(), CLOSES - 1)
    stage = after(stage, Certify(replace(results_of("w1"), certified=False), True), SETTLED)
    assert audience(stage) == "hidden"
    assert audience(after(stage, AdvanceSlot(uncertified=True), SETTLED)) == "public"


def test_counts_of_a_window_that_is_not_known_are_for_nobody() -> None:
    released = after(counted(opened("hidden"), by_itself=False), ReleaseResults(), SETTLED)
    following = after(released, open_voting(visibility="public", window_id="w2"), SETTLED)
    assert audience(following) == "public"
    assert audience(following, "w1") == "public"  # it has been released
    assert audience(following, "w0") == "hidden" and audience(Stage("default"), "w1") == "hidden"
    assert audience(Stage("default")) == "public"  # there are no counts to be seen


# --- its boards -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("visibility", "channel"), [("public", "results"), ("screens", "screens:results"), ("hidden", None)]
)
def test_where_a_board_goes(visibility: Visibility, channel: str | None) -> None:
    boards, stage = Boards(), opened(visibility)
    sent = boards.take(stage, board(3))
    assert (sent and sent.channel) == channel
    for name in ("results", "screens:results", "contestant:c01", "control"):
        assert [kept.channel for kept in boards.snapshot(stage, name)] == ([name] if name == channel else [])


def test_a_board_for_screens_says_results_of_itself_and_shares_its_frames() -> None:
    made = board(3)
    sent = Boards().take(opened("screens"), made)
    assert sent is not None and sent.json is made.json and sent.decoded()["channel"] == "results"


@pytest.mark.parametrize("visibility", WITHHELD)
def test_a_release_lets_out_what_was_withheld(visibility: Visibility) -> None:
    boards, stage = Boards(), opened(visibility)
    for held in (board(1), board(2)):
        boards.take(stage, held)
    boards.keep({channel: board(9, channel=channel).json for channel in ("contestant:c01", "contestant:c02")})
    closed = counted(stage, by_itself=False)
    assert boards.moved(stage, closed, everybody) == []
    released = after(closed, ReleaseResults(), SETTLED)
    opened_up = [(each.channel, each.offset) for each in boards.moved(closed, released, "contestant:c01".__eq__)]
    assert opened_up == [("results", 2), ("contestant:c01", 9)]
    assert boards.moved(released, released, everybody) == []
    assert [each.offset for each in boards.snapshot(released, "results")] == [2]


@pytest.mark.parametrize(
    ("visibility", "channel"),
    [("public", "contestant:c01"), ("screens", "screens:contestant:c01"), ("hidden", None)],
)
def test_where_a_contestants_last_message_goes(visibility: Visibility, channel: str | None) -> None:
    boards, stage = Boards(), opened(visibility)
    for total in (3, 4):
        boards.keep({"contestant:c01": board(total, channel="contestant:c01").json})
    sent = boards.contestant(stage, "contestant:c01")
    assert (sent and sent.channel) == channel
    for name in ("contestant:c01", "screens:contestant:c01", "contestant:c02", "results", "control"):
        kept = [(each.channel, each.offset) for each in boards.snapshot(stage, name)]
        assert kept == ([(name, 4)] if name == channel else [])


@pytest.mark.parametrize("kept", [b"", b"{}", b'{"type":"NEWS","data":{},"timestamp":""}', board(1, "w0").json])
def test_what_cannot_be_read_or_is_of_another_window_greets_nobody(kept: bytes) -> None:
    boards, stage = Boards(), opened("public")
    boards.keep({"contestant:c01": kept})
    assert boards.snapshot(stage, "contestant:c01") == []


def test_boards_go_with_their_window() -> None:
    boards, stage = Boards(), opened("hidden")
    boards.take(stage, board(1))
    boards.keep({"contestant:c01": board(1, channel="contestant:c01").json})
    ended = after(counted(stage, by_itself=True), EndShow(), SETTLED)
    assert boards.moved(stage, ended, everybody) == []
    assert boards.take(ended, board(2)) is None and boards.take(stage, board(3, "another")) is None
    assert boards.snapshot(ended, "results") == []
    again = after(after(ended, StartShow(SHOW)), open_voting(window_id="w2"), SETTLED)
    assert boards.take(again, board(4)) is None  # of the window that was never released
    assert boards.moved(ended, again, everybody) == []
    assert boards.snapshot(again, "results") == boards.snapshot(again, "contestant:c01") == []


# --- the process ----------------------------------------------------------------------------------------------


def test_a_process_withholds_until_every_release() -> None:
    withheld, stage = Withheld(), opened("screens")
    withheld.heed(on_air())
    assert not withheld
    withheld.heed(stage)
    assert withheld
    released = after(counted(stage, by_itself=True), ReleaseResults(), SETTLED)
    withheld.heed(released)
    assert not withheld
    hidden = after(released, open_voting(window_id="w2", visibility="hidden"), SETTLED)
    withheld.heed(hidden)
    withheld.heed(after(on_air(), open_voting(window_id="w3")))
    assert withheld  # the show has gone on without a release of w2
    withheld.heed(replace(on_air(), lately_released=("w2",)))
    assert not withheld


def test_a_rehearsal_is_released_without_a_note() -> None:
    withheld = Withheld()
    stage = replace(opened("hidden"), show=replace(SHOW, rehearsal=True))
    withheld.heed(stage)
    assert withheld
    withheld.heed(replace(counted(stage, by_itself=False), released=True))
    assert not withheld
