"""docs/control-room.md, followed word for word: its commands against a real server, their answers as it prints them."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.process import ROOT, ServerProcess, free_port

PAGE = ROOT / "docs" / "control-room.md"
Starter = Callable[..., ServerProcess]


def examples() -> list[tuple[str, str]]:
    """Each block of commands, with the answer that is printed behind it."""
    blocks = re.findall(r"```sh\n(.*?)```\n(?:\n```answer\n(.*?)```)?", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 8
    return [(commands, answer) for commands, answer in blocks]


def shell(server: ServerProcess, osc_port: int, folder: Path, commands: str) -> str:
    """What the commands print. The shell forgets: what a block needs of those before it stands in `commands`."""
    here = {
        "http://127.0.0.1:8000": server.url, "9010": str(osc_port), ".venv/bin/python": sys.executable,
        ".venv/bin/broadcast-sync cue": f"{sys.executable} -m serve cue --url {server.url}",
        ".venv/bin/broadcast-sync": f"{sys.executable} -m serve",
    }
    commands = re.sub("|".join(map(re.escape, here)), lambda written: here[written[0]], commands)
    environment = {**server.environment, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-eu", "-c", commands], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def agrees(printed: str, expected: str) -> bool:
    """Line by line; … and the spaces behind it stand for anything."""
    lines = [".*".join(map(re.escape, re.split("… *", line))) for line in expected.splitlines()]
    return re.fullmatch("\n".join(lines), printed.rstrip("\n")) is not None


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page speaks HTTP with curl")
@pytest.mark.timeout(60)
def test_the_page_word_for_word(start_server: Starter, tmp_path: Path) -> None:
    osc_port = free_port()
    [table] = [block for block in re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL) if "[scte35]" in block]
    server = start_server({
        "osc.enabled": "true", "osc.port": osc_port, "scte35.map": json.dumps(tomllib.loads(table)["scte35"]["map"]),
    })
    [(on_air, _), (token, _), *rest] = examples()
    shell(server, osc_port, tmp_path, on_air)
    for commands, expected in rest:
        if "splice()" in commands:
            wait_for_certificate(server)
        printed = shell(server, osc_port, tmp_path, token + commands)
        assert agrees(printed, expected), f"{commands}\n{printed}\n{expected}"


def wait_for_certificate(server: ServerProcess) -> None:
    deadline = time.monotonic() + 20
    while server.get("/api/v1/status")["voting"] != "CLOSED":
        assert time.monotonic() < deadline, server.tail()
        time.sleep(0.1)


def companion(path: str, token: str, body: str) -> bytes:
    """A POST as Companion's generic module sends it (its HTTP client is got)."""
    return (
        f"POST {path} HTTP/1.1\r\nuser-agent: got (https://github.com/sindresorhus/got)\r\n"
        f"authorization: Bearer {token}\r\ncontent-type: application/json\r\naccept: application/json\r\n"
        f"content-length: {len(body)}\r\naccept-encoding: gzip, deflate, br\r\nHost: 127.0.0.1\r\n"
        f"Connection: close\r\n\r\n{body}"
    ).encode()


async def press(server: ServerProcess, request: bytes) -> tuple[int, Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), json.loads(body)


async def test_an_operator_who_presses_twelve_times_in_a_second(start_server: Starter) -> None:
    server = start_server()
    [token] = server.tokens(1, "control", "companion")
    server.cue("SHOW_START", {"showId": "demo", "episode": 1})
    opening = companion("/control/cues", token, '{"event":"VOTING_OPEN","takeNo":3,"data":{"duration":600}}')
    answers = await asyncio.gather(*(press(server, opening) for _ in range(12)))
    assert [status for status, _ in answers] == [200] * 12
    assert sorted(answer["replayed"] for _, answer in answers) == [False] + [True] * 11
    refused, why = await press(server, companion("/control/cues", token, '{"event":"VOTING_OPEN","takeNo":4}'))
    assert (refused, why["code"], why["cueId"]) == (409, "CUE_REJECTED", "VOTING_OPEN#4")
    status, state = await press(server, companion("/control/state", token, "").replace(b"POST", b"GET", 1))
    assert (status, [line["outcome"] for line in state["cues"]]) == (200, ["CUE_REJECTED", "executed", "executed"])
