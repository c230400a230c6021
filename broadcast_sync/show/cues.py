"""CUE messages: which command an event is, what its data must look like, and the line it leaves behind. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Raw, Struct

from broadcast_sync.errors import Refusal
from broadcast_sync.show.orders import (
    AdvanceSlot,
    CloseVoting,
    Command,
    EndPerformance,
    EndShow,
    ReleaseResults,
    StartPerformance,
)
from broadcast_sync.wire.client import convert_data
from broadcast_sync.wire.server import CueAck, CueLogRow
from broadcast_sync.wire.times import iso
from broadcast_sync.wire.visibility import Visibility

Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[^\x00-\x1f\x7f]+\Z")]
Number = int | float | bool
"""Whatever looks like a number: the machine says what it wants in the control room's words."""


class EventData(Struct, frozen=True, rename="camel"):
    """Base of the data of cue events. Unknown fields are refused: a misspelt `duration` must not open the
    default window on air."""


class StartShowData(EventData, frozen=True, forbid_unknown_fields=True):
    show_id: Id
    episode: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    rehearsal: bool = False


class StartPerformanceData(EventData, frozen=True, forbid_unknown_fields=True):
    contestant_id: Id
    song_name: Annotated[str, Meta(max_length=256)] = ""


class EndPerformanceData(EventData, frozen=True, forbid_unknown_fields=True):
    contestant_id: Id | None = None


class OpenVotingData(EventData, frozen=True, forbid_unknown_fields=True):
    duration: Number | None = None
    contestants: Annotated[list[Id], Meta(max_length=5_000)] | None = None
    ruleset: Id | None = None
    slot: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    visibility: Visibility | None = None


class ExtendVotingData(EventData, frozen=True, forbid_unknown_fields=True):
    seconds: Number


class AdvanceSlotData(EventData, frozen=True, forbid_unknown_fields=True):
    duration: Number | None = None
    contestants: Annotated[list[Id], Meta(max_length=5_000)] | None = None
    uncertified: bool = False


class SetTimecodeData(EventData, frozen=True, forbid_unknown_fields=True):
    """The frame `label` begins at `at`. Without `at` that is now; without `label` the time of day where the show is."""

    rate: Annotated[str, Meta(max_length=16)]
    label: Annotated[str, Meta(max_length=32)] | None = None
    at: Annotated[str, Meta(max_length=64)] | None = None


class VoidData(EventData, frozen=True, forbid_unknown_fields=True):
    """The votes with these ids, or all of these voters, one of the two."""

    reason: Annotated[str, Meta(min_length=3, max_length=500)]
    vote_ids: Annotated[list[Id], Meta(min_length=1, max_length=300)] | None = None
    voters: Annotated[list[Id], Meta(min_length=1, max_length=100)] | None = None
    window_id: Id | None = None


class NoData(EventData, frozen=True, forbid_unknown_fields=True):
    pass


class Remembered(Struct, frozen=True, rename="camel"):
    """The first answer to a cueId, and the event it was given for: an ack, or a refusal that stands."""

    event: str
    ack: CueAck
    refused: str = ""


class CueRecord(Struct, frozen=True, rename="camel"):
    """One line of the cue log; `mode` and `outcome` are those of CueLogRow, `data` is the cue's own as JSON. A line
    with `executed_ms` changed the stage to `revision`, any other left it alone."""

    cue_id: str
    event: str
    by: str
    asked_ms: int
    executed_ms: int | None
    outcome: str
    message: str
    revision: int
    lateness_ms: int
    show_id: str = ""
    timecode: str = ""
    data: Raw = Raw(b"{}")
    mode: str = "take"
    due_ms: int | None = None
    """The instant that an armed cue is, or was, armed for."""

    def row(self) -> CueLogRow:
        """The line as consoles show it."""
        return CueLogRow(
            self.cue_id, self.event, self.by, iso(self.asked_ms), self.outcome, self.revision, self.lateness_ms,
            self.mode, self.message, None if self.executed_ms is None else iso(self.executed_ms),
        )


_DATA: Final[dict[str, type[EventData]]] = {
    "SHOW_START": StartShowData,
    "PERFORMANCE_START": StartPerformanceData,
    "PERFORMANCE_END": EndPerformanceData,
    "VOTING_OPEN": OpenVotingData,
    "VOTING_EXTEND": ExtendVotingData,
    "VOTING_CLOSE": NoData,
    "RESULTS_RELEASE": NoData,
    "ADVANCE_SLOT": AdvanceSlotData,
    "SHOW_END": NoData,
    "TIMECODE_SET": SetTimecodeData,
    "VOID": VoidData,
}

_COMMANDS: Final[dict[type[EventData], Callable[[Any], Command]]] = {
    StartPerformanceData: lambda data: StartPerformance(data.contestant_id, data.song_name),
    EndPerformanceData: lambda data: EndPerformance(data.contestant_id),
    AdvanceSlotData: lambda data: AdvanceSlot(
        data.duration, None if data.contestants is None else tuple(data.contestants), data.uncertified
    ),
}
_PLAIN: Final[dict[str, Command]] = {
    "VOTING_CLOSE": CloseVoting(),
    "RESULTS_RELEASE": ReleaseResults(),
    "SHOW_END": EndShow(),
}


def event_data(event: str, data: dict[str, Any] | None) -> EventData:
    """The data of a cue, checked. Raises Refusal UNSUPPORTED for an unknown event, BAD_MESSAGE with the path of a field
    that is wrong."""
    kind = _DATA.get(event)
    if kind is None:
        raise Refusal("UNSUPPORTED", f"There is no event {event}; known are {', '.join(_DATA)}.")
    try:
        found: EventData = convert_data(data, kind)
    except msgspec.ValidationError as error:
        raise Refusal("BAD_MESSAGE", str(error).replace("`$", "`$.data")) from None
    if isinstance(found, VoidData) and (found.vote_ids is None) == (found.voters is None):
        raise Refusal("BAD_MESSAGE", "Expected either `voteIds` or `voters` - at `$.data`")
    return found


def simple_command(event: str, data: EventData) -> Command | None:
    """The command of an event that needs nothing but its data; None for SHOW_START and VOTING_OPEN, for which
    the intake must ask others."""
    if event in _PLAIN:
        return _PLAIN[event]
    make = _COMMANDS.get(type(data))
    return make(data) if make else None


def take_id(event: str, take_no: int) -> str:
    """The cueId of take `take_no` of an event, for those who cannot make up ids. Events that there are leave it well
    below 64 characters."""
    return f"{event}#{take_no}"


def data_json(data: dict[str, Any] | None) -> Raw:
    """The cue's data for the log. What JSON cannot say (MessagePack extensions) is logged as null: the cue log
    must take every cue, the refused ones above all."""
    try:
        return Raw(msgspec.json.encode(data or {}))
    except (TypeError, ValueError, msgspec.MsgspecError):
        return Raw(b"null")
