"""A node's sockets sent away one by one, each in a slot of its own, with nothing that was taken left unanswered."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import TYPE_CHECKING, Final

from broadcast_sync.hub.closes import DRAINING
from broadcast_sync.hub.session import Session
from broadcast_sync.wire.server import Reconnect

if TYPE_CHECKING:
    from broadcast_sync.hub.hub import Hub

TICK_S: Final = 0.1
"""Sockets whose slots end within so long leave together."""
BATCH: Final = 200
"""Sockets told or closed between two turns of the loop."""


class Drain:
    """RECONNECT to every socket with the end of its slot, and 4000 when that has come. Until then a socket is served as
    ever; newcomers are refused from the moment this is made. The slots are spread evenly, in no order."""

    def __init__(self, hub: Hub, spread_s: float, reason: str) -> None:
        hub.admission.open = False
        self._hub = hub
        self._spread_s = spread_s
        self._reason = reason
        self._slots: deque[tuple[float, Session]] = deque()

    async def run(self) -> None:
        """Returns when all have been told to leave, or have left by themselves. May be cancelled: who is left stays."""
        loop = asyncio.get_running_loop()
        await self._give_slots(loop.time())
        while self._slots and self._hub.sessions:
            due = self._due(loop.time())
            if due:
                await send_away(self._hub, due, self._reason)
            elif await self._hub.emptied(min(TICK_S, self._slots[0][0] - loop.time())):
                return

    async def _give_slots(self, began: float) -> None:
        sessions = list(self._hub.sessions.values())
        random.shuffle(sessions)
        for index, session in enumerate(sessions):
            slot_s = self._spread_s * (index + random.random()) / len(sessions)
            session.reply(Reconnect(round(slot_s * 1000), self._reason))
            self._slots.append((began + slot_s, session))
            if index % BATCH == BATCH - 1:
                await asyncio.sleep(0)

    def _due(self, now: float) -> list[Session]:
        due: list[Session] = []
        while self._slots and self._slots[0][0] <= now and len(due) < BATCH:
            due.append(self._slots.popleft()[1])
        return due


async def send_away(hub: Hub, sessions: list[Session], reason: str) -> None:
    """Closes with 4000, after the answers to all that was taken of them: from now on nothing more is read. An engine
    that does not answer holds them up for half of `server.stop_s`; its answer can be had later, with the same id."""
    for session in sessions:
        session.hold()
    await hub.settle(hub.settings.server.stop_s / 2)
    for session in sessions:
        session.close(DRAINING, reason)
