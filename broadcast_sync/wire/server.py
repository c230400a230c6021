"""Messages that the server sends: the `data` of each type, and the envelope around it.

Times are ISO 8601 strings, durations seconds unless a name says milliseconds, percentages have one decimal.
"""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import UNSET, Struct, UnsetType


class Data(Struct, frozen=True, rename="camel"):
    """Base of the `data` of a server message; `TYPE` is the wire's type."""

    TYPE: ClassVar[str]


class Envelope(Struct, frozen=True, rename="camel"):
    """`{"type", "data", "timestamp"}`, and for a message of a channel `channel`, `epoch`, `offset` as well."""

    type: str
    data: Any
    timestamp: str
    channel: str | UnsetType = UNSET
    epoch: str | UnsetType = UNSET
    offset: int | UnsetType = UNSET


# --- sessions ---------------------------------------------------------------------------------------------


class Welcome(Data, frozen=True):
    """The first message on every socket. `ping_interval` in seconds."""

    TYPE: ClassVar[str] = "WELCOME"
    session_id: str
    node: str
    server_time: str
    ping_interval: float


class AuthOk(Data, frozen=True):
    """`remaining` is what the voter may still cast by vote type, null when nothing is open or known."""

    TYPE: ClassVar[str] = "AUTH_OK"
    user_id: str
    roles: list[str]
    organization_id: str
    expires_at: str
    remaining: dict[str, int] | None


class Subscribed(Data, frozen=True):
    """`recovered` is true when everything since the client's position follows, false when a snapshot does."""

    TYPE: ClassVar[str] = "SUBSCRIBED"
    channel: str
    recovered: bool
    epoch: str
    offset: int


class Unsubscribed(Data, frozen=True):
    TYPE: ClassVar[str] = "UNSUBSCRIBED"
    channel: str


class Pong(Data, frozen=True):
    """`t0` as sent; `t1` when the server received it and `t2` when it answered, Unix milliseconds."""

    TYPE: ClassVar[str] = "PONG"
    t0: int | float
    t1: int
    t2: int


class Reconnect(Data, frozen=True):
    TYPE: ClassVar[str] = "RECONNECT"
    after_ms: int
    reason: str


class Error(Data, frozen=True):
    """`retry_after` in seconds; `id` is the one of the message it answers; `revision` comes with STALE_REVISION,
    `receipt` when the ballot it refuses asked for one."""

    TYPE: ClassVar[str] = "ERROR"
    code: str
    message: str
    retryable: bool
    retry_after: float | UnsetType = UNSET
    id: str | UnsetType = UNSET
    cue_id: str | UnsetType = UNSET
    revision: int | UnsetType = UNSET
    receipt: str | UnsetType = UNSET


# --- the show ---------------------------------------------------------------------------------------------


class ShowInfo(Struct, frozen=True, rename="camel"):
    """`rehearsal` is to be marked wherever the show is shown. `event` is the episode's id over HTTP."""

    show_id: str
    episode: int
    title: str
    rehearsal: bool = False
    event: int | UnsetType = UNSET


class PerformanceInfo(Struct, frozen=True, rename="camel"):
    contestant_id: str
    song_name: str
    started_at: str


class ContestantInfo(Struct, frozen=True, rename="camel"):
    """`status` is `active` or `eliminated`."""

    id: str
    number: int
    name: str
    photo_url: str
    status: str
    khmer_name: str = ""
    hometown: str = ""
    category: str = ""


class WindowInfo(Data, frozen=True):
    """The voting window; the data of VOTING_OPEN. `rules` are in plain words for people; `visibility` is who may see
    its counts before its result is released: public, screens or hidden. Of more than two hundred contestants the first
    are listed; `contestantCount` are all of them."""

    TYPE: ClassVar[str] = "VOTING_OPEN"
    window_id: str
    state: str
    opens_at: str
    closes_at: str
    hard_closes_at: str
    episode: int
    rules_hash: str
    rules: dict[str, Any]
    contestants: list[ContestantInfo]
    rehearsal: bool = False
    visibility: str = "public"
    contestant_count: int | UnsetType = UNSET


