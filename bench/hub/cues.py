"""How soon a cue is on the last socket of a real server while votes come in, and how long its loop was ever held.

The server is `broadcast-sync serve` with engines of its own and an open window. An operator on the control socket
extends the window by a second, again and again; each cue is a must-arrive STATE_UPDATE for everybody. A cue counts from
just before it is sent until the last of the sockets has it, in the same clock. Boards go out each second and votes come
in evenly all the while. All of it, engines and load too, runs on this machine.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from websockets.sync.client import ClientConnection, connect

from bench.hub.audience import MOST, addresses
from bench.hub.contenders import DEFLATE
from bench.hub.process import cpu_s
from bench.hub.stand import hear
from bench.hub.watchers import Arrived, watch
from bench.votes.contenders import Contender, Environment, command, ours, settings_of
from clients.load.histogram import Histogram
from clients.load.load import Scenario, read_tokens
from clients.load.processes import run_scenario
from clients.load.report import Report
from clients.load.target import parse_target

VOTERS: Final = 500
EVERY_S: Final = 1.13
"""From cue to cue: boards come each second, and a cue should meet them at every moment."""
LEAD_S: Final = 5.0
"""What the voters have to come up and settle in before the first cue."""
STALL_S: Final = 0.02
_BUCKET: Final = re.compile(r'^broadcast_sync_hub_loop_stall_seconds_bucket\{le="([^"]+)"\} ([0-9.e+]+)$', re.M)
_LONGEST: Final = re.compile(r"^broadcast_sync_hub_loop_stall_max_seconds ([0-9.e+-]+)$", re.M)
_SPAWN: Final = get_context("spawn")


class CueResult(Struct, frozen=True):
    """Times in ms. `last_*` are over the cues, each at its last socket; `first_p50_ms` at its first. `stall_max_ms` is
    the longest of the last minute and `stalls` how many were over 20 ms, as the loop measured them; None if the server
    does not tell. `ack_*` are None without votes."""

    sockets: int
    cues: int
    votes_per_second: int
    acked_per_second: int
    ack_p50_ms: float | None
    ack_p99_ms: float | None
    first_p50_ms: float
    last_p50_ms: float
    last_p99_ms: float
    last_max_ms: float
    stall_max_ms: float | None
    stalls: int | None
    server_cpu: float
    """Of one core."""
    problems: dict[str, int]


def measure(sockets: int, votes_per_second: int, cues: int) -> CueResult:
    """One run. Ends the program if the server does not come up; raises RuntimeError if the sockets do not."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-cues-")))
        folder.chmod(0o755)  # the engines run as another user when we are root
        # the pace of the door is not what is measured
        environment = {**settings_of(folder), "BROADCAST_SYNC__HUB__HANDSHAKES_BURST": "1000000"}
        server = stack.enter_context(ours(environment, folder))
        watching = stack.enter_context(_watchers(server, sockets))
        voting = stack.enter_context(_voters(server, environment, folder, votes_per_second, cues * EVERY_S))
        time.sleep(LEAD_S)
        before, cpu, began = _stalls(server), cpu_s(server.processes["server"]), time.monotonic()
        with _operator(server, environment) as control:
            arrivals = [_cue(control, watching, number) for number in range(cues)]
        after = _stalls(server)
        share = (cpu_s(server.processes["server"]) - cpu) / (time.monotonic() - began)
        report = voting.result()
    first, last = ([pair[side] for pair in arrivals] for side in (0, 1))
    latency = Histogram(report.latency_us)
    return CueResult(
        sockets, cues, votes_per_second, round(report.acked_per_second), latency.percentile_ms(50),
        latency.percentile_ms(99), round(statistics.median(first), 1), round(statistics.median(last), 1),
        round(_percentile(last, 0.99), 1), round(max(last), 1),
        *_stalled(before, after), round(share, 2), {**report.errors, **report.failures},
    )


def _percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


