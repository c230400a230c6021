"""A hub under a real uvicorn on uvloop, for tests that talk to it with the real `websockets` client."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uvicorn.config import Config
from uvicorn.server import Server

from broadcast_sync import settings as sections
from broadcast_sync.clock import EngineClock
from broadcast_sync.hub.hub import Hub
from broadcast_sync.hub.router import Router
from broadcast_sync.settings import Settings
from broadcast_sync.tokens import Tokens
from tests.support.hub import Rig

KEY = Ed25519PrivateKey.generate()


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop the server really runs on."""
    return {"uvloop": uvloop.new_event_loop}


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Says hello; on `/wait` only when it has the whole body, on `/large` at length."""
    while scope["path"] == "/wait" and (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(64 if scope["path"] == "/large" else 0):
        await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
    await send({"type": "http.response.body", "body": b"hello"})


Open = Callable[..., Awaitable[Rig]]


@pytest.fixture
async def open_rig() -> AsyncIterator[Open]:
    """Starts a hub with the given `[hub]` settings."""
    async with AsyncExitStack() as stack:

        async def start(*, stop_s: float = 1.0, leeway_s: int = 0, expiry_grace_s: float = 0.0, **keys: Any) -> Rig:
            settings = Settings(
                hub=sections.Hub(**keys),
                server=sections.Server(stop_s=stop_s),
                auth=sections.Auth(leeway_s=leeway_s, expiry_grace_s=expiry_grace_s),
            )
            hub = Hub(settings, EngineClock(), Router(), Tokens(settings, KEY), "n1")
            listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)  # so that a slow reader shows soon
            config = Config(
                _app,
                http=hub.door,  # type: ignore[arg-type]  # as below
                ws=hub.protocol_factory,  # type: ignore[arg-type]  # typed as a class; uvicorn only calls it
                lifespan="off",
                log_config=None,
                timeout_graceful_shutdown=3,
            )
            config.load()
            server = Server(config)
            server.lifespan = config.lifespan_class(config)
            hub.start()
            await server.startup(sockets=[listener])
            stack.push_async_callback(server.shutdown, sockets=[listener])
            stack.push_async_callback(hub.stop)
            return Rig(hub, listener.getsockname()[1], stack)

        yield start


@pytest.fixture
async def rig(open_rig: Open) -> Rig:
    return await open_rig()
