"""Contenders in Python. Each runs in a process of its own and says its port; then, for each `prepare`, it tidies up
and answers, and for each `round` it sends the board to every socket it has and answers when that is done."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Any, Final, cast

import structlog
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.config import Config
from uvicorn.server import Server
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.asyncio.server import serve as serve_websockets

from bench.hub.board import board
from broadcast_sync.clock import EngineClock
from broadcast_sync.hub.hub import Hub
from broadcast_sync.hub.router import Router
from broadcast_sync.settings import Hub as HubSettings
from broadcast_sync.settings import Settings
from broadcast_sync.tokens import Tokens
from broadcast_sync.wire.formats import PLAIN_JSON

PREPARE: Final = "prepare"
ROUND: Final = "round"
DONE: Final = "done"
BACKLOG: Final = 4096
NO_PING_S: Final = 1e7
"""Nothing but the board may be on the wire while it is measured."""

Round = Callable[[], Awaitable[None]]


async def _obey(control: Connection, port: int, run: Round) -> None:
    """Says the port, then obeys until the other end of `control` is closed."""
    ready = asyncio.Event()
    asyncio.get_running_loop().add_reader(control.fileno(), ready.set)
    control.send(port)
    while True:
        await ready.wait()
        ready.clear()
        try:
            command = control.recv()
        except EOFError:
            return
        if command == ROUND:
            await run()
        else:
            gc.collect()
        control.send(DONE)


class _Bare(asyncio.Protocol):
    def __init__(self, transports: dict[asyncio.Transport, None]) -> None:
        self._transports = transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transports[self._transport] = None

    def connection_lost(self, exc: Exception | None) -> None:
        del self._transports[self._transport]


async def floor(control: Connection) -> None:
    """The least that a delivery can cost here: bytes made beforehand, no protocol."""
    frame = board().frame_for(PLAIN_JSON)
    transports: dict[asyncio.Transport, None] = {}  # in order of coming, which is the order of memory
    server = await asyncio.get_running_loop().create_server(
        lambda: _Bare(transports), "127.0.0.1", 0, backlog=BACKLOG
    )

    async def run() -> None:
        for transport in transports:
            transport.write(frame)

    await _obey(control, server.sockets[0].getsockname()[1], run)


async def hub(control: Connection) -> None:
    """This project's hub under uvicorn, as it is; the message comes in where the bus would bring it."""
    # the pace of the door is not what is measured
    door = HubSettings(ping_interval_s=NO_PING_S, handshakes_per_second=1e6, handshakes_burst=1_000_000)
    settings = Settings(hub=door)
    ours = Hub(settings, EngineClock(), Router(), Tokens(settings, Ed25519PrivateKey.generate()), "bench")
    ours.start()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError

    async def run() -> None:
        ours.publish(board())
        while ours.fanout.waiting:  # noqa: ASYNC110 - a turn of the loop is no wait: the fan-out works in it
            await asyncio.sleep(0)

    port = await _under_uvicorn(app, http=ours.door, ws=ours.protocol_factory)
    await _obey(control, port, run)


async def websockets(control: Connection) -> None:
    """websockets' asyncio server, whose broadcast() is its fast path; no compression, no pings."""
    text = board().json.decode()
    connections: dict[ServerConnection, None] = {}

    async def handle(connection: ServerConnection) -> None:
        connections[connection] = None
        await connection.wait_closed()
        del connections[connection]

    async def run() -> None:
        broadcast(connections, text)

    async with serve_websockets(
        handle, "127.0.0.1", 0, compression=None, ping_interval=None, backlog=BACKLOG, open_timeout=60
    ) as server:
        await _obey(control, server.sockets[0].getsockname()[1], run)


async def starlette(control: Connection) -> None:
    """What a tutorial's chat does: a coroutine a socket, `send_text` to each in turn. No compression, no pings."""
    text = board().json.decode()
    members: dict[WebSocket, None] = {}

    async def handle(websocket: WebSocket) -> None:
        await websocket.accept()
        members[websocket] = None
        try:
            await websocket.receive_text()
        except WebSocketDisconnect:
            del members[websocket]

    async def run() -> None:
        for websocket in members:
            await websocket.send_text(text)

    port = await _under_uvicorn(
        Starlette(routes=[WebSocketRoute("/", handle)]),
        ws="websockets-sansio", ws_per_message_deflate=False, ws_ping_interval=None,
    )
    await _obey(control, port, run)


async def _under_uvicorn(app: Any, **options: Any) -> int:
    """Starts uvicorn in this loop; its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    config = Config(app, **{"http": "httptools", "lifespan": "off", "log_config": None, **options})
    config.load()
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    port: int = listener.getsockname()[1]
    return port


SERVERS: Final[dict[str, Callable[[Connection], Awaitable[None]]]] = {
    "floor": floor, "hub": hub, "hub-deflate": hub, "hub-msgpack": hub, "websockets": websockets,
    "starlette": starlette,
}


def serve(name: str, control: Connection) -> None:
    """The main function of a server's process."""
    # as a server logs: nothing of sockets that come and go
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))

    async def main() -> None:
        await SERVERS[name](control)

    uvloop.run(main())
