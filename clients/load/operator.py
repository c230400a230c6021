"""How the rehearsal's operator runs a show: looks at the state, gives the next cue or waits. Pure.

The state of the show decides, never the memory of what was cued, so the operator can start in the middle, survive a
restart of the server, and share the desk: what somebody else has begun is left to them, a real show altogether.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Final

from msgspec import Struct

from broadcast_sync.wire.server import StateUpdate

SONGS: Final = (
    "River Lights", "Seven Umbrellas", "Paper Moon Market", "The Last Ferry Home", "Sugar Palm Road",
    "Blue Door on Monivong", "Half a Monsoon", "Kite Season", "Neon Lotus", "Letters from Kep",
    "Two Bicycles", "Sleepless in Battambang", "Golden Hour Radio", "Salt and Pepper Heart", "Floating House",
    "When the Drums Begin", "A Thousand Lanterns", "Slow Train to Kampot", "Rain on Tin", "Tomorrow Sings",
)
"""Invented. By its song a performance is known to be the rehearsal's own, also to the next rehearsal."""

SONG_S: Final = 4.0
PERFORMANCES: Final = 3
BREATH_S: Final = 1.5
"""Between two cues."""
APPLAUSE_S: Final = 8.0
"""Between a result and the next round."""
RELEASE_S: Final = 3.0
HANDS_OFF_S: Final = 6.0
"""How long somebody else at the desk is given before the rehearsal goes on."""


class Cue(Struct, frozen=True):
    """The cue to give now."""

    event: str
    data: dict[str, Any]


class Wait(Struct, frozen=True):
    """Nothing to do for `seconds`, unless the state changes; `why` is for people, empty when it is routine."""

    seconds: float
    why: str = ""


class Operator:
    """Runs rounds of `PERFORMANCES` performances and a window of `window_s`. Times are monotonic seconds."""

    def __init__(self, show_id: str, episode: int, window_s: int, random: Random) -> None:
        self._show: dict[str, Any] = {"showId": show_id, "episode": episode, "rehearsal": True}
        self._window_s = window_s
        self._random = random
        self._line_up: list[tuple[str, str]] | None = None
        self._seen: tuple[object, ...] = ()
        self._since_s = 0.0
        self._hands_off_s = 0.0
        self._on_air = False

    def refused(self, now_s: float) -> None:
        """A cue of ours was refused: somebody else is faster, so let them."""
        self._hands_off_s = now_s + HANDS_OFF_S

    def next(self, state: StateUpdate, now_s: float) -> Cue | Wait:
        """What to do at `now_s` in `state`."""
        performance, window = state.performance, state.window
        seen = (
            state.show and (state.show.show_id, state.show.episode), state.voting, window and window.window_id,
            performance and performance.started_at, state.results_released,
        )
        if seen != self._seen:
            if self._on_air and state.show is None:
                self._hands_off_s = now_s + HANDS_OFF_S  # we never end the show: somebody else has
            self._seen, self._since_s, self._on_air = seen, now_s, state.show is not None
        if now_s < self._hands_off_s:
            return Wait(self._hands_off_s - now_s)
        return self._decide(state, now_s - self._since_s)

    def _decide(self, state: StateUpdate, for_s: float) -> Cue | Wait:
        """What to do in `state`, which has been like this `for_s` seconds."""
        if state.show is None:
            self._line_up = None
            return Cue("SHOW_START", self._show)
        if not state.show.rehearsal:
            return Wait(1.0, "a real show is on air, and no rehearsal")
        if state.performance is not None:
            if state.performance.song_name not in SONGS:
                return Wait(1.0, "somebody else's performance is on stage")
            return self._after(SONG_S, for_s) or Cue(
                "PERFORMANCE_END", {"contestantId": state.performance.contestant_id}
            )
        if state.voting in ("OPEN", "CLOSING"):
            self._line_up = None
            return Wait(1.0)
        if state.voting == "CLOSED" and not state.results_released:
            return self._after(RELEASE_S, for_s) or Cue("RESULTS_RELEASE", {})
        if self._line_up is None:
            if state.voting == "CLOSED" and (wait := self._after(APPLAUSE_S, for_s)):
                return wait
            self._line_up = self._new_line_up([one.id for one in state.contestants if one.status == "active"])
        elif wait := self._after(BREATH_S, for_s):
            return wait
        if self._line_up:
            contestant_id, song = self._line_up.pop(0)
            return Cue("PERFORMANCE_START", {"contestantId": contestant_id, "songName": song})
        return Cue("VOTING_OPEN", {"duration": self._window_s})

    @staticmethod
    def _after(least_s: float, for_s: float) -> Wait | None:
        return Wait(least_s - for_s) if for_s < least_s else None

    def _new_line_up(self, contestants: Sequence[str]) -> list[tuple[str, str]]:
        count = min(PERFORMANCES, len(contestants))
        return list(
            zip(self._random.sample(list(contestants), count), self._random.sample(SONGS, count), strict=True)
        )
