"""The stage as the wire shows it. Pure."""

from __future__ import annotations

from msgspec import UNSET

from broadcast_sync.show.excerpt import excerpt
from broadcast_sync.show.model import Season, Show, SlotWinner, Stage, Window
from broadcast_sync.wire.server import (
    ArmedInfo,
    DueInfo,
    PendingInfo,
    PerformanceInfo,
    ReferenceInfo,
    RundownInfo,
    RundownItemInfo,
    SeasonInfo,
    ShowInfo,
    SlotDecided,
    StateUpdate,
    WindowInfo,
)
from broadcast_sync.wire.times import iso


def window_info(stage: Stage, window: Window) -> WindowInfo:
    """`window` of `stage`, the data of VOTING_OPEN; `state` is the stage's `voting`."""
    return WindowInfo(
        window_id=window.window_id,
        state=stage.voting,
        opens_at=iso(window.opens_ms),
        closes_at=iso(window.closes_ms),
        hard_closes_at=iso(window.hard_closes_ms),
        episode=stage.show.episode if stage.show else 0,
        rules_hash=window.ruleset.hash,
        rules=window.ruleset.rules,
        contestants=excerpt(window.contestants),
        rehearsal=bool(stage.show and stage.show.rehearsal),
        visibility=window.visibility,
        contestant_count=len(window.contestants),
    )


def show_info(show: Show) -> ShowInfo:
    """The show as everybody is told of it."""
    return ShowInfo(show.show_id, show.episode, show.title, show.rehearsal, show.episode_ref)


def armed_info(stage: Stage, now_ms: int) -> list[ArmedInfo]:
    """The cues to come, with the time they have left at `now_ms`."""
    return [
        ArmedInfo(cue.cue_id, cue.event, iso(cue.at_ms), cue.timecode, cue.at_ms - now_ms, cue.by)
        for cue in stage.armed
    ]


def pending_info(stage: Stage, now_ms: int) -> list[PendingInfo]:
    """The cues that can still be confirmed at `now_ms`."""
    return [
        PendingInfo(cue.cue_id, cue.event, cue.by, iso(cue.expires_ms), cue.data)
        for cue in stage.pending if cue.expires_ms > now_ms
    ]


def rundown_info(stage: Stage) -> RundownInfo | None:
    """The rundown that was loaded last; None if there is none."""
    if stage.rundown is None:
        return None
    return RundownInfo(stage.rundown.name, [
        RundownItemInfo(item.cue_id, item.event, iso(item.at_ms), item.timecode, item.state)
        for item in stage.rundown.items
    ])


def due_info(stage: Stage) -> list[DueInfo]:
    """The rundowns that wait for their dates, soonest first."""
    return [DueInfo(one.name, iso(one.due_ms), one.cues, one.by) for one in stage.due]


def reference_info(stage: Stage) -> ReferenceInfo | None:
    """The show's timecode; None until it has been set."""
    reference = stage.reference
    return ReferenceInfo(reference.label, iso(reference.at_ms), reference.rate) if reference else None


def state_update(stage: Stage, *, degraded: bool = False) -> StateUpdate:
    """The data of STATE_UPDATE. `degraded` is the showing node's own: it has no place in the shared stage."""
    show, performance = stage.show, stage.performance
    return StateUpdate(
        show=show_info(show) if show else None,
        performance=PerformanceInfo(
            performance.contestant_id, performance.song_name, iso(performance.started_ms)
        ) if performance else None,
        voting=stage.voting,
        window=window_info(stage, stage.window) if stage.window else None,
        revision=stage.revision,
        degraded=degraded,
        results_released=stage.released,
        contestants=excerpt(show.contestants) if show else [],
        season=season_info(stage) or UNSET,
        contestant_count=len(show.contestants) if show else 0,
    )


def season_info(stage: Stage) -> SeasonInfo | None:
    """Where the season of the show on air stands; None without one."""
    season, window = stage.season, stage.window
    if season is None or stage.show is None or stage.show.show_id != season.show_id:
        return None
    if season.finished:
        status = "finished"
    elif window is None or window.round != season.slot:
        status = "waiting"
    else:
        status = "voting" if stage.voting == "OPEN" else "locked"
    return SeasonInfo(season.slot, season.slots, status)


def slot_decided(season: Season, won: SlotWinner, window: Window) -> SlotDecided:
    """The message of a decided slot of `window`; `season` is the one after it."""
    names = {contestant.id: contestant.name for contestant in window.contestants}
    return SlotDecided(
        won.slot, season.slots, won.window_id, won.contestant_id or None, names.get(won.contestant_id), won.score,
        won.decided_by, None if season.finished else season.slot,
    )
