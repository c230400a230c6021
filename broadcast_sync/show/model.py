"""The stage: what is going on in an organisation's show at one revision, and the ports through which the show
asks the voting wing for what it must not know itself. Times are Unix milliseconds."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from msgspec import Struct

from broadcast_sync.wire.server import ContestantInfo, ResultsReady

Voting = Literal["IDLE", "OPEN", "CLOSING", "CLOSED"]


class Show(Struct, frozen=True):
    """The episode on air. `episode_ref` is the ledger's short name of it."""

    show_id: str
    episode: int
    title: str
    episode_ref: int
    contestants: tuple[ContestantInfo, ...]


class Performance(Struct, frozen=True):
    contestant_id: str
    song_name: str
    started_ms: int


class Ruleset(Struct, frozen=True):
    """A ruleset as a window holds it: frozen, with its canonical hash; `rules` are plain words for people."""

    name: str
    hash: str
    rules: dict[str, Any]


class Window(Struct, frozen=True):
    """A voting window. Ballots whose frames arrive in [opens_ms, hard_closes_ms] may count."""

    window_id: str
    opens_ms: int
    closes_ms: int
    hard_closes_ms: int
    ruleset: Ruleset
    contestants: tuple[ContestantInfo, ...]
    warned: bool = False
    """No WARNING is to come: it has been given, or the last minute began without one."""
    reason: Literal["", "TIMER", "CUE"] = ""


class Stage(Struct, frozen=True):
    """Everything the show remembers. `revision` grows by one with each commit; `offset` counts the messages of
    channel `show` within `epoch`."""

    organisation: str
    revision: int = 0
    epoch: str = ""
    offset: int = 0
    show: Show | None = None
    performance: Performance | None = None
    voting: Voting = "IDLE"
    window: Window | None = None
    results: ResultsReady | None = None
    released: bool = False
    """The results are public: released by cue, or with the certification when the settings say so."""
    release_cued: bool = False
    """The operator has released them; a second cue to do so is refused."""


class WindowPort(Protocol):
    """What the show asks of whoever counts the votes. Implemented by the voting wing."""

    def ruleset(self, name: str | None) -> Ruleset:
        """The named ruleset, or the default one. Raises Refusal CUE_REJECTED if unknown or not allowed here."""
        ...

    async def opening(self, stage: Stage) -> None:
        """Called before the commit that opens `stage.window`: when it returns, ballots can be taken. The commit
        may still fail; a window that was never committed is never heard of again. Engine errors pass through."""
        ...

    async def changed(self, stage: Stage) -> None:
        """Called after a commit that changed the window's times, and now and then by the director. Idempotent."""
        ...


class SettlePort(Protocol):
    """Turns a closed window into a result: fence, drained ledger, recount. Implemented by the results wing."""

    async def settle(self, stage: Stage) -> ResultsReady:
        """Called by the director once `hard_closes_ms` and the drain time have passed. May take as long as the
        ledger needs; idempotent, so that a new director can call it again. Engine errors pass through."""
        ...
