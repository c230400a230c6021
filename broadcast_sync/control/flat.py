"""The tally for machines that know no lists: one level of keys, strings and numbers only. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from broadcast_sync.show.countdown import remaining_s
from broadcast_sync.show.model import Stage
from broadcast_sync.wire.server import Tally
from broadcast_sync.wire.times import iso, parse_iso

ARMED_SHOWN: Final = 3
"""Armed cues that have keys of their own, soonest first; `armed_count` counts all."""


class FlatTally(Struct, frozen=True):
    """The tally, flat. Every key is always there: where there is nothing to say it is "" or 0. Yes and no are 1 and 0,
    shares go from 0 to 1, `_s` are whole seconds, rounded up."""

    state: str
    remaining_s: int
    closes_at: str
    show: str
    episode: int
    title: str
    rehearsal: int
    on_stage: str
    revision: int
    legal: str
    """The events that would be accepted now, with a space between."""
    asks: str
    """Those of them that a second person would have to confirm."""
    sockets: int
    sent_share: float
    acked_share: float
    votes_per_second: float
    total_votes: int
    ledger_lag: int
    recount: str
    streams: str
    degraded: int
    nodes: int
    nodes_degraded: int
    clock_offset_ms: float
    clock_healthy: int
    clock_held_ms: int
    last_cue: str
    last_cue_id: str
    last_cue_by: str
    last_cue_outcome: str
    last_cue_message: str
    last_lateness_ms: int
    rundown: str
    armed_count: int
    armed_1_event: str
    armed_1_cue_id: str
    armed_1_timecode: str
    armed_1_in_s: int
    armed_2_event: str
    armed_2_cue_id: str
    armed_2_timecode: str
    armed_2_in_s: int
    armed_3_event: str
    armed_3_cue_id: str
    armed_3_timecode: str
    armed_3_in_s: int
    pending_count: int
    pending_1_event: str
    pending_1_cue_id: str
    pending_1_by: str
    pending_1_in_s: int


def flat(tally: Tally, stage: Stage, now_ms: int) -> FlatTally:
    """`tally`, which is made once a second, with the state and the time left as they are at `now_ms`."""
    show, window = stage.show, stage.window if stage.voting == "OPEN" else None
    made: dict[str, Any] = {
        "state": stage.voting,
        "remaining_s": remaining_s(window.closes_ms, now_ms) if window else 0,
        "closes_at": iso(window.closes_ms) if window else "",
        "show": show.show_id if show else "",
        "episode": show.episode if show else 0,
        "title": show.title if show else "",
        "rehearsal": tally.rehearsal,
        "on_stage": stage.performance.contestant_id if stage.performance else "",
        "revision": tally.revision,
        "legal": " ".join(tally.legal),
        "asks": " ".join(tally.asks),
        "sockets": tally.sockets,
        "sent_share": tally.applied,
        "acked_share": tally.acked,
        "votes_per_second": tally.votes_per_second or 0,
        "total_votes": tally.total_votes or 0,
        "ledger_lag": tally.ledger_lag or 0,
        "recount": tally.recount,
        "streams": tally.streams,
        "degraded": tally.degraded,
        "nodes": len(tally.nodes),
        "nodes_degraded": sum(node.degraded for node in tally.nodes),
        "clock_offset_ms": tally.clock.offset_ms,
        "clock_healthy": tally.clock.healthy,
        "clock_held_ms": tally.clock.held_ms,
        "last_lateness_ms": tally.last_lateness_ms or 0,
        "rundown": tally.rundown.name if tally.rundown else "",
        **_last_cue(tally),
        **_armed(tally, now_ms),
        **_pending(tally, now_ms),
    }
    plain: dict[str, Any] = {key: int(value) if isinstance(value, bool) else value for key, value in made.items()}
    return FlatTally(**plain)


def text(flat_tally: FlatTally) -> str:
    """One `key=value` a line; control characters in a value are spaces."""
    return "".join(
        f"{key}={''.join(letter if letter.isprintable() else ' ' for letter in str(value))}\n"
        for key, value in msgspec.structs.asdict(flat_tally).items()
    )


def _last_cue(tally: Tally) -> dict[str, Any]:
    cue = tally.cues[0] if tally.cues else None
    return {
        "last_cue": cue.event if cue else "",
        "last_cue_id": cue.cue_id if cue else "",
        "last_cue_by": cue.by if cue else "",
        "last_cue_outcome": cue.outcome if cue else "",
        "last_cue_message": cue.message if cue else "",
    }


def _armed(tally: Tally, now_ms: int) -> dict[str, Any]:
    made: dict[str, Any] = {"armed_count": len(tally.armed)}
    for index in range(ARMED_SHOWN):
        cue = tally.armed[index] if index < len(tally.armed) else None
        made |= {
            f"armed_{index + 1}_event": cue.event if cue else "",
            f"armed_{index + 1}_cue_id": cue.cue_id if cue else "",
            f"armed_{index + 1}_timecode": cue.timecode if cue else "",
            f"armed_{index + 1}_in_s": remaining_s(parse_iso(cue.at), now_ms) if cue else 0,
        }
    return made


def _pending(tally: Tally, now_ms: int) -> dict[str, Any]:
    cue = tally.pending[0] if tally.pending else None
    return {
        "pending_count": len(tally.pending),
        "pending_1_event": cue.event if cue else "",
        "pending_1_cue_id": cue.cue_id if cue else "",
        "pending_1_by": cue.by if cue else "",
        "pending_1_in_s": remaining_s(parse_iso(cue.expires_at), now_ms) if cue else 0,
    }
