"""The bad network does what it says; a network that is as bad as that proves something."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidMessage, InvalidStatus

from tests.support.faults import CALM, HANG_UP, FaultProxy, Faults

LONG = "x" * 70_000


class Bad:
    """A client that has connected to an echo through the proxy; `heard` is what the server got."""

    client: ClientConnection

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.gone = asyncio.Event()
        self._happened = asyncio.Event()

    async def serve(self, socket: ServerConnection) -> None:
        try:
            async for text in socket:
                self.heard.append(str(text))
                self._happened.set()
                await socket.send(text)
        except ConnectionClosed:
            pass  # the proxy's doing
        self.gone.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._happened.clear()
            await self._happened.wait()

    def stand_before(self, port: int) -> FaultProxy:
        self.proxy = FaultProxy(port, Random(7))
        self.proxy.struck = self._happened.set
        return self.proxy


@asynccontextmanager
async def echo() -> AsyncIterator[Bad]:
    bad = Bad()
    async with serve(bad.serve, "127.0.0.1", 0) as server:
        proxy = bad.stand_before(next(iter(server.sockets)).getsockname()[1])
        async with proxy.running(), connect(f"ws://127.0.0.1:{proxy.port}", proxy=None, close_timeout=0.1) as client:
            bad.client = client
            yield bad


async def test_calm_it_changes_nothing() -> None:
    async with echo() as bad:
        for text in ("", "a", "x" * 200, LONG):
            await bad.client.send(text)
            assert await bad.client.recv() == text
        assert bad.proxy.inflicted == {} and bad.proxy.opened == 1


@pytest.mark.parametrize(("faults", "heard"), [
    (Faults(drop=1.0), ["last"]),
    (Faults(duplicate=1.0), ["1", "1", "2", "2", "last"]),
    (Faults(overtake=1.0), ["2", "1", "last"]),
    (Faults(delay=1.0), ["1", "2", "last"]),
])
async def test_what_happens_to_frames(faults: Faults, heard: list[str]) -> None:
    async with echo() as bad:
        bad.proxy.faults = faults
        await bad.client.send("1")
        await bad.client.send("2")
        await bad.until(lambda: len(bad.heard) == len(heard) - 1 and sum(bad.proxy.inflicted.values()) >= 2)
        bad.proxy.faults = CALM
        await bad.client.send("last")
        while await bad.client.recv() != "last":
            pass
        assert bad.heard == heard


async def test_a_cut_in_mid_frame() -> None:
    async with echo() as bad:
        bad.proxy.faults = Faults(cut=1.0)
        await bad.client.send("1")
        with pytest.raises(ConnectionClosedError):
            await bad.client.recv()
        await bad.gone.wait()
        assert bad.heard == []


async def test_a_black_hole_says_nothing_to_anybody() -> None:
    async with echo() as bad:
        bad.proxy.faults = Faults(hole=1.0)
        await bad.client.send("1")
        await bad.until(lambda: bad.proxy.inflicted["hole"] > 0)
        bad.proxy.faults = CALM
        await bad.client.send("2")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await bad.client.recv()
        assert bad.heard == [] and not bad.gone.is_set()
        bad.proxy.cut_all()
        with pytest.raises(ConnectionClosedError):
            await bad.client.recv()


async def test_shut_it_answers_for_the_server() -> None:
    async with echo() as bad:
        bad.proxy.shut = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n"
        with pytest.raises(InvalidStatus):
            await connect(f"ws://127.0.0.1:{bad.proxy.port}", proxy=None)
        bad.proxy.shut = HANG_UP
        with pytest.raises(InvalidMessage):
            await connect(f"ws://127.0.0.1:{bad.proxy.port}", proxy=None)
        assert bad.proxy.opened == 3


def test_the_same_seed_is_the_same_network() -> None:
    faults = Faults(drop=0.1, duplicate=0.1, overtake=0.1, delay=0.1, cut=0.1, hole=0.1)
    first, second = ([faults.draw(random) for _ in range(1_000)] for random in (Random(1), Random(1)))
    assert first == second and {first.count(name) > 50 for name in set(first)} == {True} and len(set(first)) == 7
