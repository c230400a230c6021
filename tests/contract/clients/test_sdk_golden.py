"""The golden frames, decoded by the Python SDK; tests/web/golden.test.mjs does the same with the JavaScript SDK."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection
from typing import Any

import msgspec
import pytest

from clients.python.client import BroadcastSyncClient
from clients.python.connection import BACKOFF, HEARTBEAT
from clients.python.conversation import Conversation, Owner
from clients.python.messages import Message
from clients.python.requests import PATIENCE
from tests.support.process import ROOT
from tests.support.small_server import SmallServer

MESSAGES: dict[str, dict[str, Any]] = json.loads((ROOT / "tests/golden/messages.json").read_text())
ODD: list[dict[str, Any]] = json.loads((ROOT / "tests/golden/odd_frames.json").read_text())


class Watching:
    """A conversation that is told frames as if its connection had brought them."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.conversation = Conversation(
            "ws://test/", Owner(self.heard.append, lambda seconds: None, lambda: None), token=None, refresh_token=None,
            channels=("show",), patience=PATIENCE, backoff=BACKOFF, heartbeat=HEARTBEAT, compression=True, proxy=None,
            random=lambda: 0.5,
        )

    def hear(self, frame: str) -> None:
        self.conversation.received(frame)


@pytest.fixture
async def watching() -> AsyncIterator[Watching]:
    watcher = Watching()
    yield watcher
    await watcher.conversation.link.close()


def told(message: Message, fields: Collection[str]) -> dict[str, Any]:
    """These fields of a message's data, as plain values."""
    data = msgspec.to_builtins(message.data)
    return {name: data[name] for name in fields}


@pytest.mark.parametrize("type", MESSAGES)
async def test_golden(type: str, watching: Watching, caplog: pytest.LogCaptureFixture) -> None:
    watching.hear(json.dumps(MESSAGES[type]))
    (message,) = watching.heard
    assert (message.type, message.timestamp, message.channel) == (type, MESSAGES[type]["timestamp"], "show")
    assert told(message, MESSAGES[type]["data"]) == MESSAGES[type]["data"]
    assert caplog.text == ""


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd["name"])
async def test_odd(odd: dict[str, Any], watching: Watching, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        watching.hear(odd["frame"])
    if "python" in odd.get("refused", ()):
        assert watching.heard == [] and caplog.text.count("cannot be read") == 1
        return
    assert len(watching.heard) == 3
    assert told(watching.heard[0], odd["taken"]) == odd["taken"]
    assert caplog.text.count("does not know") == (1 if odd.get("unknown") else 0)


async def test_what_cannot_be_read_still_has_its_place() -> None:
    server = SmallServer()
    async with server.running(), BroadcastSyncClient(server.url, proxy=None) as show:
        offsets: list[int | None] = []
        show.on("WARNING", lambda message: offsets.append(message.offset))
        await show.wait_live()
        await server.wait_for(lambda: server.heard_of("SUBSCRIBE") == 1)
        for offset, data in ((1, '{"code":"1_MINUTE","remaining":60}'), (2, "7"), (3, '{"code":"x","remaining":1}')):
            server.say(f'{{"type":"WARNING","data":{data},"channel":"show","epoch":"e1","offset":{offset}}}')
        show.request_update()
        await server.wait_for(lambda: server.heard_of("REQUEST_UPDATE") == 1)
        assert offsets == [1, 3] and server.heard_of("SUBSCRIBE") == 1

