"""A real `broadcast-sync serve` in a process of its own, with a data folder of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from broadcast_sync.show.sender import send

COMMAND = (sys.executable, "-m", "serve")
ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ServerProcess:
    """Starts on `start()`, ends by id. `settings` become environment variables: `{"show.grace_s": 0.5}`."""

    def __init__(self, data: Path, settings: dict[str, object] | None = None, *arguments: str) -> None:
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.arguments = arguments
        self.log = data.parent / f"{data.name}.log"
        chosen: dict[str, object] = {
            "server.port": self.port,
            "engine.data_dir": str(data),
            "show.grace_s": 0.5,
            "show.drain_s": 0.5,
            **(settings or {}),
        }
        self.environment = {
            **os.environ,
            **{f"BROADCAST_SYNC__{key.upper().replace('.', '__')}": str(value) for key, value in chosen.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, timeout_s: float = 30) -> None:
        """Returns once /readyz is green; AssertionError with the log's end if the process ends before."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "serve", *self.arguments],
                cwd=ROOT, env=self.environment, stdout=log, stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.tail()
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=1):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.05)
        raise AssertionError(f"not ready after {timeout_s} s\n{self.tail()}")

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-6000:]

    def kill(self) -> None:
        """kill -9: the engines stay behind, as after a crash."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self, timeout_s: float = 15) -> float:
        """Ctrl-C; returns the seconds it took."""
        assert self.process is not None
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout_s)
        return time.monotonic() - began

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command of ours against this server's data folder."""
        done = subprocess.run(
            [*COMMAND, *arguments], cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert not check or done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def cue(self, event: str, data: dict[str, Any] | None = None, **options: object) -> dict[str, Any]:
        """`broadcast-sync cue`; the CUE_ACK."""
        extra = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
        if data is not None:
            extra += ["--data", json.dumps(data)]
        answer: dict[str, Any] = json.loads(self.run("cue", event, "--url", self.url, "--json", *extra).stdout)
        return answer

    def cue_at_once(self, event: str, data: dict[str, Any] | None = None, **fields: object) -> dict[str, Any]:
        """A signed cue from this process, where a command's start would take too long; the CUE_ACK."""
        file = self.environment.get("BROADCAST_SYNC__CONTROL__SECRET_FILE") or self.data / "keys" / "control.secret"
        answer = send(self.url, Path(file).read_bytes().strip(), {"event": event, "data": data, **fields})
        assert answer.accepted, answer.body
        return answer.body

    def tokens(self, count: int, role: str = "user", sub: str = "u") -> list[str]:
        """Tokens of `count` users `u1`, `u2` ..."""
        file = self.data.parent / f"{self.data.name}-{role}-{sub}.tokens"
        self.run("token", "--role", role, "--sub", sub, "--count", str(count), "--out", str(file))
        return [json.loads(line)["token"] for line in file.read_text().splitlines()]

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=5) as answer:
            return json.load(answer)

    def cleanup(self) -> None:
        """Ends the process, and the engines too if they were left behind."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # at once: SIGTERM would wait for an open window
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)
        record = self.data / "engines.json"
        if record.exists():
            for engine in json.loads(record.read_text()).values():
                if isinstance(engine, dict) and engine.get("embedded"):
                    self._end(engine["pid"])

    def _end(self, pid: int) -> None:
        """Ends an engine of this data folder; a pid that has become somebody else's is left alone."""
        try:
            ours = Path(f"/proc/{pid}/cwd").resolve().is_relative_to(self.data.resolve())
        except OSError:
            return
        if ours:
            os.kill(pid, signal.SIGKILL)