class SeasonInfo(Struct, frozen=True, rename="camel"):
    """A season of slots: `slot` of `slots` is voted on or comes next; `status` is `voting`, `locked` (its winner is
    being found), `waiting` (for a window) or `finished`."""

    slot: int
    slots: int
    status: str


class StateUpdate(Data, frozen=True):
    """`voting` is IDLE, OPEN, CLOSING or CLOSED; `degraded` while the node is cut off from an engine.

    `contestants` is the line-up of the loaded episode, so that a screen can draw it before a window opens: the first
    two hundred of `contestantCount`. `season` is there only when the show has rounds.
    """

    TYPE: ClassVar[str] = "STATE_UPDATE"
    show: ShowInfo | None
    performance: PerformanceInfo | None
    voting: str
    window: WindowInfo | None
    revision: int
    degraded: bool
    results_released: bool
    contestants: list[ContestantInfo]
    season: SeasonInfo | UnsetType = UNSET
    contestant_count: int | UnsetType = UNSET


class SlotDecided(Data, frozen=True):
    """A slot has its winner. `contestantId` is null when nobody voted; `decidedBy` is SCORE, NO_VOTES, or the tie rule
    that told equal scores apart: VOTERS, FIRST or NUMBER. `nextSlot` is null when the season has finished."""

    TYPE: ClassVar[str] = "SLOT_DECIDED"
    slot: int
    slots: int
    window_id: str
    contestant_id: str | None
    contestant_name: str | None
    score: int
    decided_by: str
    next_slot: int | None


class TimeUpdate(Data, frozen=True):
    TYPE: ClassVar[str] = "TIME_UPDATE"
    remaining: int
    closes_at: str


class Warning_(Data, frozen=True):
    TYPE: ClassVar[str] = "WARNING"
    code: str
    remaining: int


class Countdown(Data, frozen=True):
    TYPE: ClassVar[str] = "COUNTDOWN"
    remaining: int


class VotingClosed(Data, frozen=True):
    """`reason` is TIMER or CUE. Ballots whose frames arrive until the window's `hardClosesAt` still count."""

    TYPE: ClassVar[str] = "VOTING_CLOSED"
    window_id: str
    closed_at: str
    reason: str


# --- votes and results ------------------------------------------------------------------------------------


class VoteAck(Data, frozen=True):
    """`replayed` is true when this `id` had been counted before: this is that first answer again. `receipt` comes when
    the ballot asked for it."""

    TYPE: ClassVar[str] = "VOTE_ACK"
    id: str
    vote_id: str
    status: str
    contestant_id: str
    vote_type: str
    vote_count: int
    remaining: dict[str, int]
    replayed: bool
    receipt: str | UnsetType = UNSET


class BoardRow(Struct, frozen=True, rename="camel"):
    """One contestant on the board. `change` is places gained within `[results] change_s` (negative: lost), 0 while
    nothing was ranked then; `trend` compares the last five minutes with the five before."""

    contestant_id: str
    contestant_name: str
    contestant_photo: str
    vote_count: int
    formatted_count: str
    percentage: float
    rank: int
    change: int
    trend: str


class LiveResults(Data, frozen=True):
    """The best hundred of `contestant_count`, best first. `total_votes` and `breakdown`, the votes by type, are of all
    of them; `unique_voters` is an estimate, within 2 % of the truth nineteen times of twenty."""

    TYPE: ClassVar[str] = "LIVE_RESULTS"
    results: list[BoardRow]
    total_votes: int
    last_updated: str
    time_remaining: int
    breakdown: dict[str, int] | UnsetType = UNSET
    unique_voters: int | UnsetType = UNSET
    contestant_count: int | UnsetType = UNSET


