"""How late armed cues are taken: a real server, its engines, and cues armed for instants all over the second.

    python -m bench.armed [--cues 80] [--apart 100]

late     of a cue's execution against its instant, as the server logs it (`latenessMs`)
visible  when a socket of the audience had the STATE_UPDATE, against the instant
floor    how late asyncio.sleep wakes this process for the same instants, with nothing to do

Milliseconds. An empty server, the clock of one machine: what a full hub adds is bench.hub's to say. The result is
printed and written to bench/results/armed.json.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from broadcast_sync.show.sender import Answer, ask
from broadcast_sync.wire.times import iso, parse_iso
from clients.python.client import BroadcastSyncClient
from clients.python.messages import Message

ROOT: Final = Path(__file__).parent.parent
RESULT: Final = Path(__file__).parent / "results" / "armed.json"
LEAD_MS: Final = 3_000
DEMO: Final = {"showId": "demo", "episode": 1, "rehearsal": True}


@contextlib.contextmanager
def server(folder: Path) -> Iterator[str]:
    """The URL of a server with a data folder of its own; stopped at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    chosen = {"SERVER__PORT": str(port), "ENGINE__DATA_DIR": str(folder / "data"), "LOG__LEVEL": "warning"}
    environment = {**os.environ, **{f"BROADCAST_SYNC__{key}": value for key, value in chosen.items()}}
    process = subprocess.Popen([sys.executable, "-m", "serve", "serve"], cwd=ROOT, env=environment,
                               stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_ready(url, process)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def wait_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    """Returns once /readyz is green. Raises SystemExit if the server ends before, or after half a minute."""
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=1):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    raise SystemExit("the server did not become ready")


class Desk:
    """Signed requests to the control room."""

    def __init__(self, url: str, secret: bytes) -> None:
        self._url = url
        self._secret = secret

    def send(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        """What the server says. Raises SystemExit if it refuses."""
        answer: Answer = ask(self._url, self._secret, "POST", path, content)
        if not answer.accepted:
            raise SystemExit(f"refused: {answer.body}")
        return answer.body

    def log(self, count: int) -> list[dict[str, Any]]:
        """The last lines of the cue log."""
        answer = ask(self._url, self._secret, "GET", "/control/state")
        return list(answer.body["cues"][:count])


async def measured(url: str, desk: Desk, cues: int, apart_ms: int) -> dict[str, list[float]]:
    """Lateness in ms, one figure a cue, by what is measured."""
    seen: list[tuple[str, float]] = []

    def on_state(message: Message) -> None:
        performance = message.data.performance
        seen.append((performance.contestant_id if performance else "", time.time() * 1000))

    viewer = BroadcastSyncClient(url.replace("http", "ws", 1) + "/voting/sync", channels=("show",), proxy=None)
    viewer.on("STATE_UPDATE", on_state)
    viewer.start()
    desk.send("/control/cues", {"event": "SHOW_START", "data": DEMO})
    start_ms = round(time.time() * 1000) + LEAD_MS
    items = [
        {"id": f"q{n}", "event": "PERFORMANCE_END" if n % 2 else "PERFORMANCE_START", "offset": n * apart_ms / 1000,
         "data": {} if n % 2 else {"contestantId": "c01"}}
        for n in range(cues)
    ]
    loaded = desk.send("/control/rundown", {"rundown": {"name": "bench", "cues": items}, "start": iso(start_ms)})
    due = [parse_iso(item["at"]) for item in loaded["rundown"]["items"]]
    floor: list[float] = []
    late: dict[str, float] = {}
    for at_ms in due:
        await asyncio.sleep(max(0.0, at_ms / 1000 - time.time()))
        floor.append(time.time() * 1000 - at_ms)
        if len(floor) % 5 == 0 or len(floor) == cues:
            await asyncio.sleep(apart_ms / 2000)
            late |= {
                line["cueId"]: float(line["latenessMs"])
                for line in await asyncio.to_thread(desk.log, 20) if line["outcome"] == "executed"
            }
    await asyncio.sleep(0.5)
    await viewer.close()
    taken = [late[f"q{n}"] for n in range(cues) if f"q{n}" in late]
    return {"floor": floor, "late": taken, "visible": [at - due[n] for n, (_, at) in enumerate(seen[-cues:])]}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="bench.armed", description="How late armed cues are taken.")
    parser.add_argument("--cues", type=int, default=80, help="2 to 100")
    parser.add_argument("--apart", type=int, default=103, help="milliseconds between two")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as url:
        desk = Desk(url, (Path(folder) / "data" / "keys" / "control.secret").read_bytes().strip())
        found = asyncio.run(measured(url, desk, options.cues, options.apart))
    table = Table("ms", "cues", "median", "95 %", "99 %", "most", title="armed cues, late against their instants")
    result: dict[str, Any] = {}
    for name, values in found.items():
        ordered = sorted(values)
        at = {part: round(ordered[min(len(ordered) - 1, int(len(ordered) * part / 100))], 1) for part in (50, 95, 99)}
        most = round(ordered[-1], 1)
        result[name] = {"cues": len(ordered), **{f"p{part}": ms for part, ms in at.items()}, "most": most}
        table.add_row(name, str(len(ordered)), *(str(ms) for ms in at.values()), str(most))
    Console().print(table)
    RESULT.write_text(json.dumps({**result, "apartMs": options.apart}, indent=1) + "\n")


if __name__ == "__main__":
    main()
