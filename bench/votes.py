"""Votes: how many a second are acknowledged as durable, and what each costs, beside the floor in the same run.

    python -m bench.votes [--sockets 500] [--seconds 5] [--rounds 3]

floor   the same hub with a handler that acks at once (bench/echo_server.py): no rules, no engine, no ledger
server  `broadcast-sync serve` from its command line with embedded engines, ruleset `unlimited`: an ack means fsynced

Both stand side by side and take turns, so that whatever else the machine does falls on both. Every socket votes, waits
for its ack and votes again (closed loop). CPU is user and system time of each process, from the first vote until the
ledger has had time to follow. At the end `broadcast-sync recount` must say EQUAL. Prints a table and writes
bench/results/votes.json. Exit code 1 if votes failed or the recount differs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
from rich.console import Console
from rich.table import Table

from clients.load.histogram import Histogram
from clients.load.load import MEASURING, Scenario, read_tokens
from clients.load.processes import run_scenario
from clients.load.report import Report
from clients.load.target import parse_target

RESULT: Final = Path(__file__).parent / "results" / "votes.json"
COMMAND: Final = Path(sys.executable).parent / "broadcast-sync"
START_S: Final = 60.0
STOP_S: Final = 20.0
FOLLOW_S: Final = 2.0
"""What the ledger is given to follow before CPU is read."""
WARM_S: Final = 2.0


def cpu_s(pid: int) -> float:
    """User and system time of a process and of what it started, its ended children included. Ends the program if
    the process is gone."""
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        sys.exit(f"process {pid} was stopped during the run; nothing was measured")
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            total += sum(each.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue  # its time is its parent's children's time by now
    return total


class Round:
    """One scenario against one server: the report, and CPU seconds by process."""

    def __init__(self, scenario: Scenario, processes: dict[str, int]) -> None:
        self._processes = processes
        self._before: dict[str, float] = {}
        self.report: Report = run_scenario(scenario, 1, self._stage)
        time.sleep(FOLLOW_S)
        self.cpu = {name: now - self._before[name] for name, now in self._read().items()}

    def _stage(self, stage: str, share: float) -> None:
        if stage == MEASURING and not self._before:
            self._before = self._read()

    def _read(self) -> dict[str, float]:
        found = {name: cpu_s(pid) for name, pid in self._processes.items()}
        children = found.get("valkey", 0.0) + found.get("postgres", 0.0)
        found["server"] -= children  # the engines are the server's children
        return found

    def us_a_vote(self, name: str) -> float:
        """Microseconds of CPU for each acknowledged vote."""
        return self.cpu.get(name, 0.0) / max(1, self.report.acked) * 1e6


@contextmanager
def running(arguments: list[str], environment: dict[str, str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process of ours, told to stop at the end and killed if it does not."""
    process = subprocess.Popen(arguments, env=environment, text=True, **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_ready(url: str, process: subprocess.Popen[str], log: Path) -> None:
    """Until `/readyz` is green. Ends the program with the server's last words if it does not come up."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=1.0):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    sys.exit(f"the server did not come up:\n{log.read_text()[-2000:]}")


def run_command(environment: dict[str, str], *arguments: str) -> str:
    """A command of `broadcast-sync`; ends the program if it fails."""
    done = subprocess.run([str(COMMAND), *arguments], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"broadcast-sync {' '.join(arguments)} failed:\n{done.stderr}{done.stdout}")
    return done.stdout


def engine_pids(data: Path) -> dict[str, int]:
    record = json.loads((data / "engines.json").read_text())
    return {name: record[name]["pid"] for name in ("valkey", "postgres")}


def main() -> int:
    parser = argparse.ArgumentParser(description="Durable votes a second and their cost, beside the floor.")
    parser.add_argument("--sockets", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bench-votes-"))
    folder.chmod(0o755)  # the engines run as another user when we are root
    try:
        rounds, recount = measure(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    results = {name: summary(found) for name, found in rounds.items()}
    results["server"]["ratio_to_floor"] = ratio(rounds)
    show(results, options, recount)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(document(options, results, recount), indent=2) + "\n")
    clean = all(each.report.clean for found in rounds.values() for each in found)
    return 0 if clean and recount == "EQUAL" else 1


def measure(options: argparse.Namespace, folder: Path) -> tuple[dict[str, list[Round]], str]:
    """Both servers up, a warm-up, the rounds in turns, the recount."""
    data, port = folder / "data", free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {
        "SERVER__PORT": str(port), "ENGINE__DATA_DIR": str(data), "LOG__LEVEL": "warning",
        # the flood limit guards against one socket's votes; here few sockets stand for many
        "HUB__MESSAGES_PER_SECOND": "100000", "HUB__MESSAGES_BURST": "100000",
    }
    environment = {**os.environ, **{f"BROADCAST_SYNC__{key}": value for key, value in settings.items()}}
    rounds: dict[str, list[Round]] = {"floor": [], "server": []}
    with ExitStack() as stack:
        log = stack.enter_context((folder / "server.log").open("w"))
        server = stack.enter_context(
            running([str(COMMAND), "serve"], environment, stdout=log, stderr=subprocess.STDOUT)
        )
        wait_ready(url, server, folder / "server.log")
        tokens = folder / "tokens"
        run_command(environment, "token", "--role", "user", "--count", str(options.sockets), "--out", str(tokens))
        run_command(environment, "cue", "SHOW_START", "--data", '{"showId":"demo","episode":1}')
        run_command(environment, "cue", "VOTING_OPEN", "--duration", "3600", "--data", '{"ruleset":"unlimited"}')
        floor = stack.enter_context(
            running([sys.executable, "-m", "bench.echo_server"], environment, stdout=subprocess.PIPE)
        )
        assert floor.stdout is not None
        floor_url = f"http://127.0.0.1:{int(floor.stdout.readline())}"
        auth = read_tokens(tokens, options.sockets)
        contenders = {
            "floor": (floor_url, {"server": floor.pid}),
            "server": (url, {"server": server.pid, **engine_pids(data)}),
        }
        for number in range(options.rounds + 1):
            seconds = options.seconds if number else WARM_S
            for name, (address, processes) in contenders.items():
                scenario = Scenario(parse_target(address), "closed", options.sockets, seconds, tokens=auth)
                done = Round(scenario, processes)
                if number:
                    rounds[name].append(done)
        recount = run_command(environment, "recount", "--json")
    return rounds, "EQUAL" if '"EQUAL"' in recount else "DIFFERS"


def summary(rounds: list[Round]) -> dict[str, Any]:
    """Medians over the rounds; latencies of all rounds together."""
    latency = Histogram()
    for each in rounds:
        latency.merge(each.report.latency_us)
    names = rounds[0].cpu
    return {
        "acked": sum(each.report.acked for each in rounds),
        "acked_per_second": round(statistics.median(each.report.acked_per_second for each in rounds)),
        "ack_ms": {"p50": latency.percentile_ms(50), "p99": latency.percentile_ms(99)},
        "cpu_us_a_vote": {name: round(statistics.median(r.us_a_vote(name) for r in rounds), 2) for name in names},
        "load_cpu_us_a_vote": round(
            statistics.median(each.report.cpu_s / max(1, each.report.acked) * 1e6 for each in rounds), 2
        ),
        "rounds_per_second": [round(each.report.acked_per_second) for each in rounds],
        "errors": {code: n for each in rounds for code, n in {**each.report.errors, **each.report.failures}.items()},
    }


def ratio(rounds: dict[str, list[Round]]) -> float:
    """CPU of the server's own process a vote, as a multiple of the floor's: the median of the rounds."""
    pairs = zip(rounds["server"], rounds["floor"], strict=True)
    return round(statistics.median(ours.us_a_vote("server") / floor.us_a_vote("server") for ours, floor in pairs), 3)


def show(results: dict[str, dict[str, Any]], options: argparse.Namespace, recount: str) -> None:
    table = Table(
        title=f"{options.sockets} sockets, closed loop, {options.rounds} x {options.seconds:g} s; recount {recount}"
    )
    headings = (
        "CPU a vote", "acked/s", "p50 ms", "p99 ms", "server µs", "Valkey µs", "PG µs", "load µs", "x floor",
    )
    for heading in headings:
        table.add_column(heading, justify="left" if heading == headings[0] else "right")
    for name, found in results.items():
        cpu = found["cpu_us_a_vote"]
        table.add_row(
            name, f"{found['acked_per_second']:,}", f"{found['ack_ms']['p50']:.1f}", f"{found['ack_ms']['p99']:.1f}",
            *(f"{cpu[part]:.1f}" if part in cpu else "" for part in ("server", "valkey", "postgres")),
            f"{found['load_cpu_us_a_vote']:.1f}", f"{found.get('ratio_to_floor', 1.0):.2f}",
        )
    Console(width=100).print(table)


def document(options: argparse.Namespace, results: dict[str, Any], recount: str) -> dict[str, Any]:
    return {
        "command": f"python -m bench.votes --sockets {options.sockets} --seconds {options.seconds:g} "
                   f"--rounds {options.rounds}",
        "sockets": options.sockets, "recount": recount, "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} CPUs",
        "results": results,
    }


if __name__ == "__main__":
    sys.exit(main())
