"""Who takes part: each a context that runs, with its address and its processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from msgspec import Struct

from bench.votes.peer import PROGRAM
from broadcast_sync.engine.engines import open_engines
from broadcast_sync.settings import Engine, Settings

COMMAND: Final = Path(sys.executable).parent / "broadcast-sync"
START_S: Final = 60.0
STOP_S: Final = 20.0

Environment = dict[str, str]


class Contender(Struct, frozen=True):
    """`url` is where the load goes; `processes` whose CPU counts, by part."""

    url: str
    processes: dict[str, int]


def settings_of(folder: Path) -> Environment:
    """The environment of our server, and of the floor, whose tokens and limits are the same."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    chosen = {
        "SERVER__PORT": str(port), "ENGINE__DATA_DIR": str(folder / "data"), "LOG__LEVEL": "warning",
        # the flood limit guards against one socket's votes; here few sockets stand for many
        "HUB__MESSAGES_PER_SECOND": "100000", "HUB__MESSAGES_BURST": "100000",
    }
    return {**os.environ, **{f"BROADCAST_SYNC__{key}": value for key, value in chosen.items()}}


def command(environment: Environment, *arguments: str) -> str:
    """A command of `broadcast-sync`; ends the program if it fails."""
    done = subprocess.run([str(COMMAND), *arguments], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"broadcast-sync {' '.join(arguments)} failed:\n{done.stderr}{done.stdout}")
    return done.stdout


@contextmanager
def ours(environment: Environment, folder: Path) -> Iterator[Contender]:
    """`broadcast-sync serve` with engines of its own and a window open for an hour under the ruleset `unlimited`."""
    url = f"http://127.0.0.1:{environment['BROADCAST_SYNC__SERVER__PORT']}"
    file = folder / "server.log"
    with file.open("w") as log, _running([str(COMMAND), "serve"], environment, stdout=log, stderr=log) as server:
        _wait_ready(url, server, file)
        command(environment, "cue", "SHOW_START", "--data", '{"showId":"demo","episode":1}')
        command(environment, "cue", "VOTING_OPEN", "--duration", "3600", "--data", '{"ruleset":"unlimited"}')
        record = json.loads((folder / "data" / "engines.json").read_text())
        engines = {name: record[name]["pid"] for name in ("valkey", "postgres")}
        yield Contender(url, {"server": server.pid, **engines})


@contextmanager
def floor(environment: Environment) -> Iterator[Contender]:
    """The same hub with a handler that acks at once."""
    with _running([sys.executable, "-m", "bench.votes.echo_server"], environment, stdout=subprocess.PIPE) as process:
        yield Contender(_said_port(process), {"server": process.pid})


@contextmanager
def peer(folder: Path, valkey_url: str, valkey_pid: int) -> Iterator[Contender]:
    """Node, ws and BullMQ on the engine given; `folder` holds its packages."""
    path = unquote(valkey_url.removeprefix("unix://"))
    arguments = ["node", str(PROGRAM), str(folder), path]
    with _running(arguments, dict(os.environ), stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
        yield Contender(_said_port(process), {"server": process.pid, "valkey": valkey_pid})


@contextmanager
def engine(folder: Path) -> Iterator[tuple[str, int]]:
    """The URL and pid of a Valkey with the embedded one's options, for the bare script and the peer."""
    opened = open_engines(Settings(engine=Engine(data_dir=str(folder / "second"), min_free_mb=0)), serve=False)
    with asyncio.Runner() as runner:
        engines = runner.run(opened.__aenter__())
        try:
            yield engines.valkey_url, json.loads((folder / "second" / "engines.json").read_text())["valkey"]["pid"]
        finally:
            runner.run(opened.__aexit__(None, None, None))


@contextmanager
def _running(arguments: list[str], environment: Environment, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process of ours, told to stop at the end and killed if it does not."""
    process = subprocess.Popen(arguments, env=environment, text=True, **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _said_port(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line.isdigit():
        sys.exit(f"`{process.args!r}` did not say its port")
    return f"http://127.0.0.1:{line}"


def _wait_ready(url: str, process: subprocess.Popen[str], log: Path) -> None:
    """Until `/readyz` is green. Ends the program with the server's last words if it does not come up."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=1.0):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    sys.exit(f"the server did not come up:\n{log.read_text()[-2000:]}")
