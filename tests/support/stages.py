"""Shows, windows and results to test with, and ports that count calls instead of votes."""

from __future__ import annotations

import asyncio
from typing import Any

from broadcast_sync.clock import Clock
from broadcast_sync.errors import Refusal
from broadcast_sync.settings import Settings
from broadcast_sync.show.execution import Execution
from broadcast_sync.show.intake import CueIntake
from broadcast_sync.show.machine import decide
from broadcast_sync.show.model import ApprovedVoid, Ruleset, Show, SlotWinner, Stage, VoidPort, VoidRequest, WindowPort
from broadcast_sync.show.orders import Command, OpenVoting, StartShow
from broadcast_sync.show.reader import CueReader
from broadcast_sync.show.store import StageStore
from broadcast_sync.wire.server import ContestantInfo, ResultsReady
from broadcast_sync.wire.visibility import Visibility

NOW = 1_795_000_000_000
RULES = Ruleset("xfactor", "hash", {"free": "5 votes"})
ROUNDS = Ruleset("hybrid", "hash3", {"text": "three rounds"}, 3)
LINE_UP = (
    ContestantInfo("c01", 1, "Sok Dara", "", "active"),
    ContestantInfo("c02", 2, "Chan Sreymom", "", "active"),
    ContestantInfo("c03", 3, "Keo Rithy", "", "eliminated"),
)
SHOW = Show("demo", 1, "Voices of the Mekong", 7, LINE_UP)


def open_voting(
    duration_s: object = 90, window_id: str = "w1", contestants: tuple[str, ...] | None = None, grace_ms: int = 5_000,
    rules: Ruleset = RULES, slot: int | None = None, visibility: Visibility = "public",
) -> OpenVoting:
    return OpenVoting(window_id, duration_s, contestants, rules, grace_ms, slot, visibility)


def results_of(window_id: str) -> ResultsReady:
    return ResultsReady(window_id, [], 12, True, 12, {"algorithm": "none"})


def on_air() -> Stage:
    return decide(Stage("default"), StartShow(SHOW), NOW).stage


def after(stage: Stage, command: Command, now_ms: int = NOW) -> Stage:
    return decide(stage, command, now_ms).stage


class SetClock:
    """A clock that stands until it is moved."""

    def __init__(self, now_ms: int = NOW) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms


class FakeVoids:
    """A ledger in which every vote is, and that remembers what was voided."""

    def __init__(self) -> None:
        self.voided: list[ApprovedVoid] = []
        self.error: Exception | None = None

    async def count(self, request: VoidRequest) -> int:
        if "nobody" in request.voters:
            raise Refusal("CUE_REJECTED", "All of these are no votes in the ledger.")
        return len(request.vote_ids) + len(request.voters)

    async def void(self, void: ApprovedVoid) -> int:
        if self.error:
            raise self.error
        self.voided.append(void)
        return await self.count(void.request)


def reader_of(settings: Settings, window: WindowPort, voids: VoidPort | None = None) -> CueReader:
    return CueReader(settings, FakeShows(), window, voids or FakeVoids())


def intake_of(
    settings: Settings, store: StageStore, window: WindowPort, clock: Clock, voids: VoidPort | None = None
) -> CueIntake:
    return CueIntake(settings, store, reader_of(settings, window, voids), Execution(store, window), clock)


class FakeShows:
    """A catalogue of one episode."""

    async def find(self, show_id: str, episode: int) -> Show | None:
        return SHOW if (show_id, episode) == ("demo", 1) else None


class FakeWindow:
    """A window port that remembers what it was told."""

    def __init__(self) -> None:
        self.opened: list[Stage] = []
        self.told: list[Stage] = []
        self.error: Exception | None = None
        self._more = asyncio.Event()

    def ruleset(self, name: str | None) -> Ruleset:
        if name not in (None, "xfactor", "hybrid"):
            raise Refusal("CUE_REJECTED", f"There is no ruleset {name}.")
        return ROUNDS if name == "hybrid" else RULES

    async def prepared(self, windows: int) -> None:
        """Once so many windows have been prepared, committed or not."""
        while len(self.opened) < windows:
            self._more.clear()
            await self._more.wait()

    async def opening(self, stage: Stage) -> None:
        self.opened.append(stage)
        self._more.set()
        if self.error:
            raise self.error

    async def changed(self, stage: Stage) -> None:
        self.told.append(stage)
        if self.error:
            raise self.error


class FakeSettle:
    """A settle port that fails `failures` times first."""

    def __init__(self, failures: int = 0, error: Exception | None = None) -> None:
        self.calls = 0
        self.failures = failures
        self.error = error or ConnectionError("engine away")

    async def settle(self, stage: Stage) -> ResultsReady:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        assert stage.window is not None
        return results_of(stage.window.window_id)


class FakeRounds:
    """A round port that lets the first contestant of the window win."""

    def __init__(self, failures: int = 0) -> None:
        self.decided: list[SlotWinner] = []
        self.failures = failures

    async def decide(self, stage: Stage, slot: int) -> SlotWinner:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("engine away")
        assert stage.window is not None
        self.decided.append(SlotWinner(slot, stage.window.window_id, stage.window.contestants[0].id, 12, "SCORE"))
        return self.decided[-1]


def types(events: tuple[Any, ...]) -> list[str]:
    return [event.TYPE for event in events]