class LeanRow(Struct, frozen=True, rename="camel"):
    contestant_id: str
    vote_count: int
    percentage: float
    rank: int


class VoteUpdate(Data, frozen=True):
    """The best hundred, best first, then of the others those that have changed since the last one and some of the rest
    by turns, so that who missed a message has all of them again within a minute."""

    TYPE: ClassVar[str] = "VOTE_UPDATE"
    results: list[LeanRow]
    total_votes: int
    contestant_count: int | UnsetType = UNSET


class RecentVote(Struct, frozen=True, rename="camel"):
    """A ballot of a moment ago. `name` is the voter's, masked."""

    name: str
    vote_type: str
    vote_count: int
    at: str


class ContestantUpdate(Data, frozen=True):
    """`recent_votes` counts the last minute; `trending` is hot, rising, falling or stable; `recent` are the last
    ballots that the ledger has, newest first, not there in windows of more than a hundred contestants."""

    TYPE: ClassVar[str] = "CONTESTANT_UPDATE"
    contestant_id: str
    total_votes: int
    percentage: float
    rank: int
    recent_votes: int
    trending: str
    recent: list[RecentVote] | UnsetType = UNSET


class ResultsReady(Data, frozen=True):
    """The final board: the best two hundred of `contestantCount`. `certified` only when the ledger, recounted, equals
    the tally. Votes by type and the number of voters are the certificate's `votesByType` and `voters`, counted from the
    ledger; of a large certificate only a summary is here, that says where it is."""

    TYPE: ClassVar[str] = "RESULTS_READY"
    window_id: str
    results: list[BoardRow]
    total_votes: int
    certified: bool
    ledger_total: int
    certificate: dict[str, Any]
    contestant_count: int | UnsetType = UNSET


# --- control room -----------------------------------------------------------------------------------------


class CueAck(Data, frozen=True):
    """What has become of a cue at `executedAt`. It has been taken, unless `armed` says that it will be, at `at`, or
    `pending` that a second person must confirm it until `expiresAt`. `latenessMs` is counted from the instant of its
    label, else from when the control room says it asked. `replayed` is true when this is the first answer again."""

    TYPE: ClassVar[str] = "CUE_ACK"
    cue_id: str
    revision: int
    executed_at: str
    lateness_ms: int
    replayed: bool
    armed: bool | UnsetType = UNSET
    at: str | UnsetType = UNSET
    pending: bool | UnsetType = UNSET
    expires_at: str | UnsetType = UNSET


class ReferenceInfo(Struct, frozen=True, rename="camel"):
    """The show's timecode: the frame `label` began at `at`, at `rate` (`25`, `29.97df`, ...)."""

    label: str
    at: str
    rate: str


class ArmedInfo(Struct, frozen=True, rename="camel"):
    """A cue that will be taken at `at`. `timecode` is its label, empty without one; `remainingMs` is below 0 only while
    it is overdue."""

    cue_id: str
    event: str
    at: str
    timecode: str
    remaining_ms: int
    by: str


class PendingInfo(Struct, frozen=True, rename="camel"):
    """A cue that waits for a second person; `by` asked for it and cannot confirm it."""

    cue_id: str
    event: str
    by: str
    expires_at: str
    data: dict[str, Any]


class RundownItemInfo(Struct, frozen=True, rename="camel"):
    """`state` is armed, taken, refused or cancelled."""

    cue_id: str
    event: str
    at: str
    timecode: str
    state: str


class RundownInfo(Struct, frozen=True, rename="camel"):
    """The rundown that was loaded last, in the order of time."""

    name: str
    items: list[RundownItemInfo]


class NodeInfo(Struct, frozen=True, rename="camel"):
    """One process: its sockets, the shares of them that were sent the newest message of the show and have acknowledged
    it, whether it is cut off from the engine, and by how much its clock disagrees with the engine's."""

    node: str
    sockets: int
    applied: float
    acked: float
    degraded: bool
    clock_offset_ms: float


