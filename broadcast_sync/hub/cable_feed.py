"""From the hub's messages to those of VotingChannel: made once for all subscriptions, and only where there are any.

Channels of the cable are `cable:episode:N` and `cable:contestant:ID`; their members are subscriptions.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from broadcast_sync.errors import Refusal
from broadcast_sync.hub import channels
from broadcast_sync.hub.cable_addresses import Addresses
from broadcast_sync.hub.cable_views import detailed_update, episode_results, standing, vote_update
from broadcast_sync.hub.session import Session
from broadcast_sync.wire.cable import CHANNEL, Broadcast, EpisodeResults, Params, message, ping
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import ContestantUpdate, LiveResults, StateUpdate

if TYPE_CHECKING:
    from broadcast_sync.hub.hub import Hub

PING_S: Final = 3.0
"""Seconds between two heartbeats of a connection, as its clients expect."""
PHASES: Final = 30
"""Groups that the connections are divided into, each with a moment of its own within `PING_S`."""
PING_BATCH: Final = 200
"""Connections told between two turns of the loop."""

_state_of: Final = msgspec.json.Decoder(StateUpdate).decode
_board_of: Final = msgspec.json.Decoder(LiveResults).decode
_contestant_of: Final = msgspec.json.Decoder(ContestantUpdate).decode
_log = structlog.get_logger()


class CableFeed:
    """What the cable knows of the show, and its heartbeat. `feed` it every message; `run` is its one task."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.addresses: Final = Addresses(hub.compression.deflate)
        self._beats: list[dict[Session, None]] = [{} for _ in range(PHASES)]
        self._next = 0
        self._state: tuple[Prepared | None, StateUpdate | None] = (None, None)
        self._board: tuple[Prepared | None, LiveResults | None] = (None, None)
        self._results: tuple[Prepared | None, Prepared | None, EpisodeResults | None] = (None, None, None)
        self._made: dict[str, Broadcast] = {}
        self._blind = False

    # --- subscribing ------------------------------------------------------------------------------------------

    def wanted(self, params: Params) -> list[str]:
        """The channels that a subscription asks for. Raises Refusal UNSUPPORTED or NOT_FOUND.

        While an episode is on air, only it and its contestants are there. Before that any may be waited for: an app
        that was opened early must not be turned away for good.
        """
        if params.channel != CHANNEL:
            raise Refusal("UNSUPPORTED", f"There is no channel {params.channel[:80]!r} here.")
        state = self._current_state()
        found = []
        if params.episode_id not in (None, ""):
            number = str(params.episode_id)
            if not (number.isascii() and number.isdigit() and len(number) <= 9):
                raise Refusal("NOT_FOUND", "An episode has a number.")
            if state is not None and state.show is not None and state.show.episode != int(number):
                raise Refusal("NOT_FOUND", "Another episode is on air.")
            found.append(_episode(int(number)))
        if params.contestant_id not in (None, ""):
            name = f"contestant:{params.contestant_id}"
            on_air = state is not None and state.show is not None
            if not channels.is_public(name) or (on_air and not self._takes_part(str(params.contestant_id))):
                raise Refusal("NOT_FOUND", "There is no such contestant.")
            found.append(f"cable:{name}")
        return found

    def greeting(self, names: list[str]) -> list[Broadcast]:
        """What a new subscription to these channels is told at once."""
        return [made for name in names if (made := self._first(name)) is not None]

    def results(self, episode_id: int | str | None = None) -> Broadcast | None:
        """`results_update` as it is now; None if nothing, or another episode, is on air."""
        results = self._current_results()
        if results is None or str(episode_id or results.episode_id) != str(results.episode_id):
            return None
        return self._of_results("results_update", results)

    def _first(self, name: str) -> Broadcast | None:
        results = self._current_results()
        if results is None:
            return None
        if name == _episode(results.episode_id):
            return self._of_results("initial_results", results)
        now = standing(results, name.removeprefix("cable:contestant:"))
        return None if now is None else message("vote_update", now, name)

    def _takes_part(self, contestant_id: str) -> bool:
        state = self._current_state()
        return state is not None and any(each.id == contestant_id for each in state.contestants)

    # --- passing on -------------------------------------------------------------------------------------------

    def feed(self, prepared: Prepared) -> None:
        """Takes a message that the hub publishes; the show's state must hold it already."""
        try:
            if prepared.type == "LIVE_RESULTS" or prepared.type == "STATE_UPDATE":
                self._publish_results()
            elif prepared.type == "CONTESTANT_UPDATE":
                self._publish_contestant(prepared)
        except msgspec.DecodeError as error:
            # from a node of another version: the cable goes without, its own channels are told all the same
            if not self._blind:
                _log.warning("cable_message_skipped", type=prepared.type, error=str(error))
            self._blind = True

    def _publish_results(self) -> None:
        results = self._current_results() if len(self.addresses) else None
        if results is not None:
            name = _episode(results.episode_id)
            self._hub.fanout.publish(self._of_results("results_update", results), name)

    def _publish_contestant(self, prepared: Prepared) -> None:
        name = f"cable:{prepared.channel}"
        results = self._current_results() if self._hub.channels.get(name) is not None else None
        if results is None:
            return
        update = _contestant_of(prepared.data_json)
        for type, data in (
            ("vote_update", vote_update(results.episode_id, update)),
            ("detailed_update", detailed_update(results.episode_id, update)),
        ):
            self._hub.fanout.publish(message(type, data, name), name)

    # --- what is known ----------------------------------------------------------------------------------------

    def _current_state(self) -> StateUpdate | None:
        prepared = _newest(self._hub.snapshot(channels.SHOW), "STATE_UPDATE")
        if prepared is not self._state[0]:
            self._state = (prepared, None if prepared is None else _state_of(prepared.data_json))
        return self._state[1]

    def _current_board(self) -> LiveResults | None:
        prepared = _newest(self._hub.snapshot(channels.RESULTS), "LIVE_RESULTS")
        if prepared is not self._board[0]:
            self._board = (prepared, None if prepared is None else _board_of(prepared.data_json))
        return self._board[1]

    def _current_results(self) -> EpisodeResults | None:
        """The same object for all who ask while nothing changes."""
        state, board = self._current_state(), self._current_board()
        known = self._results
        if known[0] is not self._state[0] or known[1] is not self._board[0]:
            made = None if state is None else episode_results(state, board, self._hub.stamp())
            self._results = (self._state[0], self._board[0], made)
            self._made = {}
        return self._results[2]

    def _of_results(self, type: str, results: EpisodeResults) -> Broadcast:
        made = self._made.get(type)
        if made is None:
            made = self._made[type] = message(type, results, _episode(results.episode_id))
        return made

    # --- heartbeats -------------------------------------------------------------------------------------------

    def begin_beats(self, session: Session) -> int:
        """Takes a connection into the smallest group at hand; what it returns ends it with `end_beats`."""
        phase = self._next
        self._next = (phase + 1) % PHASES
        self._beats[phase][session] = None
        return phase

    def end_beats(self, session: Session, phase: int) -> None:
        self._beats[phase].pop(session, None)

    async def run(self) -> None:
        """One group after the other, until cancelled. A group that was late is told late; none is told twice."""
        loop = asyncio.get_running_loop()
        step, made = PING_S / PHASES, ping(0)
        due, second = loop.time(), -1
        while True:
            for phase in range(PHASES):
                due = max(due + step, loop.time() - PING_S)
                await asyncio.sleep(due - loop.time())
                now_s = self._hub.clock.now_ms() // 1000
                if now_s != second:
                    second, made = now_s, ping(now_s)
                await self._beat(list(self._beats[phase]), made)

    async def _beat(self, sessions: list[Session], made: Broadcast) -> None:
        for index, session in enumerate(sessions):
            try:
                session.send(made)
            except Exception:
                # a fault with one session must not stop the heart of all
                _log.exception("cable_ping_failed", session=session.id)
            if index % PING_BATCH == PING_BATCH - 1:
                await asyncio.sleep(0)


def _episode(number: int) -> str:
    return f"cable:episode:{number}"


def _newest(snapshot: list[Prepared], type: str) -> Prepared | None:
    return next((prepared for prepared in snapshot if prepared.type == type), None)
