"""The stage: what is going on in an organisation's show at one revision, and the ports through which the show
asks the voting wing for what it must not know itself. Times are Unix milliseconds."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from msgspec import Struct

from broadcast_sync.show.timecode import Reference
from broadcast_sync.wire.server import ContestantInfo, ResultsReady
from broadcast_sync.wire.visibility import Visibility

Voting = Literal["IDLE", "OPEN", "CLOSING", "CLOSED"]


class Show(Struct, frozen=True):
    """The episode on air. `episode_ref` is the ledger's short name of it, `timezone` the IANA name of the zone in which
    the show's days begin and end."""

    show_id: str
    episode: int
    title: str
    episode_ref: int
    contestants: tuple[ContestantInfo, ...]
    timezone: str = "UTC"
    rehearsal: bool = False
    """The same path on windows of their own: never public results, and nobody's real votes are used up."""


class Performance(Struct, frozen=True):
    contestant_id: str
    song_name: str
    started_ms: int


class Ruleset(Struct, frozen=True):
    """A ruleset as a window holds it: frozen. `rules` are plain words for people; `canonical` is the whole of it, the
    text whose SHA-256 is `hash`."""

    name: str
    hash: str
    rules: dict[str, Any]
    rounds: int = 0
    """After how many rounds a season ends; 0 without rounds."""
    canonical: str = ""


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
    round: int = 0
    """The round of the show that is voted on, from 1; 0 where there are no rounds."""
    extended_s: int = 0
    """By how much it has been extended in all."""
    extended_ms: int = 0
    """When it was extended last; 0 if never."""
    visibility: Visibility = "public"
    """Who may see its counts before its result is released."""


class SlotWinner(Struct, frozen=True, rename="camel"):
    """How a slot was decided. `contestant_id` is empty and `score` 0 when nobody voted (NO_VOTES); SCORE is the highest
    score alone, any other word the tie rule that told equal ones apart."""

    slot: int
    window_id: str
    contestant_id: str
    score: int
    decided_by: Literal["SCORE", "VOTERS", "FIRST", "NUMBER", "NO_VOTES"]


class Advance(Struct, frozen=True):
    """What ADVANCE_SLOT has asked for and the director has not done yet. `contestants` None: all who have not won;
    `uncertified`: even if the recount differs."""

    duration_s: int
    contestants: tuple[str, ...] | None = None
    uncertified: bool = False


class Season(Struct, frozen=True):
    """A season of slots, each a window. It outlives SHOW_END: the next SHOW_START of the same show carries on with it.
    `id` is the id of its first window; `slot` the one that is voted on or comes next, from 1 to `slots`."""

    id: str
    show_id: str
    slots: int
    slot: int
    duration_s: int
    winners: tuple[SlotWinner, ...] = ()
    advance: Advance | None = None
    finished: bool = False


class ArmedCue(Struct, frozen=True):
    """A cue that is to be taken at `at_ms`, by the director. `timecode` is the label that this is the instant of, empty
    for a cue armed by the clock; `by` armed it at `armed_ms`."""

    cue_id: str
    event: str
    at_ms: int
    by: str
    armed_ms: int
    timecode: str = ""
    data: dict[str, Any] = {}


class PendingCue(Struct, frozen=True):
    """A cue that waits for a second person until `expires_ms`. `by` asked for it, and may not be that person."""

    cue_id: str
    event: str
    by: str
    asked_ms: int
    expires_ms: int
    data: dict[str, Any] = {}
    window_id: str = ""
    """The only window that it is for; empty where that does not matter."""


class VoidRequest(Struct, frozen=True, rename="camel"):
    """Which votes are not to count: those with these ids, or all of these voters, within one window if one is named."""

    reason: str
    vote_ids: tuple[str, ...] = ()
    voters: tuple[str, ...] = ()
    window_id: str | None = None


class ApprovedVoid(Struct, frozen=True):
    """What two people have agreed to void and the director has not done yet."""

    cue_id: str
    request: VoidRequest
    by: str
    approved_by: str
    approved_ms: int


class RundownItem(Struct, frozen=True):
    """A cue of the loaded rundown, and what has become of it."""

    cue_id: str
    event: str
    at_ms: int
    timecode: str = ""
    state: Literal["armed", "taken", "refused", "cancelled"] = "armed"


class Rundown(Struct, frozen=True):
    """The list of cues that was loaded last, in the order of time."""

    name: str
    items: tuple[RundownItem, ...]


class DueRundown(Struct, frozen=True):
    """A rundown that is to be armed by itself, shortly before `due_ms`, when its offsets begin. Its cues, so many, are
    kept beside the stage under `id`."""

    id: str
    name: str
    due_ms: int
    by: str
    cues: int


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
    season: Season | None = None
    season_aside: Season | None = None
    """The real season while a rehearsal is on."""
    lately_released: tuple[str, ...] = ()
    """The last windows whose results were released, oldest first; it outlives SHOW_END."""
    reference: Reference | None = None
    """What ties labels to the clock; without one no cue can be armed by its label."""
    armed: tuple[ArmedCue, ...] = ()
    """Cues to come, soonest first; at most ARMED_MOST."""
    pending: tuple[PendingCue, ...] = ()
    """Cues that wait for a second person, oldest first; at most PENDING_MOST."""
    voids: tuple[ApprovedVoid, ...] = ()
    """Votes to be voided, in order; it outlives SHOW_END. At most VOIDS_MOST."""
    rundown: Rundown | None = None
    due: tuple[DueRundown, ...] = ()
    """Rundowns to be armed at their dates, soonest first; it outlives SHOW_END. At most DUE_MOST."""
    scope: str = ""
    """Whose cueIds are told apart: the show that is on air or was last, its episode, and whether it was a rehearsal."""
    release_authorised: bool = False
    """Two people have let the result of the window out before it was certified: it goes out when it is."""


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


class VoidPort(Protocol):
    """Votes that are not to count any more. Implemented by the voting wing."""

    async def count(self, request: VoidRequest) -> int:
        """How many ballots `request` means. Raises Refusal CUE_REJECTED if one of them is not in the ledger, or there
        are none. Engine errors pass through."""
        ...

    async def void(self, void: ApprovedVoid) -> int:
        """Voids them; how many that had counted until now. Idempotent, so that a new director can call it again.
        Raises as `count` does."""
        ...


class SettlePort(Protocol):
    """Turns a closed window into a result: fence, drained ledger, recount. Implemented by the results wing."""

    async def settle(self, stage: Stage) -> ResultsReady:
        """Called by the director once `hard_closes_ms` and the drain time have passed. May take as long as the
        ledger needs; idempotent, so that a new director can call it again. Engine errors pass through."""
        ...


class RoundPort(Protocol):
    """Who won a slot. Implemented by the results wing."""

    async def decide(self, stage: Stage, slot: int) -> SlotWinner:
        """The winner of the closed `stage.window` as slot `slot`, stored for ever before it is returned; a second call
        returns the first one's. Engine errors pass through."""
        ...
