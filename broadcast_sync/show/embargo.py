"""When the counts of a window may be seen by whom: the one judgement that all doors ask. PURE.

A door asks about the stage as its node knows it at that moment. Counts of a window that the stage does not know are
for nobody (fails closed).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from broadcast_sync.show.model import Stage
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.visibility import Visibility, beside, public

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
    """The newest boards of the stage's window, and whom each may be sent to: one a type of channel `results`, and of
    each contestant the last message, as the bytes that came."""

    def __init__(self) -> None:
        self._newest: dict[str, Prepared] = {}
        self._contestants: dict[str, bytes] = {}

    def take(self, stage: Stage, board: Prepared) -> Prepared | None:
        """The board as it is to be sent now; None if nobody may have it."""
        if stage.window is not None and board.epoch == stage.window.window_id:
            self._newest[board.type] = board
        return _addressed(board, RESULTS, audience(stage, board.epoch or ""))

    def keep(self, contestants: Mapping[str, bytes]) -> None:
        """Takes messages for single contestants, by channel. What they say is looked at when it is asked for."""
        self._contestants.update(contestants)

    def contestant(self, stage: Stage, channel: str) -> Prepared | None:
        """The newest message of a contestant's channel as it is to be sent now; None if there is none, or nobody may
        have it. Raises msgspec.DecodeError or KeyError if it cannot be read."""
        kept = self._contestants.get(channel)
        if kept is None:
            return None
        message = Prepared.received(kept)
        return _addressed(message, channel, audience(stage, message.epoch or ""))

    def snapshot(self, stage: Stage, channel: str) -> list[Prepared]:
        """What a joiner of `results`, of a contestant's channel, or of the channel for screens beside either, is sent
        first."""
        name = public(channel)
        if name == RESULTS:
            who = audience(stage)
            kept = [_addressed(board, RESULTS, who) for board in self._newest.values()]
        else:
            kept = [self._of_window(stage, name)]
        return [sent for sent in kept if sent is not None and sent.channel == channel]

    def moved(self, before: Stage, after: Stage, followed: Callable[[str], bool]) -> list[Prepared]:
        """Takes note of a new stage; the boards that are everybody's from now on and were not, those of contestants
        as far as they are `followed`."""
        if (before.window and before.window.window_id) != (after.window and after.window.window_id):
            self._newest.clear()
            self._contestants.clear()
            return []
        if not embargoed(before) or embargoed(after):
            return []
        opened = [self._of_window(after, channel) for channel in self._contestants if followed(channel)]
        return [*self._newest.values(), *filter(None, opened)]

    def _of_window(self, stage: Stage, channel: str) -> Prepared | None:
        """A contestant's newest message, if it is of the stage's window and can be read."""
        with contextlib.suppress(msgspec.DecodeError, KeyError):  # of another version
            sent = self.contestant(stage, channel)
            if sent is not None and stage.window is not None and sent.epoch == stage.window.window_id:
                return sent
        return None


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
