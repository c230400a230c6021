"""What is known of the show, as the messages tell it. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from broadcast_sync.wire.server import (
    AuthOk,
    LiveResults,
    ResultsReady,
    ShowInfo,
    StateUpdate,
    TimeUpdate,
    VoteAck,
    VotingClosed,
    WindowInfo,
)


def _episode(show: ShowInfo | None) -> tuple[str, int] | None:
    return None if show is None else (show.show_id, show.episode)


class Show:
    """The last state, board and result; None before there was one. `remaining`: votes left by type."""

    def __init__(self) -> None:
        self.state: StateUpdate | None = None
        self.board: LiveResults | None = None
        self.results: ResultsReady | None = None
        self.remaining: dict[str, int] | None = None

    @property
    def revision(self) -> int:
        return 0 if self.state is None else self.state.revision

    def take(self, data: Any) -> None:
        """Takes the data of a message; those that say nothing of the show change nothing."""
        if isinstance(data, StateUpdate):
            self._state_update(data)
        elif isinstance(data, WindowInfo):
            self._open(data)
        elif isinstance(data, VotingClosed):
            self._close(data)
        elif isinstance(data, TimeUpdate):
            self._move_close(data)
        elif isinstance(data, LiveResults):
            self.board = data
        elif isinstance(data, ResultsReady):
            self._result(data)
        elif isinstance(data, AuthOk):
            self.remaining = data.remaining if data.remaining is not None else self.remaining
        elif isinstance(data, VoteAck):
            # an ack names what its ballot touched; the rest is as it was
            self.remaining = {**(self.remaining or {}), **data.remaining}

    def _state_update(self, data: StateUpdate) -> None:
        before, self.state = self.state, data
        self._new_window(None if before is None else before.window, data.window)
        known = None if before is None else before.show
        if known is not None and _episode(known) != _episode(data.show):
            self.board = self.remaining = None

    def _new_window(self, before: WindowInfo | None, window: WindowInfo | None) -> None:
        """A new window starts with an empty slate; the same one keeps what is known of it."""
        if window is None:
            self.results = None
        elif before is None or before.window_id != window.window_id:
            self.board = self.results = None

    def _open(self, window: WindowInfo) -> None:
        state = self.state
        if state is None:
            return
        known = state.window
        if known is not None and known.window_id == window.window_id and state.voting not in ("OPEN", "IDLE"):
            return  # a replay tells of an opening that is known to be over
        self.state = msgspec.structs.replace(state, voting="OPEN", window=window)
        self._new_window(known, window)

    def _close(self, data: VotingClosed) -> None:
        state = self.state
        if state is None or state.window is None or state.window.window_id != data.window_id:
            return
        if state.voting != "CLOSED":
            self.state = msgspec.structs.replace(state, voting="CLOSING")

    def _move_close(self, data: TimeUpdate) -> None:
        state = self.state
        if state is not None and state.window is not None and state.window.closes_at != data.closes_at:
            window = msgspec.structs.replace(state.window, closes_at=data.closes_at)
            self.state = msgspec.structs.replace(state, window=window)

    def _result(self, data: ResultsReady) -> None:
        state = self.state
        if state is not None and state.voting in ("OPEN", "CLOSING"):
            current = None if state.window is None else state.window.window_id
            if current != data.window_id:
                return  # a replay tells of a result that the next window has put aside
        self.results = data
