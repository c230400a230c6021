"""An audience that never sits still: members come, go, vote, stop reading, read on, are cut off, and come back to
where they were. What the server's process needs for it is read from its own metrics."""

from __future__ import annotations

import asyncio
import random
import re
import urllib.request
from collections import Counter
from typing import Final

from msgspec import Struct

from tests.support.flock import Flock, Member

LINGER_S: Final = 3.0
"""The longest that a member does nothing."""
STALL_S: Final = 40.0
"""The longest that one does not read, in a long run."""
_SAMPLE: Final = re.compile(r"^(\w+) ([0-9.e+]+)$", re.M)


class Sample(Struct, frozen=True):
    """The server's process at one moment."""

    second: float
    sockets: int
    resident_mb: float
    files: int
    tasks: int


def sample(url: str, second: float) -> Sample:
    """Reads `/metrics`."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        values = {name: float(value) for name, value in _SAMPLE.findall(answer.read().decode())}
    return Sample(
        second, int(values["broadcast_sync_hub_sockets"]), values["process_resident_memory_bytes"] / 2**20,
        int(values["process_open_fds"]), int(values["broadcast_sync_tasks"]),
    )


class Churn:
    """`run` it for a while; then everybody leaves. `done` counts what they did, by name."""

    def __init__(self, flock: Flock, port: int, tokens: list[str], seed: int) -> None:
        self.flock = flock
        self.done: Counter[str] = Counter()
        self._port = port
        self._tokens = tokens
        self._random = random.Random(seed)

    async def run(self, seconds: float) -> None:
        """Raises what a member raised; a server that hangs up in a handshake is one of those things."""
        over = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as tasks:
            for member, token in zip(self.flock.members, self._tokens, strict=True):
                tasks.create_task(self._live(member, token, over, min(STALL_S, seconds / 4)))

    async def _live(self, member: Member, token: str, over: float, stall_s: float) -> None:
        loop, rng = asyncio.get_running_loop(), self._random
        await asyncio.sleep(rng.uniform(0, LINGER_S))
        await member.join(self._port, token)
        votes = 0
        while loop.time() < over:
            if member.lost.is_set():
                self.done[f"closed {member.close_code}" if member.close_code else "joined again"] += 1
                await member.join(self._port, token)
            roll = rng.random()
            if roll < 0.70:
                self.done["vote"] += 1
                votes += 1
                contestant = f"c{rng.randint(1, 12):02d}"
                member.say({"type": "VOTE", "id": f"{id(member)}-{votes}", "contestantId": contestant})
            elif roll < 0.82:
                self.done["hung up"] += 1
                member.leave()
                await member.lost.wait()
            elif roll < 0.90:
                self.done["said goodbye"] += 1
                member.leave(goodbye=True)
                await member.lost.wait()
            else:
                self.done["stalled"] += 1
                member.stall()
                await asyncio.sleep(rng.uniform(0, stall_s))
                member.read_on()
            await asyncio.sleep(rng.uniform(0, LINGER_S))
        member.leave()
