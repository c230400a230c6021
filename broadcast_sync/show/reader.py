"""From the words of a cue to the machine's command: whatever it must look up, it looks up here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from broadcast_sync.errors import Refusal
from broadcast_sync.ids import uuid7
from broadcast_sync.settings import Settings
from broadcast_sync.show.checks import whole_seconds
from broadcast_sync.show.cues import (
    AdvanceSlotData,
    EventData,
    ExtendVotingData,
    OpenVotingData,
    SetTimecodeData,
    StartShowData,
    VoidData,
    event_data,
    simple_command,
)
from broadcast_sync.show.machine import scope_of
from broadcast_sync.show.model import ApprovedVoid, Ruleset, Show, Stage, VoidPort, VoidRequest, WindowPort
from broadcast_sync.show.orders import Command, ExtendVoting, OpenVoting, SetReference, StartShow, VoidVotes
from broadcast_sync.show.timecode import Reference, frames_in, frames_of, label_of, rate_named
from broadcast_sync.wire.times import parse_iso

MakeCommand = Callable[[Stage, int], Command]
"""The command as of a stage and a time (Unix ms)."""


class ShowSource(Protocol):
    """Where episodes come from: the catalogue."""

    async def find(self, show_id: str, episode: int) -> Show | None:
        """The episode, or None if there is none. Engine errors pass through."""
        ...


class CueReader:
    """Reads cues for one organisation. Engine errors pass through."""

    def __init__(
        self, settings: Settings, shows: ShowSource, window_port: WindowPort, void_port: VoidPort
    ) -> None:
        self._settings = settings
        self._shows = shows
        self._window_port = window_port
        self._void_port = void_port

    async def read(self, event: str, data: dict[str, Any] | None, cue_id: str, by: str) -> MakeCommand:
        """What makes the command. Raises Refusal: UNSUPPORTED, BAD_MESSAGE, CUE_REJECTED, TIMECODE_INVALID."""
        found = event_data(event, data)
        simple = simple_command(event, found)
        if simple is not None:
            return lambda stage, now_ms: simple
        if isinstance(found, StartShowData):
            show = await self._find(found)
            return lambda stage, now_ms: StartShow(show)
        if isinstance(found, OpenVotingData):
            ruleset = self._window_port.ruleset(found.ruleset)
            return lambda stage, now_ms: self._open(found, ruleset, now_ms)
        if isinstance(found, ExtendVotingData):
            seconds = found.seconds
            return lambda stage, now_ms: ExtendVoting(seconds, self._settings.control.extend_limit_s)
        if isinstance(found, SetTimecodeData):
            at_ms = None if found.at is None else read_time(found.at, "data.at")
            return lambda stage, now_ms: SetReference(_reference(found, at_ms, stage, now_ms))
        if isinstance(found, VoidData):
            void = await self._void(found, cue_id, by)
            return lambda stage, now_ms: VoidVotes(void)
        raise Refusal("UNSUPPORTED", f"There is no command for {event}.")

    async def check_armed(self, event: str, data: dict[str, Any] | None, cue_id: str, by: str) -> None:
        """Checks of a cue to come whatever does not depend on the stage of its time. Raises Refusal."""
        if event in ("TIMECODE_SET", "VOID"):
            raise Refusal("CUE_REJECTED", f"{event} cannot be armed.")
        await self.read(event, data, cue_id, by)
        found = event_data(event, data)
        if isinstance(found, OpenVotingData | AdvanceSlotData) and found.duration is not None:
            whole_seconds(found.duration, "duration")
        if isinstance(found, ExtendVotingData):
            limit_s = self._settings.control.extend_limit_s
            if whole_seconds(found.seconds, "seconds") > limit_s:
                raise Refusal("CUE_REJECTED", f"More than {limit_s} s takes two people, so it cannot be armed.")

    def _open(self, data: OpenVotingData, ruleset: Ruleset, now_ms: int) -> OpenVoting:
        # a new id each time: a window that was prepared and then not committed must never be heard of again
        return OpenVoting(
            window_id=str(uuid7(now_ms)),
            duration_s=self._settings.show.duration_s if data.duration is None else data.duration,
            contestants=None if data.contestants is None else tuple(data.contestants),
            ruleset=ruleset,
            grace_ms=round(self._settings.show.grace_s * 1000),
            slot=data.slot,
            visibility=data.visibility or self._settings.show.visibility,
        )

    async def _find(self, data: StartShowData) -> Show:
        show = await self._shows.find(data.show_id, data.episode)
        if show is None:
            raise Refusal(
                "CUE_REJECTED", f"There is no episode {data.episode} of show {data.show_id}; load its show file."
            )
        return replace(show, rehearsal=data.rehearsal)

    async def _void(self, data: VoidData, cue_id: str, by: str) -> ApprovedVoid:
        request = VoidRequest(
            data.reason, tuple(data.vote_ids or ()), tuple(data.voters or ()), data.window_id
        )
        await self._void_port.count(request)
        return ApprovedVoid(cue_id, request, by, "", 0)


def scope_for(event: str, data: dict[str, Any] | None, stage: Stage) -> str:
    """In which show a cueId is looked up: for SHOW_START the one it names, else the one on air, or last on air."""
    if event != "SHOW_START":
        return stage.scope
    try:
        named: EventData = event_data(event, data)
    except Refusal:
        return stage.scope
    assert isinstance(named, StartShowData)
    return scope_of(named)


def read_time(text: str, where: str) -> int:
    """An ISO 8601 time as Unix milliseconds. Raises Refusal BAD_MESSAGE."""
    try:
        return parse_iso(text)
    except ValueError:
        raise Refusal("BAD_MESSAGE", f"Expected an ISO 8601 time with its offset or Z - at `$.{where}`") from None


def _reference(data: SetTimecodeData, at_ms: int | None, stage: Stage, now_ms: int) -> Reference:
    """The reference that the cue sets; without a label that of the time of day where the show is."""
    rate, at_ms = rate_named(data.rate), now_ms if at_ms is None else at_ms
    if data.label is not None:
        frames_of(data.label, rate)
        return Reference(data.label, at_ms, data.rate)
    zone = ZoneInfo(stage.show.timezone) if stage.show else UTC
    local = datetime.fromtimestamp(at_ms / 1000, zone)
    since = Fraction((local.hour * 60 + local.minute) * 60 + local.second) + Fraction(at_ms % 1000, 1000)
    frames = frames_in(since, rate)
    return Reference(label_of(frames, rate), at_ms, data.rate)
