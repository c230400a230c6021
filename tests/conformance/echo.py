"""The hub's endpoint under a real uvicorn in a thread of its own, with a router that echoes every message."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uvicorn.config import Config
from uvicorn.server import Server

from broadcast_sync import settings as sections
from broadcast_sync.clock import EngineClock
from broadcast_sync.hub.hub import Hub
from broadcast_sync.hub.router import Router
from broadcast_sync.hub.session import Session
from broadcast_sync.settings import Settings
from broadcast_sync.tokens import Tokens
from broadcast_sync.wire.frames import frame
from tests.conformance.conversation import MARK

MESSAGE_BYTES: Final = 2_048
FRAME_BYTES: Final = 8_192
INFLATED_BYTES: Final = 16 * MESSAGE_BYTES
"""As docs/protocol.md has it."""


class EchoRouter(Router):
    """Sends each message back, marked, in the kind it came in."""

    def dispatch(self, session: Session, payload: bytes, received_ms: int) -> None:
        session.write(frame(session.codec.opcode, MARK + payload))


def echo_hub() -> Hub:
    """To be made in the loop it will run in. No limit of ours on how often a client may speak, and no ping."""
    often = 1e9
    hub_settings = sections.Hub(
        message_bytes=MESSAGE_BYTES, frame_bytes=FRAME_BYTES, messages_per_second=often, messages_burst=10**9,
        bad_messages=10**9, ping_interval_s=1e6,
    )
    settings = Settings(hub=hub_settings, server=sections.Server(stop_s=0.2))
    return Hub(settings, EngineClock(), EchoRouter(), Tokens(settings, Ed25519PrivateKey.generate()), "echo")


class EchoServer:
    """`port` is where it listens; `call` runs something in its loop's thread."""

    def __init__(self, hub: Hub, port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.hub = hub
        self.port = port
        self._loop = loop

    def call(self, function: Callable[[], Any]) -> Any:
        async def run() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)


async def _serve(ready: Future[EchoServer], stop: asyncio.Event) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError

    hub = echo_hub()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = Config(
        app,
        http=hub.door,  # type: ignore[arg-type]  # as below
        ws=hub.protocol_factory,  # type: ignore[arg-type]  # typed as a class; uvicorn only calls it
        lifespan="off", log_config=None, timeout_graceful_shutdown=1,
    )
    config.load()
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    hub.start()
    await server.startup(sockets=[listener])
    ready.set_result(EchoServer(hub, listener.getsockname()[1], asyncio.get_running_loop()))
    await stop.wait()
    await hub.stop()
    await server.shutdown(sockets=[listener])


@contextmanager
def echo_server() -> Iterator[EchoServer]:
    """Runs until the block ends."""
    ready: Future[EchoServer] = Future()
    stop = asyncio.Event()

    def main() -> None:
        try:
            uvloop.run(_serve(ready, stop))
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    thread = threading.Thread(target=main, name="echo")
    thread.start()
    server = ready.result(20)
    yield server
    server.call(stop.set)
    thread.join(10)
    assert not thread.is_alive()
