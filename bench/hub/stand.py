"""One contender with its audience: a server in its process, clients in theirs, and rounds when asked."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, Protocol

from msgspec import Struct

from bench.hub.audience import HANDSHAKE_S, LEARN, MOST, STOP, Heard, addresses, attend, open_sockets
from bench.hub.board import board
from bench.hub.contenders import Contender
from bench.hub.nginx import Nginx
from bench.hub.peers import PeerMissing, node_ws
from bench.hub.process import cpu_s, resident_bytes
from bench.hub.servers import PREPARE, ROUND, serve

PATIENCE_S: Final = 120.0
SETTLE_S: Final = 0.02
"""What a server has left to do when the last client has everything."""
WARM_UP: Final = 20
"""Sockets that come and go before memory is read, so that what a first connection loads counts for none."""
_SPAWN: Final = get_context("spawn")


class Measured(Struct, frozen=True):
    """One message to every socket: seconds of the server's CPU, and from the first to the last socket."""

    cpu_s: float
    spread_s: float


class _Server(Protocol):
    pid: int
    port: int

    def prepare(self) -> None:
        """Tidies up before a round."""

    def fire(self) -> None:
        """Sends the board to all sockets; returns when the server says that it has."""

    def stop(self) -> None: ...


def hear(control: Connection) -> Any:
    """What a child says next. Raises TimeoutError for a child that says nothing, EOFError for one that is gone."""
    if not control.poll(PATIENCE_S):
        raise TimeoutError(f"a server or its clients said nothing for {PATIENCE_S:.0f} s")
    return control.recv()


class _Python:
    def __init__(self, name: str) -> None:
        self._control, there = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=serve, args=(name, there), daemon=True)
        self._process.start()
        there.close()
        self.pid = self._process.pid or 0
        self.port: int = hear(self._control)

    def prepare(self) -> None:
        self._control.send(PREPARE)
        hear(self._control)

    def fire(self) -> None:
        self._control.send(ROUND)
        hear(self._control)

    def stop(self) -> None:
        self._process.kill()  # it has nothing to lose, and taking leave of all sockets would take long
        self._process.join()


class _Node:
    def __init__(self) -> None:
        modules = node_ws()
        self._folder = Path(tempfile.mkdtemp(prefix="bench-node-"))
        (self._folder / "board.json").write_bytes(board().json)
        script = Path(__file__).with_name("node_ws.mjs")
        self._process = subprocess.Popen(
            ["node", "--expose-gc", str(script), str(modules), str(self._folder / "board.json")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.pid = self._process.pid
        first = self._line()
        if not first.isdigit():
            self.stop()
            raise PeerMissing("the Node server did not start")
        self.port = int(first)

    def prepare(self) -> None:
        self._ask("prepare")

    def fire(self) -> None:
        self._ask("round")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ask(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        if self._line() != "done":
            raise RuntimeError("the Node server has ended")

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def _server(contender: Contender) -> _Server:
    if contender.kind == "node":
        return _Node()
    if contender.kind == "nginx":
        return Nginx()
    return _Python(contender.name)


class Stand:
    """Comes up with all its sockets. Raises PeerMissing if the contender cannot be had, Refused by the text of its
    clients if its server does not do what its row is about."""

    def __init__(self, contender: Contender, sockets: int, number: int) -> None:
        self.contender = contender
        self.sockets = sockets
        self.bytes_a_delivery = 0
        self.rounds: list[Measured] = []
        self._clients: list[tuple[BaseProcess, Connection, int]] = []
        self._server = _server(contender)
        try:
            self._warm_up()
            self._empty_bytes = resident_bytes(self._server.pid)
            self._open(number)
        except BaseException:
            self.stop()
            raise

    def _warm_up(self) -> None:
        contender, port = self.contender, self._server.port
        request = contender.handshake(port)
        for client in open_sockets(["127.0.0.1"], port, WARM_UP, request, contender.extension):
            client.close()
        time.sleep(0.2)  # the server has seen them go by then
        self._server.prepare()

    def _open(self, number: int) -> None:
        """Client processes one after the other, each from addresses of its own."""
        contender, port, left = self.contender, self._server.port, self.sockets
        parts = -(-left // MOST)
        for part in range(parts):
            count = left // (parts - part)
            left -= count
            control, there = _SPAWN.Pipe()
            sources = addresses(10 * number + part, count)
            arguments = (there, sources, port, count, contender.handshake(port), contender.extension)
            process = _SPAWN.Process(target=attend, args=arguments, daemon=True)
            process.start()
            there.close()
            self._clients.append((process, control, count))
            answer = hear(control)
            if answer != "open":
                raise PeerMissing(answer)

    def learn(self) -> None:
        """The first round: how many bytes one delivery has."""
        self._listen(LEARN)
        self._server.prepare()
        self._server.fire()
        received = sum(heard.received for heard in self._heard())
        each, rest = divmod(received, self.sockets)
        if rest:
            raise RuntimeError(f"{self.contender.name}: {received} bytes to {self.sockets} sockets are not one message")
        self.bytes_a_delivery = each

    def round(self) -> None:
        """One message to every socket, measured until every client has every byte."""
        self._server.prepare()
        self._listen(self.bytes_a_delivery)
        before = cpu_s(self._server.pid)
        self._server.fire()
        heard = self._heard()
        time.sleep(SETTLE_S)
        spent = cpu_s(self._server.pid) - before
        spread_ns = max(each.last_ns for each in heard) - min(each.first_ns for each in heard)
        self.rounds.append(Measured(spent, spread_ns / 1e9))

    def bytes_a_socket(self) -> float:
        """Memory of the server's process that each of its sockets accounts for, at rest."""
        self._server.prepare()
        return (resident_bytes(self._server.pid) - self._empty_bytes) / self.sockets

    def stop(self) -> None:
        for process, control, _ in self._clients:
            try:
                control.send(STOP)
            except OSError:
                pass  # it ended before
            process.join(HANDSHAKE_S)
            if process.is_alive():
                process.kill()
        self._server.stop()

    def _listen(self, bytes_each: int) -> None:
        for _, control, count in self._clients:
            control.send(LEARN if bytes_each == LEARN else bytes_each * count)
        for _, control, _ in self._clients:
            hear(control)

    def _heard(self) -> list[Heard]:
        return [hear(control) for _, control, _ in self._clients]
