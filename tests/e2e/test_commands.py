"""The command line as a person at a terminal meets it, and what a server says when it cannot start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Starter
from tests.support.process import COMMAND, ROOT, ServerProcess, free_port

pytestmark = pytest.mark.timeout(90)


def failed_start(server: ServerProcess) -> tuple[int, str]:
    """Exit code and last line of a server that cannot start."""
    done = subprocess.run(
        [*COMMAND, "serve"], cwd=ROOT, env=server.environment, capture_output=True, text=True, timeout=60
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip().splitlines()[-1]


def test_what_is_taken_is_said_in_one_line_with_the_way_out(start_server: Starter, tmp_path: Path) -> None:
    running = start_server()
    same_folder = ServerProcess(running.data)
    code, line = failed_start(same_folder)
    assert code == 1 and f"pid {running.process.pid if running.process else 0}" in line and "data_dir" in line
    same_port = ServerProcess(tmp_path / "other", {"server.port": running.port})
    code, line = failed_start(same_port)
    assert code == 1 and f"port {running.port}" in line and "server.port" in line
    assert running.get("/api/v1/status")["voting"] == "IDLE"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"server.port": 99999}, "expected `int` <= 65535"),
        ({"server.prot": 1}, "there is no setting server.prot"),
        ({"engine.valkey_url": "redis://127.0.0.1:1/0"}, "127.0.0.1:1"),
        ({"engine.postgres_url": "postgresql://nobody:hunter2@127.0.0.1:1/x"}, "127.0.0.1"),
        ({"engine.min_free_mb": 1_000_000}, "free"),
        ({"voting.ruleset": "nonsense"}, "nonsense"),
        ({"server.host": "0.0.0.0", "auth.guests": "all"}, "loopback"),
        ({"server.host": "no such host"}, "server.host"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(tmp_path: Path, settings: dict[str, object], words: str) -> None:
    server = ServerProcess(tmp_path / "data", settings)
    code, line = failed_start(server)
    assert code in (1, 2) and words in line, line
    assert "hunter2" not in line


def test_commands_work_without_a_server_and_find_a_running_one(start_server: Starter) -> None:
    server = start_server()
    shown = json.loads(server.run("config", "--json").stdout)
    assert shown["server"]["port"] == server.port
    for command in ("serve", "cue", "token", "show", "recount", "migrate", "load", "config"):
        assert "--help" in server.run(command, "--help").stdout
    listed = json.loads(server.run("show", "list", "--json").stdout)
    assert [(row["showId"], row["episode"], row["contestants"]) for row in listed] == [("demo", 1, 12)]
    demo = str(ROOT / "broadcast_sync" / "show" / "demo" / "demo.toml")
    assert json.loads(server.run("show", "check", demo, "--json").stdout)["contestants"] == 12
    assert server.stop() < 5
    assert json.loads(server.run("show", "load", demo, "--json").stdout)["showId"] == "demo"
    assert json.loads(server.run("migrate", "--json").stdout) is not None
    assert server.run("recount", check=False).returncode == 2  # there is no window yet


def test_a_rehearsal_runs_a_whole_show(start_server: Starter) -> None:
    server = start_server(None, "--guests", "users")
    done = subprocess.run(
        [
            sys.executable, "-m", "clients.load.rehearsal", "--url", server.url, "--voters", "40", "--window", "6",
            "--rounds", "1", "--secret-file", str(server.data / "keys" / "control.secret"),
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=80,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("lines open", "certified", "no mismatches"):
        assert words in done.stdout
    assert json.loads(server.run("recount", "--json").stdout)["outcome"] == "EQUAL"


def test_the_procfile_starts(tmp_path: Path) -> None:
    port = free_port()
    server = ServerProcess(tmp_path / "data", {"server.port": port})
    honcho = subprocess.Popen(
        [sys.executable, "-m", "honcho", "start", "-d", str(ROOT)], cwd=ROOT, env=server.environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 40
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert honcho.poll() is None and time.monotonic() < deadline, honcho.communicate(timeout=5)
            time.sleep(0.1)
    finally:
        os.kill(honcho.pid, signal.SIGTERM)
        honcho.communicate(timeout=20)
