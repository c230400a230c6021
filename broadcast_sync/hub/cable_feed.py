"""From the hub's messages to those of VotingChannel: made once for all subscriptions, and only where there are any.

Channels of the cable are `cable:episode:N` and `cable:contestant:ID`; their members are subscriptions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import msgspec
import structlog

from broadcast_sync.errors import Refusal
from broadcast_sync.hub import channels
from broadcast_sync.hub.cable_addresses import Addresses
from broadcast_sync.hub.cable_views import detailed_update, episode_results, standings, vote_update
from broadcast_sync.hub.session import Session
from broadcast_sync.wire.cable import CHANNEL, Broadcast, EpisodeResults, Params, VoteUpdate, message, ping
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

T = TypeVar("T")

_state_of: Final = msgspec.json.Decoder(StateUpdate).decode
_board_of: Final = msgspec.json.Decoder(LiveResults).decode
_contestant_of: Final = msgspec.json.Decoder(ContestantUpdate).decode
_log = structlog.get_logger()


class View(NamedTuple):
    """What two messages say together; `results` is None when nothing is on air, or the board cannot be read."""

    state: Prepared
    board: Prepared | None
    told: StateUpdate
    """What `state` says."""
    results: EpisodeResults | None
    standings: dict[str, VoteUpdate | None]
    """By contestant; None while it may not be told."""


class CableFeed:
    """What the cable knows of the show, and its heartbeat. `feed` it every message; `run` is its one task."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.addresses: Final = Addresses(hub.compression.deflate)
        self._beats: list[dict[Session, None]] = [{} for _ in range(PHASES)]
        self._next = 0
        self._state: Prepared | None = None
        self._board: Prepared | None = None
        self._view: View | None = None
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
        view = self._current()
        on_air = None if view is None else view.results
        found = []
        if params.episode_id not in (None, ""):
            number = str(params.episode_id)
            if not (number.isascii() and number.isdigit() and len(number) <= 9):
                raise Refusal("NOT_FOUND", "An episode has a number.")
            if on_air is not None and on_air.episode_id != int(number):
                raise Refusal("NOT_FOUND", "Another episode is on air.")
            found.append(_episode(int(number)))
        if params.contestant_id not in (None, ""):
            name = f"contestant:{params.contestant_id}"
            id = str(params.contestant_id)
            known = view is None or on_air is None or id in view.standings or self._hub.knows(id)
            if not channels.is_public(name) or not known:
                raise Refusal("NOT_FOUND", "There is no such contestant.")
            found.append(f"cable:{name}")
        return found

    def greeting(self, names: list[str]) -> list[Broadcast]:
        """What a new subscription to these channels is told at once."""
        return [made for name in names if (made := self._first(name)) is not None]

    def results(self, episode_id: int | str | None = None) -> Broadcast | None:
        """`results_update` as it is now; None if nothing, or another episode, is on air."""
        view = self._current()
        if view is None or view.results is None:
            return None
        if str(episode_id or view.results.episode_id) != str(view.results.episode_id):
            return None
        return self._of_results("results_update", view.results)

    def _first(self, name: str) -> Broadcast | None:
        view = self._current()
        if view is None or view.results is None:
            return None
        if name == _episode(view.results.episode_id):
            return self._of_results("initial_results", view.results)
        now = self._standing(view, view.results.episode_id, name.removeprefix("cable:contestant:"))
        return None if now is None else message("vote_update", now, name)

    def _standing(self, view: View, episode: int, contestant: str) -> VoteUpdate | None:
        """How a contestant stands: by the board, or beyond its best by what their own channel was told last."""
        if contestant in view.standings:
            return view.standings[contestant]
        newest = _newest(self._hub.snapshot(f"contestant:{contestant}"), "CONTESTANT_UPDATE")
        update = None if newest is None else self._read(_contestant_of, newest)
        return None if update is None else vote_update(episode, update)

    # --- passing on -------------------------------------------------------------------------------------------

    def feed(self, prepared: Prepared) -> None:
        """Takes a message that the hub publishes. Costs nothing while nobody is subscribed."""
        if prepared.type == "STATE_UPDATE":
            self._state = prepared
        elif prepared.type == "LIVE_RESULTS":
            self._board = prepared
        elif prepared.type != "CONTESTANT_UPDATE":
            return
        if len(self.addresses) == 0:
            return
        view = self._current()
        if view is None or view.results is None:
            return
        if prepared.type == "CONTESTANT_UPDATE":
            self._publish_contestant(prepared, view.results.episode_id)
        else:
            name = _episode(view.results.episode_id)
            self._hub.fanout.publish(self._of_results("results_update", view.results), name)

    def _publish_contestant(self, prepared: Prepared, episode: int) -> None:
        name = f"cable:{prepared.channel}"
        update = self._read(_contestant_of, prepared) if self._hub.channels.get(name) is not None else None
        if update is not None:
            for type, data in (
                ("vote_update", vote_update(episode, update)),
                ("detailed_update", detailed_update(episode, update, self._hub.clock.now_ms())),
            ):
                self._hub.fanout.publish(message(type, data, name), name)

    # --- what is known ----------------------------------------------------------------------------------------

    def _current(self) -> View | None:
        """The show as it is now, the same object for all who ask while nothing changes. None before it is known.

        Made of the last messages, not of snapshots: those are made anew each second, and of a large show it shows.
        """
        state = self._state or _newest(self._hub.snapshot(channels.SHOW), "STATE_UPDATE")
        board = self._board or _newest(self._hub.snapshot(channels.RESULTS), "LIVE_RESULTS")
        view = self._view
        if view is None or view.state is not state or view.board is not board:
            view = self._view = self._look(state, board)
            self._made = {}
        return view

    def _look(self, state: Prepared | None, board: Prepared | None) -> View | None:
        if state is None:
            return None
        known = self._view
        told = known.told if known is not None and known.state is state else self._read(_state_of, state)
        if told is None:
            return None
        # a board of the window before says nothing of this one
        fits = board is not None and told.window is not None and board.epoch == told.window.window_id
        counted = self._read(_board_of, board) if fits and board is not None else None
        readable = counted is not None or not fits
        results = episode_results(told, counted, self._hub.stamp()) if readable else None
        return View(state, board, told, results, {} if results is None else standings(results))

    def _read(self, decode: Callable[[bytes], T], prepared: Prepared) -> T | None:
        """The data of a message; None if it is from a node of another version. The cable goes without it then, the
        message's own channel is told all the same."""
        try:
            return decode(prepared.data_json)
        except msgspec.DecodeError as error:
            if not self._blind:
                _log.warning("cable_message_skipped", type=prepared.type, error=str(error))
            self._blind = True
            return None

    def _of_results(self, type: str, results: EpisodeResults) -> Broadcast:
        made = self._made.get(type)
        if made is None:
            made = self._made[type] = message(type, results, _episode(results.episode_id))
        return made

    # --- heartbeats -------------------------------------------------------------------------------------------

    def begin_beats(self, session: Session) -> int:
        """Takes a connection into the next group, whose number `end_beats` needs to take it out again."""
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
