"""Open Sound Control: cues from cue stacks and show controllers, over UDP and TCP on a port of its own.

Off unless `[osc] enabled`. Cues go one after the other, in the order they came, through the same intake as all others;
what waited too long is refused rather than taken late.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterator
from functools import partial
from time import monotonic
from typing import Any, Final, Protocol

import structlog
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from broadcast_sync.clock import Clock
from broadcast_sync.control.osc_cues import Asked, BadPacket, acknowledged, read, refused
from broadcast_sync.control.osc_gate import Gate, Verdict
from broadcast_sync.control.osc_tcp import OscConnection, Reply
from broadcast_sync.errors import Refusal, SettingsError, StartError
from broadcast_sync.settings import Osc
from broadcast_sync.wire.client import CueMessage
from broadcast_sync.wire.server import CueAck

WAITING: Final = 64
"""Messages that may wait for the one before them; one more gets BUSY."""
LATE_MS: Final = 2_000
"""A cue that has waited longer is not taken any more: it gets BUSY."""
CONNECTIONS: Final = 32
"""TCP connections at a time; one more is closed at once."""

log = structlog.get_logger()


class Submit(Protocol):
    """The cue intake's `submit`."""

    def __call__(self, cue: CueMessage, *, by: str, received_ms: int) -> Awaitable[CueAck]: ...


def check_osc(settings: Osc) -> None:
    """Raises SettingsError for a port that more than this machine could reach with no list of who may."""
    if settings.enabled and not settings.allow and settings.host not in ("127.0.0.1", "::1", "localhost"):
        raise SettingsError(
            f"osc.allow: OSC knows no passwords, so on {settings.host} it needs the addresses that may send; "
            'allow = ["192.168.10.0/24"], or host = "127.0.0.1"'
        )
    Gate(settings.allow, settings.messages_per_second, settings.total_per_second)


class OscServer(Collector):
    """One node's OSC port, and its counts for a Prometheus registry. `start` it in a running loop, `stop` it."""

    def __init__(self, settings: Osc, submit: Submit, clock: Clock) -> None:
        check_osc(settings)
        self._settings = settings
        self._submit = submit
        self._clock = clock
        self._gate = Gate(settings.allow, settings.messages_per_second, settings.total_per_second)
        self._waiting: asyncio.Queue[tuple[str, Asked, int, Reply]] = asyncio.Queue(WAITING)
        self._connections: set[OscConnection] = set()
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._worker: asyncio.Task[None] | None = None
        self.counts: Counter[str] = Counter()
        """Messages and packets by what became of them."""

    @property
    def port(self) -> int:
        """The port in use, of interest if the settings leave it to the system."""
        return 0 if self._tcp is None else int(self._tcp.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listens, on UDP and TCP. Raises StartError if it cannot."""
        loop, host = asyncio.get_running_loop(), self._settings.host
        try:
            self._tcp = await loop.create_server(lambda: OscConnection(self), host, self._settings.port)
            self._udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), local_addr=(host, self.port))
        except (OSError, OverflowError, UnicodeError) as error:
            await self.stop()
            raise StartError(
                f"cannot listen for OSC on {host} port {self._settings.port} ({error}); set osc.host and osc.port"
            ) from None
        self._worker = loop.create_task(self._work(), name="osc")
        log.info("osc_listening", host=host, port=self.port, allow=self._settings.allow or "this machine")

    async def stop(self) -> None:
        """Hears nothing more; a cue that is being taken is given up, and its sender left without an answer."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait({self._worker})
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for connection in list(self._connections):
            connection.cut()
        self._worker = self._udp = self._tcp = None

    def collect(self) -> Iterator[Metric]:
        """What has become of what came."""
        family = CounterMetricFamily("broadcast_sync_osc_messages", "OSC messages, by outcome", labels=["outcome"])
        for outcome, count in self.counts.items():
            family.add_metric([outcome], count)
        yield family

    # --- what arrives -----------------------------------------------------------------------------------------

    def joined(self, address: str, connection: OscConnection) -> bool:
        if not self._gate.allowed(address):
            self._note(address, "stranger", "its address is not on the list")
            return False
        if len(self._connections) >= CONNECTIONS:
            self._note(address, "refused", f"there are {CONNECTIONS} connections already")
            return False
        self._connections.add(connection)
        return True

    def left(self, connection: OscConnection) -> None:
        self._connections.discard(connection)

    def datagram(self, packet: bytes, sender: tuple[Any, ...]) -> None:
        """A packet over UDP; it is answered at the port it came from, or at `reply_port` of the same address."""
        to = (sender[0], self._settings.reply_port or sender[1], *sender[2:])
        self.packet(sender[0], packet, partial(self._answer, to))

    def _answer(self, to: tuple[Any, ...], answer: bytes) -> None:
        if self._udp is not None:
            self._udp.sendto(answer, to)

    def packet(self, address: str, packet: bytes, reply: Reply) -> None:
        """A packet, however it came. Does nothing that takes long."""
        if not self._admitted(address, 1, reply):
            return
        received_ms = self._clock.now_ms()
        try:
            asked = read(packet, received_ms)
        except BadPacket as error:
            self.bad(address, str(error))
            return
        if len(asked) > 1 and not self._admitted(address, len(asked) - 1, reply):
            return
        for one in asked:
            if self._waiting.full():
                self.counts["busy"] += 1
                reply(refused(one.name, Refusal("BUSY")))
            else:
                self._waiting.put_nowait((address, one, received_ms, reply))

    def bad(self, address: str, why: str) -> None:
        """Counts what could not be read; nobody is answered."""
        self._note(address, "malformed", why)

    def _admitted(self, address: str, cost: int, reply: Reply) -> bool:
        verdict = self._gate.judge(address, monotonic(), cost)
        if verdict is Verdict.STRANGER:
            self._note(address, "stranger", "its address is not on the list")
        elif verdict is not Verdict.PASS:
            self._note(address, "flood", "it sends too fast")
            if verdict is Verdict.FLOOD_BEGINS:
                reply(refused("", Refusal("RATE_LIMIT")))
        return verdict is Verdict.PASS

    def _note(self, address: str, outcome: str, why: str) -> None:
        self.counts[outcome] += 1
        if self._gate.worth_a_line(address, outcome, monotonic()):
            log.warning("osc_not_taken", address=address, outcome=outcome, reason=why)

    # --- what is done -----------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            address, asked, received_ms, reply = await self._waiting.get()
            try:
                answer = await self._take(address, asked, received_ms)
            except Refusal as refusal:
                self.counts["refused"] += 1
                answer = refused(asked.name, refusal)
            except Exception:
                # a fault of ours: the sender is told to try again, and the next message is taken
                log.exception("osc_failed", address=address)
                answer = refused(asked.name, Refusal("TRY_AGAIN"))
            reply(answer)

    async def _take(self, address: str, asked: Asked, received_ms: int) -> bytes:
        if asked.cue is None:
            raise asked.refusal or Refusal("BAD_MESSAGE")
        if self._clock.now_ms() - received_ms > LATE_MS:
            raise Refusal("BUSY", "It had to wait too long, and was not taken.")
        ack = await self._submit(asked.cue, by=f"osc:{address}", received_ms=received_ms)
        self.counts["taken"] += 1
        return acknowledged(asked.cue, ack)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: OscServer) -> None:
        self._server = server

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._server.datagram(data, addr)

    def error_received(self, exc: Exception) -> None:
        """An answer that nobody listened for: the sender's own affair."""
