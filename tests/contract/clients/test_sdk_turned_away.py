"""A full house says 503 and when to come back; both SDKs do as it says, over real HTTP."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from tests.support.crowds import javascript_crowd, python_crowd, until
from tests.support.faults import FaultProxy
from tests.support.small_server import SmallServer

CLIENTS = 5
AGAIN_S = 1
FULL = f"HTTP/1.1 503 Service Unavailable\r\nRetry-After: {AGAIN_S}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize("sdk", ["python", "javascript"])
async def test_who_is_turned_away_comes_back_when_told_and_not_before(sdk: str) -> None:
    loop = asyncio.get_running_loop()
    server = SmallServer()
    make = python_crowd if sdk == "python" else javascript_crowd
    async with server.running():
        proxy = FaultProxy(int(server.url.rpartition(":")[2]), Random(7))
        proxy.shut = FULL
        knocked = asyncio.Event()
        proxy.struck = knocked.set
        async with proxy.running(), make(f"ws://127.0.0.1:{proxy.port}/voting/sync", 7) as crowd:
            began = loop.time()
            for client in range(CLIENTS):
                crowd.join(client, "good")
            while proxy.opened < CLIENTS:
                knocked.clear()
                await knocked.wait()
            await asyncio.sleep(AGAIN_S * 0.8)
            # their own backoff alone, 50 ms at first, would have brought them several times by now
            assert proxy.opened <= CLIENTS * (1 + (loop.time() - began) // AGAIN_S)
            proxy.shut = b""
            await until(crowd, lambda: all(crowd.heard[client].live for client in range(CLIENTS)))
