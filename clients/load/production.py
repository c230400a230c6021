"""The rehearsal at work: watches the show, gives the operator's cues, seats the audience, checks the results."""

from __future__ import annotations

import asyncio
import http.client
import time
from typing import Any, Final

from broadcast_sync.wire.server import ResultsReady, StateUpdate
from broadcast_sync.wire.times import parse_iso
from clients.load import narrator
from clients.load.audience import Audience
from clients.load.narrator import LOUD, say
from clients.load.operator import Cue, Operator
from clients.load.target import Target
from clients.load.tokens import NoTokens
from clients.python.client import BroadcastSyncClient
from clients.python.connection import Backoff
from clients.python.control import ControlDesk
from clients.python.errors import ClientError, Refused, Unconfirmed
from clients.python.messages import Message

LAST_S: Final = 30
SHORT_LAST_S: Final = 10
"""When the end is near in a window that is short itself."""
LOOK_S: Final = 0.5
LONGEST_LOOK_S: Final = 2.0
ANSWER_S: Final = 3.0
"""How long a result waits for the last votes to be answered or given up."""
FOLLOW_S: Final = 5.0
"""How long a cue that was taken may need to be seen on the socket."""
BACKOFF: Final = Backoff(base_s=0.25, cap_s=2.0)
DENIED: Final = frozenset({"UNAUTHENTICATED", "FORBIDDEN"})