class ClockInfo(Struct, frozen=True, rename="camel"):
    """The clock of the node that says so: `offsetMs` from the time that all nodes share, as measured `ageMs` ago (null:
    never yet); `healthy` while that is recent and small. `heldMs` is what the shared time is off the engine's clock."""

    offset_ms: float
    healthy: bool
    age_ms: int | None = None
    held_ms: int = 0


class DirectorInfo(Struct, frozen=True, rename="camel"):
    """The node that directs the show, as it said `ageMs` ago; it says so each second."""

    node: str
    age_ms: int


class DueInfo(Struct, frozen=True, rename="camel"):
    """A rundown of so many cues that arms itself shortly before `dueAt`; `by` loaded it."""

    name: str
    due_at: str
    cues: int
    by: str


class Tally(Data, frozen=True):
    """`applied` is the share of all sockets sent `revision`, `acked` of those whose client has said that it has it;
    `recount` is EQUAL, PENDING or DIFFERS. `lastLatenessMs` is that of the last cue taken, null before any; `director`
    is null until one has reported.

    `state` is `voting` of the show; `legal` the cue events that would be accepted now, `asks` those of them that a
    second person would have to confirm; `ledger_lag` in votes. It, `votes_per_second` and `total_votes` are null while
    the counts of the window are hidden. `streams` is OK, ALARM (votes that wait for the ledger fill half of their
    memory) or FULL (ballots get TRY_AGAIN). `armed` are the cues to come, soonest first; `pending` those that wait for
    a second person; `reference` is null until the show's timecode has been set;
    `due` are the rundowns that wait for their dates.
    """

    TYPE: ClassVar[str] = "TALLY"
    revision: int
    state: str
    sockets: int
    applied: float
    votes_per_second: float | None
    ledger_lag: int | None
    recount: str
    legal: list[str]
    total_votes: int | None
    degraded: bool
    cues: list[CueLogRow]
    streams: str = "OK"
    armed: list[ArmedInfo] = []
    pending: list[PendingInfo] = []
    rundown: RundownInfo | None = None
    reference: ReferenceInfo | None = None
    rehearsal: bool = False
    acked: float = 0.0
    nodes: list[NodeInfo] = []
    clock: ClockInfo = ClockInfo(0.0, False)
    last_lateness_ms: int | None = None
    director: DirectorInfo | None = None
    asks: list[str] = []
    due: list[DueInfo] = []


class CueLogRow(Struct, frozen=True, rename="camel"):
    """One line of the cue log, newest first on the console. `mode` is take, arm, cancel or confirm, or what the
    director does with a cue by itself: drop, expire. `outcome` is `executed`, `armed`, `cancelled`, `pending`,
    `expired`, `due` (RUNDOWN: it waits for its date) or an error code whose reason is `message`. `at` is when it was
    asked, `executedAt` when it changed the show, null if it did not: an armed cue may have been asked long before."""

    cue_id: str
    event: str
    by: str
    at: str
    outcome: str
    revision: int
    lateness_ms: int
    mode: str = "take"
    message: str = ""
    executed_at: str | None = None


SERVER_MESSAGES: dict[str, type[Data]] = {
    message.TYPE: message
    for message in (
        Welcome, AuthOk, Subscribed, Unsubscribed, Pong, Reconnect, Error, WindowInfo, StateUpdate, TimeUpdate,
        Warning_, Countdown, VotingClosed, SlotDecided, VoteAck, LiveResults, VoteUpdate, ContestantUpdate,
        ResultsReady, CueAck, Tally,
    )
}
"""Every message type the server sends, with the Struct of its data; the Python SDK decodes with it. A field that is new
here belongs into clients/web/sdk/index.d.ts, too: a test holds that to tests/golden/messages.json."""
