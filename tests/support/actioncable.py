"""ActionCable's own client, the npm package as it is, in a Node process of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.process import ROOT

SCRIPT = ROOT / "tests" / "web" / "actioncable.mjs"


class ActionCable:
    """A consumer. What its subscriptions were called back with is kept in `heard`, in order."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.heard: list[dict[str, Any]] = []

    def subscribe(self, name: str, **params: object) -> None:
        """Makes a subscription to VotingChannel, called `name` from here on."""
        self._say(do="subscribe", name=name, params={"channel": "VotingChannel", **params})

    def perform(self, name: str, action: str, **data: object) -> None:
        self._say(do="perform", name=name, action=action, data=data)

    def unsubscribe(self, name: str) -> None:
        self._say(do="unsubscribe", name=name)

    async def next(self, name: str, event: str, timeout_s: float = 20, **fields: object) -> Any:
        """The data of the next `event` of a subscription; of a message only the next whose data has `fields`."""
        async with asyncio.timeout(timeout_s):
            while True:
                assert self._process.stdout is not None
                line = await self._process.stdout.readline()
                assert line, f"the client ended; it had heard {self.heard[-5:]}"
                heard = json.loads(line)
                self.heard.append(heard)
                data = heard["data"]
                if (heard["name"], heard["event"]) == (name, event) and fields.items() <= _fields(data).items():
                    return data

    async def message(self, name: str, type: str, **fields: object) -> Any:
        """The data of the next message of that type."""
        while True:
            received = await self.next(name, "received")
            if received["type"] == type and fields.items() <= received["data"].items():
                return received["data"]

    def _say(self, **command: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")


def _fields(data: Any) -> dict[str, Any]:
    return data if isinstance(data, dict) else {}


@asynccontextmanager
async def actioncable(url: str) -> AsyncIterator[ActionCable]:
    """A consumer of `url` (ws://...) until left."""
    assert (SCRIPT.parent / "node_modules").is_dir(), "no @rails/actioncable: `make test` installs it"
    process = await asyncio.create_subprocess_exec(
        "node", str(SCRIPT), url, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**20
    )
    try:
        yield ActionCable(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
