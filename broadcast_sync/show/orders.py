"""What can be asked of the machine: commands, in the imperative. Pure.

Times are Unix milliseconds, durations whole seconds.
"""

from __future__ import annotations

from msgspec import Struct

from broadcast_sync.show.model import ApprovedVoid, ArmedCue, DueRundown, PendingCue, Ruleset, Show, SlotWinner
from broadcast_sync.show.timecode import Reference
from broadcast_sync.wire.server import ResultsReady
from broadcast_sync.wire.visibility import Visibility


class Command(Struct, frozen=True):
    """Base of everything that can be asked of the machine."""


class StartShow(Command, frozen=True):
    """Puts an episode on air."""

    show: Show


class StartPerformance(Command, frozen=True):
    contestant_id: str
    song_name: str = ""


class EndPerformance(Command, frozen=True):
    """Ends the running performance; a `contestant_id` must be that of the contestant on stage."""

    contestant_id: str | None = None


class OpenVoting(Command, frozen=True):
    """Opens a window. `contestants` None means the whole line-up. `duration_s` comes unchecked from the control
    room: whatever is no whole number of seconds in 1..86400 is refused. `slot` is for a ruleset with rounds."""

    window_id: str
    duration_s: object
    contestants: tuple[str, ...] | None
    ruleset: Ruleset
    grace_ms: int
    slot: int | None = None
    visibility: Visibility = "public"


class ExtendVoting(Command, frozen=True):
    """Moves the close of the open window; `seconds` is checked as `duration_s` is. With a `limit_s`, one person may
    extend a window by no more than that in all."""

    seconds: object
    limit_s: int | None = None


class CloseVoting(Command, frozen=True):
    """Closes the open window now; ballots already on their way have the grace time."""


class ReleaseResults(Command, frozen=True):
    """Makes the results public. `early` is for what two people ask: before certification it lets them out as soon as
    they are certified, and it lets out a result whose recount differs."""

    early: bool = False


class AdvanceSlot(Command, frozen=True):
    """Locks the slot and asks for the next: the director completes it once the slot is certified. `duration_s` None
    is the slot's own, else it is checked as OpenVoting's. An uncertified result is advanced only if `uncertified`."""

    duration_s: object = None
    contestants: tuple[str, ...] | None = None
    uncertified: bool = False


class EndShow(Command, frozen=True):
    """Takes the show off air."""


class Warn(Command, frozen=True):
    """The director's: the last minute of a window has begun."""

    window_id: str


class CloseByTimer(Command, frozen=True):
    """The director's: the announced close has come."""

    window_id: str


class Certify(Command, frozen=True):
    """The director's: the closed window's result. `release` makes it public at once."""

    results: ResultsReady
    release: bool


class CompleteAdvance(Command, frozen=True):
    """The director's: the winner of the closed slot, and the window of the next one."""

    won: SlotWinner
    window_id: str
    grace_ms: int


class SetReference(Command, frozen=True):
    """Ties the show's labels to the clock. Armed cues with a label move with it."""

    reference: Reference


class Arm(Command, frozen=True):
    """Cues to be taken at their instants: all of them or none. With `rundown`, its name, they take the place of what is
    left of the rundown before. `due` is for the director: the id of the due rundown that they are, which is done with
    by this; its cues may be overdue."""

    cues: tuple[ArmedCue, ...]
    rundown: str = ""
    due: str = ""


class ScheduleRundown(Command, frozen=True):
    """Keeps a rundown until it is due, in the place of one of the same name."""

    rundown: DueRundown


class CancelRundown(Command, frozen=True):
    """Forgets the due rundown of this name."""

    name: str


class DropRundown(Command, frozen=True):
    """The director's: a due rundown could not be armed."""

    id: str


class Cancel(Command, frozen=True):
    """Takes back an armed cue, or one that waits for a second person."""

    cue_id: str


class TakeArmed(Command, frozen=True):
    """Does what an armed cue says, and disarms it in the same step."""

    cue_id: str
    command: Command


class DropArmed(Command, frozen=True):
    """The director's: an armed cue was illegal or too late when its time had come."""

    cue_id: str


class Ask(Command, frozen=True):
    """Asks a second person for what takes two; `command` is what they would confirm."""

    cue: PendingCue
    command: Command


class Confirm(Command, frozen=True):
    """Does what was asked, `by` another person than the one who asked."""

    cue_id: str
    by: str
    command: Command


class ExpirePending(Command, frozen=True):
    """The director's: nobody has confirmed in time."""

    cue_id: str


class VoidVotes(Command, frozen=True):
    """Notes votes that are to be voided; the director does it."""

    void: ApprovedVoid


class FinishVoid(Command, frozen=True):
    """The director's: the votes have been voided, or cannot be."""

    cue_id: str