@contextmanager
def _watchers(server: Contender, sockets: int) -> Iterator[list[Connection]]:
    target = parse_target(server.url)
    request = target.handshake("/voting/sync").replace(b"\r\n\r\n", f"\r\n{DEFLATE}\r\n\r\n".encode())
    parts, left = -(-sockets // MOST), sockets
    controls: list[Connection] = []
    processes = []
    try:
        for part in range(parts):
            count = left // (parts - part)
            left -= count
            control, there = _SPAWN.Pipe()
            arguments = (there, addresses(part, count), target.port, count, request)
            process = _SPAWN.Process(target=watch, args=arguments, daemon=True)
            process.start()
            there.close()
            processes.append(process)
            controls.append(control)
            if (answer := hear(control)) != "open":
                raise RuntimeError(answer)
        yield controls
    finally:
        for process in processes:
            process.kill()
            process.join()


@contextmanager
def _voters(
    server: Contender, environment: Environment, folder: Path, per_second: int, seconds: float
) -> Iterator[Future[Report]]:
    """Votes from before the first cue until after the last, in a process of their own."""
    tokens = folder / "tokens"
    command(environment, "token", "--role", "user", "--count", str(VOTERS), "--out", str(tokens))
    whole = 2 * LEAD_S + 1.2 * seconds
    scenario = Scenario(
        parse_target(server.url), "over", VOTERS, whole, votes=int(per_second * whole),
        tokens=read_tokens(tokens, VOTERS),
    )
    with ProcessPoolExecutor(1, _SPAWN) as pool:
        yield pool.submit(_vote, scenario)


def _vote(scenario: Scenario) -> Report:
    return run_scenario(scenario, 1, lambda stage, share: None)


@contextmanager
def _operator(server: Contender, environment: Environment) -> Iterator[ClientConnection]:
    token = command(environment, "token", "--role", "control").strip()
    url = f"{server.url.replace('http', 'ws', 1)}/control/sync"
    with connect(url, compression=None, max_size=None) as control:
        control.send(json.dumps({"type": "AUTH", "token": token}))
        yield control


def _cue(control: ClientConnection, watching: list[Connection], number: int) -> tuple[float, float]:
    """Sends one cue; ms until the first socket of all has it, and the last."""
    id, started = f"bench-{number}", time.monotonic_ns()
    control.send(json.dumps({"type": "CUE", "cueId": id, "event": "VOTING_EXTEND", "data": {"seconds": 1}}))
    revision = _revision(control, id)
    found = [_arrived(each, revision) for each in watching]
    first = min(arrived.first_ns for arrived in found) - started
    last = max(arrived.last_ns for arrived in found) - started
    time.sleep(max(0.0, EVERY_S - (time.monotonic_ns() - started) / 1e9))
    return first / 1e6, last / 1e6


def _revision(control: ClientConnection, id: str) -> int:
    while True:
        message: dict[str, Any] = json.loads(control.recv(timeout=30))
        data = message["data"]
        if message["type"] == "CUE_ACK" and data["cueId"] == id:
            return int(data["revision"])
        if message["type"] == "ERROR":
            raise RuntimeError(f"the cue was refused: {data}")


def _arrived(control: Connection, revision: int) -> Arrived:
    while True:
        arrived: Arrived = hear(control)
        if arrived.revision == revision:
            return arrived


def _stalls(server: Contender) -> str:
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def _stalled(before: str, after: str) -> tuple[float | None, int | None]:
    """The longest stall of the last minute in ms, and how many over 20 ms lie between two readings of the metrics."""
    longest = _LONGEST.search(after)
    if longest is None:
        return None, None
    counts = []
    for text in (before, after):
        buckets = {bound: float(count) for bound, count in _BUCKET.findall(text)}
        counts.append(int(buckets["+Inf"] - buckets[str(STALL_S)]))
    return round(float(longest[1]) * 1e3, 1), counts[1] - counts[0]
