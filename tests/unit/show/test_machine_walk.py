"""Any sequence of commands at any times: what must hold of the show however it is driven."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from broadcast_sync.errors import Refusal
from broadcast_sync.show.checks import MAX_WINDOW_S
from broadcast_sync.show.machine import decide, legal_events
from broadcast_sync.show.model import Ruleset, SlotWinner, Stage
from broadcast_sync.show.orders import (
    AdvanceSlot,
    Certify,
    CloseByTimer,
    CloseVoting,
    Command,
    CompleteAdvance,
    EndPerformance,
    EndShow,
    ExtendVoting,
    ReleaseResults,
    StartPerformance,
    StartShow,
    Warn,
)
from tests.support.stages import NOW, ROUNDS, RULES, SHOW, open_voting, results_of

contestants = st.sampled_from(["c01", "c02", "c03", "nobody"])
seconds = st.one_of(st.sampled_from([0, 1, 59, 60, 61, 86_400, True, 2.5]), st.integers(1, 300))


class ShowWalk(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage("default")
        self.now = NOW
        self.windows = 0

    def take(self, event: str | None, command: Command) -> None:
        before = self.stage
        try:
            decision = decide(before, command, self.now)
        except Refusal as refusal:
            assert refusal.code == "CUE_REJECTED" and refusal.message.endswith(".")
            assert self.stage is before
            return
        assert event is None or event in legal_events(before)
        assert decision.stage.revision == before.revision + 1
        last: Any = decision.events[-1]
        assert last.TYPE == "STATE_UPDATE" and last.revision == decision.stage.revision
        assert len(decision.events) <= 3
        self.stage = decision.stage

    @property
    def window_id(self) -> str:
        return self.stage.window.window_id if self.stage.window else "w0"

    @rule(ms=st.one_of(st.integers(0, 5_000), st.integers(0, 200_000)))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule()
    def start_show(self) -> None:
        self.take("SHOW_START", StartShow(SHOW))

    @rule(contestant=contestants)
    def start_performance(self, contestant: str) -> None:
        self.take("PERFORMANCE_START", StartPerformance(contestant))

    @rule(contestant=st.one_of(st.none(), contestants))
    def end_performance(self, contestant: str | None) -> None:
        self.take("PERFORMANCE_END", EndPerformance(contestant))

    @rule(
        duration=seconds, some=st.one_of(st.none(), st.lists(contestants, max_size=3).map(tuple)),
        rules=st.sampled_from([RULES, ROUNDS]), slot=st.sampled_from([None, None, 1, 2, 4]),
    )
    def open_window(self, duration: object, some: tuple[str, ...] | None, rules: Ruleset, slot: int | None) -> None:
        self.windows += 1
        self.take("VOTING_OPEN", open_voting(duration, f"w{self.windows}", some, rules=rules, slot=slot))

    @rule(
        duration=st.one_of(st.none(), seconds), some=st.one_of(st.none(), st.lists(contestants, max_size=3).map(tuple))
    )
    def advance(self, duration: object, some: tuple[str, ...] | None) -> None:
        self.take("ADVANCE_SLOT", AdvanceSlot(duration, some))

    @rule(who=st.sampled_from(["c01", "c02", ""]), slot=st.integers(1, 3))
    def complete_advance(self, who: str, slot: int) -> None:
        self.windows += 1
        won = SlotWinner(self.stage.season.slot if self.stage.season else slot, self.window_id, who, 3, "SCORE")
        self.take(None, CompleteAdvance(won, f"w{self.windows}", 5_000))

    @rule(more=seconds)
    def extend(self, more: object) -> None:
        self.take("VOTING_EXTEND", ExtendVoting(more))

    @rule()
    def close(self) -> None:
        self.take("VOTING_CLOSE", CloseVoting())

    @rule()
    def close_by_timer(self) -> None:
        self.take(None, CloseByTimer(self.window_id))

    @rule()
    def warn(self) -> None:
        self.take(None, Warn(self.window_id))

    @rule(release=st.booleans())
    def certify(self, release: bool) -> None:
        self.take(None, Certify(results_of(self.window_id), release))

    @rule()
    def release(self) -> None:
        self.take("RESULTS_RELEASE", ReleaseResults())

    @rule()
    def end_show(self) -> None:
        self.take("SHOW_END", EndShow())

    @invariant()
    def voting_needs_a_window_and_a_window_a_show(self) -> None:
        stage = self.stage
        assert (stage.voting == "IDLE") == (stage.window is None)
        assert stage.window is None or stage.show is not None
        assert stage.performance is None or stage.show is not None

    @invariant()
    def results_are_those_of_the_closed_window(self) -> None:
        stage = self.stage
        assert (stage.results is not None) == (stage.voting == "CLOSED")
        assert not stage.released or stage.results is not None
        assert not stage.release_cued or stage.released
        if stage.results is not None and stage.window is not None:
            assert stage.results.window_id == stage.window.window_id

    @invariant()
    def a_window_is_never_longer_than_a_day_and_its_grace_is_kept(self) -> None:
        window = self.stage.window
        if window is not None:
            assert window.opens_ms <= window.closes_ms <= window.opens_ms + MAX_WINDOW_S * 1000
            assert window.hard_closes_ms - window.closes_ms == 5_000
            assert (self.stage.voting == "OPEN") == (window.reason == "")

    @invariant()
    def there_is_a_way_on(self) -> None:
        pending = self.stage.season is not None and self.stage.season.advance is not None
        assert legal_events(self.stage) or pending

    @invariant()
    def a_season_counts_its_slots(self) -> None:
        season, window = self.stage.season, self.stage.window
        if season is None:
            assert window is None or window.round == 0
            return
        assert 1 <= season.slot <= season.slots
        slots = [won.slot for won in season.winners]
        assert slots == sorted(set(slots)) and all(slot < season.slot or season.finished for slot in slots)
        assert not season.finished or slots[-1] == season.slots
        if season.advance is not None:
            assert window is not None and window.round == season.slot and self.stage.voting in ("CLOSING", "CLOSED")
        if window is not None and window.round:
            assert season.finished or window.round in (season.slot, season.slot - 1)
            winners = {won.contestant_id for won in season.winners}
            assert window.round < season.slot or season.finished or not winners & {one.id for one in window.contestants}


TestShowWalk = ShowWalk.TestCase
TestShowWalk.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
