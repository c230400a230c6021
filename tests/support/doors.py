"""Every door of a server: what comes out of each is kept as text, to be searched for what must not be there."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import httpx
import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.support.process import ServerProcess

MSGPACK: Final = "broadcast-sync.v1.msgpack"
CABLE: Final = "actioncable-v1-json"


class Ear:
    """All that has come out of one door, in `told`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.told: list[str] = []
        self._more = asyncio.Event()

    def hear(self, text: str) -> None:
        self.told.append(text)
        self._more.set()

    async def until(self, pattern: str, after: int = 0) -> str:
        """The first that matches, of what is told after the first `after`."""
        wanted = re.compile(pattern)
        while True:
            found = next((text for text in self.told[after:] if wanted.search(text)), None)
            if found is not None:
                return found
            self._more.clear()
            await self._more.wait()


@contextlib.asynccontextmanager
async def listening(
    server: ServerProcess, path: str, *messages: dict[str, Any], name: str = "", protocol: str | None = None
) -> AsyncIterator[Ear]:
    """A socket on `path` that has said `messages`."""
    packed = protocol == MSGPACK
    ear = Ear(f"{path.partition('?')[0]} {name}".strip())
    url = f"{server.url.replace('http', 'ws', 1)}{path}"
    async with connect(url, subprotocols=[Subprotocol(protocol)] if protocol else None, max_queue=None) as socket:
        for message in messages:
            await socket.send(msgspec.msgpack.encode(message) if packed else json.dumps(message))

        async def read() -> None:
            with contextlib.suppress(ConnectionClosed):
                async for frame in socket:
                    text = frame if isinstance(frame, str) else json.dumps(msgspec.msgpack.decode(frame))
                    ear.hear(text)

        reading = asyncio.create_task(read())
        try:
            yield ear
        finally:
            await socket.close()
            await reading


@contextlib.asynccontextmanager
async def streaming(server: ServerProcess, query: str) -> AsyncIterator[Ear]:
    """The event stream."""
    ear = Ear("events")
    async with httpx.AsyncClient(base_url=server.url, timeout=None) as http:

        async def read() -> None:
            async with http.stream("GET", f"/voting/results/stream{query}") as answer:
                assert answer.status_code == 200
                async for line in answer.aiter_lines():
                    ear.hear(line)

        reading = asyncio.create_task(read())
        try:
            await ear.until("data")
            yield ear
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def ask_everything(
    server: ServerProcess, known: dict[str, list[str]], tokens: dict[str, str | None]
) -> list[Ear]:
    """Every GET of the server's own document, by each of `tokens`; one Ear a request. Parts of a path are filled with
    what is `known` of their name, else with all that is known."""
    found: list[Ear] = []
    async with httpx.AsyncClient(base_url=server.url, timeout=15) as http:
        document = (await http.get("/openapi.json")).json()
        for path, methods in document["paths"].items():
            if "get" not in methods or "text/event-stream" in json.dumps(methods["get"]["responses"]):
                continue
            for target, (who, token) in itertools.product(_targets(path, methods["get"], known), tokens.items()):
                answer = await http.get(target, headers={"Authorization": f"Bearer {token}"} if token else {})
                ear = Ear(f"GET {target} by {who}: {answer.status_code}")
                ear.hear(answer.text)
                ear.hear(str(answer.headers))
                found.append(ear)
    return found


def _targets(path: str, operation: dict[str, Any], known: dict[str, list[str]]) -> Iterator[str]:
    everything = [value for values in known.values() for value in values]
    names = re.findall(r"{(\w+)}", path)
    queries = {
        parameter["name"]: str(parameter.get("example", everything[0]))
        for parameter in operation.get("parameters", ()) if parameter["in"] == "query" and parameter.get("required")
    }
    for values in itertools.product(*[known.get(name, everything) for name in names]):
        filled = path.format(**dict(zip(names, values, strict=True)))
        yield str(httpx.URL(filled, params=queries)) if queries else filled


def figures(text: str) -> list[str]:
    """The ranks and percentages in what a door has told, zeros included; none if it is no JSON."""
    return [
        f"{key}={value}" for key, value in _pairs(text)
        if key in {"rank", "percentage"} and isinstance(value, int | float)
    ]


def in_order(text: str, ids: list[str]) -> bool:
    """Whether a list in what a door has told has those of `ids` in just this order."""
    for _, value in _pairs(text):
        if isinstance(value, list):
            named = [_name(item) for item in value]
            if [name for name in named if name in ids] == ids:
                return True
    return False


def _name(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    return next((item[key] for key in ("contestantId", "contestant_id", "id") if key in item), None)


def _pairs(text: str) -> Iterator[tuple[str, Any]]:
    try:
        yield from _walk(json.loads(text.removeprefix("data: ")))
    except ValueError:
        return


def _walk(value: Any) -> Iterator[tuple[str, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield str(key), item
        yield from _walk(item)
