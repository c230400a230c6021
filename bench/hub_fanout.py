"""What a board to N sockets costs: CPU a delivery of the hub, beside the floor and a peer, in the same run.

    python bench/hub_fanout.py [--sockets 10000] [--rounds 12]

floor   `transport.write` of the same bytes to N sockets of a bare uvloop server: no WebSocket, no bookkeeping
hub     this project's hub under uvicorn, `Hub.publish` of a LIVE_RESULTS board of 12 contestants
peer    `websockets.broadcast()` to N connections of its own asyncio server, on uvloop, without compression

Three servers and their clients (raw sockets, other processes) stand side by side and take turns, round by round, so
that whatever else the machine does falls on all three. A round counts when every client has every byte. The figure is
user and system time of the server's process; the ratio is the median of the rounds' ratios. The result is printed
and written to bench/results/hub_fanout.json.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import platform
import select
import socket
import statistics
import time
from collections.abc import Awaitable, Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, cast

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from rich.table import Table
from uvicorn.config import Config
from uvicorn.server import Server
from websockets.asyncio.server import ServerConnection, broadcast
from websockets.asyncio.server import serve as serve_websockets

from broadcast_sync.clock import EngineClock
from broadcast_sync.hub.hub import Hub
from broadcast_sync.hub.router import Router
from broadcast_sync.settings import Hub as HubSettings
from broadcast_sync.settings import Settings
from broadcast_sync.tokens import Tokens
from broadcast_sync.wire.formats import PLAIN_JSON
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import BoardRow, LiveResults

RESULT: Final = Path(__file__).parent / "results" / "hub_fanout.json"
PER_ADDRESS: Final = 20_000
PATIENCE_S: Final = 60
CONNECTING: Final = 100
"""Handshakes under way at once."""

Round = Callable[[], Awaitable[None]]


def board() -> Prepared:
    """A board as a show sends it: 12 contestants, 2.6 KB of JSON."""
    rows = [
        BoardRow(
            f"c{number:02d}", f"Contestant Number {number:02d}", f"/photos/demo/c{number:02d}.svg",
            123_456 - number, "123.5K", 8.3, number, 0, "rising_fast",
        )
        for number in range(1, 13)
    ]
    return Prepared.of(LiveResults(rows, 1_481_472, "2026-11-21T20:15:00.123Z", 754), 0, "results")


# --- servers: each is a process that runs a round when told, and says what CPU it took ------------------------


async def _rounds(control: Connection, port: int, run: Round) -> None:
    """Serves the parent's commands: 'round' -> seconds of CPU, 'stop'."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(control.fileno(), ready.set)
    control.send(port)
    while True:
        await ready.wait()
        ready.clear()
        if control.recv() == "stop":
            return
        gc.collect()
        before = time.process_time()
        await run()
        await asyncio.sleep(0.02)  # what was left to the loop, written by now
        control.send(time.process_time() - before)


class _Bare(asyncio.Protocol):
    def __init__(self, transports: list[asyncio.Transport]) -> None:
        self._transports = transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transports.append(cast(asyncio.Transport, transport))


async def floor(control: Connection, sockets: int) -> None:
    frame = board().frame_for(PLAIN_JSON)
    transports: list[asyncio.Transport] = []
    server = await asyncio.get_running_loop().create_server(lambda: _Bare(transports), "127.0.0.1", 0, backlog=4096)

    async def run() -> None:
        for transport in transports:
            transport.write(frame)

    await _rounds(control, server.sockets[0].getsockname()[1], run)


async def hub(control: Connection, sockets: int) -> None:
    settings = Settings(hub=HubSettings(max_sockets=sockets, ping_interval_s=3600))
    ours = Hub(settings, EngineClock(), Router(), Tokens(settings, Ed25519PrivateKey.generate()), "bench")
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError

    config = Config(
        app,
        http="httptools",
        ws=ours.protocol_factory,  # type: ignore[arg-type]  # typed as a class; uvicorn only calls it
        lifespan="off",
        log_config=None,
    )
    config.load()
    server = Server(config)
    server.lifespan = config.lifespan_class(config)
    ours.start()
    await server.startup(sockets=[listener])

    async def run() -> None:
        ours.publish(board())
        while ours.fanout.waiting:  # noqa: ASYNC110 - a turn of the loop is no wait: the fan-out works in it
            await asyncio.sleep(0)

    await _rounds(control, listener.getsockname()[1], run)


async def peer(control: Connection, sockets: int) -> None:
    text = board().json.decode()
    connections: set[ServerConnection] = set()

    async def handle(connection: ServerConnection) -> None:
        connections.add(connection)
        await connection.wait_closed()

    async def run() -> None:
        broadcast(connections, text)

    async with serve_websockets(
        handle, "127.0.0.1", 0, compression=None, ping_interval=None, backlog=4096, open_timeout=60
    ) as server:
        await _rounds(control, server.sockets[0].getsockname()[1], run)


SERVERS: Final = {"floor": floor, "hub": hub, "peer": peer}