class GivenUp(Exception):
    """The rehearsal cannot go on; the text says why and what would help."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Production:
    """Plays until `rounds` results were checked (0: for ever). `mismatches` counts results that were not certified
    or did not hold what was acked."""

    def __init__(self, target: Target, desk: ControlDesk, operator: Operator, audience: Audience, rounds: int) -> None:
        self._desk = desk
        self._operator = operator
        self._audience = audience
        self._rounds = rounds
        self._watcher = BroadcastSyncClient(
            target.websocket("/voting/sync"), channels=("show", "results"), backoff=BACKOFF, compression=False,
            proxy=None,
        )
        self._changed = asyncio.Event()
        self._said: dict[str, object] = {}
        self._live: bool | None = None
        self._blind_looks = 0
        self._began_ms = float("inf")
        self._gathering: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None
        self.rounds_done = 0
        self.mismatches = 0
        self._watcher.on("STATE_UPDATE", self._on_state)
        self._watcher.on("TIME_UPDATE", self._on_time)
        self._watcher.on("VOTING_CLOSED", self._on_closed)
        self._watcher.on("RESULTS_READY", self._on_results)

    async def run(self) -> None:
        """Plays. Leaves nothing open, also when cancelled. Raises GivenUp."""
        self._watcher.start()
        try:
            while not self._rounds or self.rounds_done < self._rounds:
                await self._step()
        finally:
            for task in (self._gathering, self._checking):
                if task is not None:
                    task.cancel()
            await asyncio.gather(self._audience.leave(), self._watcher.close())

    async def _step(self) -> None:
        """Looks at the show once and does what is to be done."""
        self._changed.clear()
        state = self._watcher.state
        self._tell_connection(self._watcher.live)
        if not self._watcher.live or state is None or state.degraded:
            await self._nap(LOOK_S)  # blind, or the server is: a cue would be given in the dark
            return
        self._seat(state)
        action = self._operator.next(state, time.monotonic())
        if isinstance(action, Cue):
            await self._give(action)
            return
        if action.why:
            self._once("why", action.why, "waiting", action.why)
        await self._nap(min(action.seconds, LONGEST_LOOK_S))

    async def _nap(self, seconds: float) -> None:
        """Sleeps until something has changed, at most `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass  # nothing has changed: look again all the same

    async def _give(self, cue: Cue) -> None:
        """Gives a cue and waits until the show has followed it."""
        try:
            ack = await self._desk.cue(cue.event, cue.data)
        except Refused as refused:
            if refused.code in DENIED:
                raise GivenUp(f"{refused.message} Is --secret-file this server's?", 1) from None
            self._once("refused", (cue.event, refused.message), "cue refused", f"{cue.event}: {refused.message}")
            self._operator.refused(time.monotonic())
            return
        except Unconfirmed:
            return  # the server is away: the state will tell whether it was taken
        except ClientError as error:
            raise GivenUp(str(error), 1) from None
        self._said.pop("refused", None)
        until = time.monotonic() + FOLLOW_S
        while self._watcher.live and time.monotonic() < until:
            if self._watcher.state is not None and self._watcher.state.revision >= ack.revision:
                return
            self._changed.clear()
            await self._nap(LOOK_S)

    # --- the audience -----------------------------------------------------------------------------------------

    def _seat(self, state: StateUpdate) -> None:
        """Sees to it that voters sit there who have not voted yet. Raises GivenUp if there can be none."""
        if self._gathering is not None:
            if not self._gathering.done():
                return
            gathering, self._gathering = self._gathering, None
            try:
                gathering.result()
            except NoTokens as error:
                raise GivenUp(str(error), 2) from None
            except (OSError, http.client.HTTPException) as error:
                self._once("seat", str(error), "no voters yet", str(error))
        if self._wanted(state):
            self._gathering = asyncio.get_running_loop().create_task(self._gather())

    def _wanted(self, state: StateUpdate) -> bool:
        """True if a new audience has to come: there is none, or its window is over."""
        ledger = self._audience.ledger
        if not self._audience.seated:
            return True
        if ledger is None or self._checking is not None:
            return False
        if state.window is None or state.window.window_id != ledger.window_id:
            return True
        return state.voting == "CLOSED" and self._said.get("results") == ledger.window_id

    async def _gather(self) -> None:
        await self._audience.gather()
        self._vote()

    def _vote(self) -> None:
        """Lets the audience vote in the open window, if it has not begun to; never in a real show's."""
        window = self._watcher.window
        if window is not None and window.rehearsal and self._watcher.remaining_s and self._audience.ready:
            whole = parse_iso(window.opens_at) >= self._began_ms
            self._audience.vote(window, self._watcher.now_ms(), whole=whole)

    # --- what is seen -----------------------------------------------------------------------------------------

    def _on_state(self, message: Message) -> None:
        state: StateUpdate = message.data
        self._tell_connection(True)
        self._changed.set()
        self._began_ms = min(self._began_ms, self._watcher.now_ms())
        if state.show is not None:
            key = (state.show.show_id, state.show.episode)
            self._once("show", key, "show on air", f"{state.show.title} (episode {state.show.episode})")
        elif self._said.pop("show", None) is not None:
            say("off air")
        if state.performance is not None:
            self._once("performance", state.performance.started_at, "on stage", narrator.on_stage(state))
        if state.voting == "OPEN" and state.window is not None:
            words = narrator.lines_open(state.window, self._watcher.remaining_s or 0.0, self._audience.connected)
            self._once("window", state.window.window_id, "lines open", words)
            self._vote()

    def _on_time(self, message: Message) -> None:
        window = self._watcher.window
        if window is None:
            return
        length_s = (parse_iso(window.closes_at) - parse_iso(window.opens_at)) / 1000.0
        if message.data.remaining <= (LAST_S if length_s > LAST_S * 1.5 else SHORT_LAST_S):
            words = narrator.last_seconds(self._audience.ledger, self._watcher.board)
            self._once("last", window.window_id, f"{message.data.remaining} s left", words)

    def _on_closed(self, message: Message) -> None:
        words = "on time" if message.data.reason == "TIMER" else "by the control room"
        self._once("closed", message.data.window_id, "lines closed", narrator.closed(words, self._audience.ledger))

    def _on_results(self, message: Message) -> None:
        self._changed.set()
        results: ResultsReady = message.data
        if self._said.get("results") != results.window_id and self._checking is None:
            self._said["results"] = results.window_id
            self._checking = asyncio.get_running_loop().create_task(self._check(results))

    async def _check(self, results: ResultsReady) -> None:
        """Says the result, and whether every vote that was acked here is in it."""
        ledger = self._audience.ledger
        ours = ledger is not None and ledger.window_id == results.window_id
        if ours:
            await self._audience.settled(ANSWER_S)
        self._verdict(*narrator.certified(results))
        if ledger is not None and ours:
            self._verdict(*narrator.checked(ledger, results))
            self.rounds_done += 1
        self._checking = None
        self._changed.set()

    def _verdict(self, what: str, words: str) -> None:
        say(what, words)
        self.mismatches += what == LOUD

    def _once(self, about: str, key: Any, what: str, words: str) -> None:
        """Says a line if `key` is new for what it is about."""
        if self._said.get(about) != key:
            self._said[about] = key
            say(what, words)

    def _tell_connection(self, live: bool) -> None:
        self._blind_looks = 0 if live else self._blind_looks + 1
        if live is not self._live and self._blind_looks != 1:  # the first look may come before the connection
            say(*(("connected", "watching the show") if live else ("no connection", "trying again")))
            self._live = live
