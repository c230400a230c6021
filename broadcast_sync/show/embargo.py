"""When the counts of a window may be seen by whom: the one judgement that all doors ask. PURE.

A door asks about the stage as its node knows it at that moment. Counts of a window that the stage does not know are
for nobody (fails closed).
"""

from __future__ import annotations

from typing import Final

from broadcast_sync.show.model import Stage
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.visibility import Visibility, beside

RESULTS: Final = "results"


def audience(stage: Stage, window_id: str | None = None) -> Visibility:
    """Who may see the counts of a window now; without an id, of the stage's own, and `public` when it has none."""
    window = stage.window
    if window_id is not None and window_id in stage.lately_released:
        return "public"
    if window is None or window_id not in (None, window.window_id):
        return "public" if window_id is None else "hidden"
    return "public" if stage.released else window.visibility


def embargoed(stage: Stage) -> bool:
    """Whether the counts of the stage's window are not for everybody yet."""
    return audience(stage) != "public"


class Boards:
    """The newest boards of the stage's window, and whom each may be sent to.

    One a channel and type. Of single contestants they are kept only while they are withheld, to be told at the release.
    """

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str], Prepared] = {}

    def take(self, stage: Stage, board: Prepared) -> Prepared | None:
        """The board as it is to be sent now; None if nobody may have it."""
        channel, who = board.channel or RESULTS, audience(stage, board.epoch or "")
        current = stage.window is not None and board.epoch == stage.window.window_id
        if current and (channel == RESULTS or who != "public"):
            self._newest[channel, board.type] = board
        return _addressed(board, channel, who)

    def snapshot(self, stage: Stage, channel: str) -> list[Prepared]:
        """What a joiner of `results`, or of the channel for screens beside it, is sent first."""
        who = audience(stage)
        wanted = {"public": RESULTS, "screens": beside(RESULTS)}.get(who)
        if channel != wanted:
            return []
        kept = [board for (name, _), board in self._newest.items() if name == RESULTS]
        return [sent for board in kept if (sent := _addressed(board, RESULTS, who)) is not None]

    def moved(self, before: Stage, after: Stage) -> list[Prepared]:
        """Takes note of a new stage; the boards that are everybody's from now on and were not."""
        if (before.window and before.window.window_id) != (after.window and after.window.window_id):
            self._newest.clear()
            return []
        if not embargoed(before) or embargoed(after):
            return []
        opened = list(self._newest.values())
        self._newest = {key: board for key, board in self._newest.items() if key[0] == RESULTS}
        return opened


def _addressed(board: Prepared, channel: str, who: Visibility) -> Prepared | None:
    if who == "hidden":
        return None
    return board if who == "public" else board.to(beside(channel))


class Withheld:
    """The windows that this process has known under an embargo, and whose release it has not heard of. A show that
    ends without a release leaves its window here for as long as the process lives."""

    def __init__(self) -> None:
        self._windows: set[str] = set()

    def heed(self, stage: Stage) -> None:
        """Takes note of a new stage."""
        self._windows.difference_update(stage.lately_released)
        if stage.window is not None:
            note = self._windows.add if embargoed(stage) else self._windows.discard
            note(stage.window.window_id)

    def __bool__(self) -> bool:
        return bool(self._windows)