def serve(name: str, control: Connection, sockets: int) -> None:
    """The main function of a server's process."""
    uvloop.run(SERVERS[name](control, sockets))


# --- clients ---------------------------------------------------------------------------------------------------


def hold(control: Connection, port: int, sockets: int, upgrade: bool) -> None:
    """The main function of a process of clients: opens them, says so, then counts bytes until told to stop.

    A number of bytes as command: says 'all' once so many, or more by a ping, have come. 0 ends it.
    """
    request = (
        b"GET /voting/results HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    held: list[socket.socket] = []
    while len(held) < sockets:
        batch = []
        for index in range(len(held), min(len(held) + CONNECTING, sockets)):
            client = socket.socket()
            client.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
            client.bind((f"127.0.1.{1 + index // PER_ADDRESS}", 0))
            client.connect(("127.0.0.1", port))
            if upgrade:
                client.send(request)
            batch.append(client)
        for client in batch:
            if upgrade and not client.recv(65_536).startswith(b"HTTP/1.1 101"):
                raise RuntimeError("the handshake was refused")
            client.setblocking(False)
        held += batch
    epoll = select.epoll()
    by_descriptor = {client.fileno(): client for client in held}
    for descriptor in by_descriptor:
        epoll.register(descriptor, select.EPOLLIN)
    epoll.register(control.fileno(), select.EPOLLIN)
    control.send("open")
    received, wanted, started = 0, 0, False
    while True:
        for descriptor, _ in epoll.poll():
            if descriptor == control.fileno():
                wanted = control.recv()
                if wanted == 0:
                    return
                received, started = 0, True
            else:
                received += len(by_descriptor[descriptor].recv(262_144))
        if started and received >= wanted:
            control.send("all")
            started = False


# --- the run ----------------------------------------------------------------------------------------------------


def hear(control: Connection) -> Any:
    """What a child says next; a child that says nothing ends the run."""
    if not control.poll(PATIENCE_S):
        raise TimeoutError("a server or its clients do not answer")
    return control.recv()


class Contender:
    """A server, its clients, and what its rounds took."""

    def __init__(self, name: str, sockets: int) -> None:
        context = get_context("spawn")
        self.name = name
        self.seconds: list[float] = []
        self._sockets = sockets
        self._server, there = context.Pipe()
        self._processes = [context.Process(target=serve, args=(name, there, sockets), daemon=True)]
        self._processes[0].start()
        port = hear(self._server)
        self._clients, there = context.Pipe()
        self._processes.append(
            context.Process(target=hold, args=(there, port, sockets, name != "floor"), daemon=True)
        )
        self._processes[1].start()
        if hear(self._clients) != "open":
            raise RuntimeError(f"{name}: the clients could not connect")

    def round(self, size: int, *, count: bool) -> None:
        self._clients.send(size * self._sockets)
        self._server.send("round")
        seconds = hear(self._server)
        hear(self._clients)
        if count:
            self.seconds.append(seconds)

    def microseconds(self) -> float:
        """The median round's CPU a delivery."""
        return statistics.median(self.seconds) / self._sockets * 1e6

    def stop(self) -> None:
        self._server.send("stop")
        self._clients.send(0)
        for process in self._processes:
            process.join(5)
            if process.is_alive():
                process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sockets", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    sizes = {name: len(board().frame_for(PLAIN_JSON)) for name in SERVERS}
    contenders = [Contender(name, options.sockets) for name in SERVERS]
    time.sleep(0.5)  # what was sent on joining has come by then
    for number in range(options.rounds + 2):
        for contender in contenders:
            contender.round(sizes[contender.name], count=number >= 2)  # two to warm up
    for contender in contenders:
        contender.stop()
    report(contenders, options, sizes["hub"])


def report(contenders: list[Contender], options: argparse.Namespace, size: int) -> None:
    bare = contenders[0].seconds
    table = Table(title=f"CPU a delivery, {size} B to {options.sockets} sockets, {options.rounds} rounds")
    for heading in ("server", "µs", "times the floor"):
        table.add_column(heading, justify="left" if heading == "server" else "right")
    results = {}
    for contender in contenders:
        ratio = statistics.median(a / b for a, b in zip(contender.seconds, bare, strict=True))
        results[contender.name] = {
            "us_per_delivery": round(contender.microseconds(), 3),
            "ratio_to_floor": round(ratio, 3),
            "rounds_us": [round(seconds / options.sockets * 1e6, 3) for seconds in contender.seconds],
        }
        table.add_row(contender.name, f"{contender.microseconds():.2f}", f"{ratio:.3f}")
    Console().print(table)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(
        json.dumps(
            {
                "command": f"python bench/hub_fanout.py --sockets {options.sockets} --rounds {options.rounds}",
                "sockets": options.sockets,
                "frame_bytes": size,
                "python": platform.python_version(),
                "machine": f"{platform.system()} {platform.release()} {platform.machine()}",
                "results": results,
            },
            indent=2,
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
