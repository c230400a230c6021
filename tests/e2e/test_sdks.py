"""Both SDKs against a real server: the first lines of their READMEs, and what they promise on a bad network."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.e2e.test_show import DEMO
from tests.support.process import ROOT, ServerProcess

WEB = ROOT / "tests" / "web"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One for all: a show on air, with a window open that outlasts the tests."""
    process = ServerProcess(tmp_path_factory.mktemp("sdks") / "data")
    process.start()
    try:
        process.cue("SHOW_START", DEMO)
        process.cue("VOTING_OPEN", {"duration": 600})
        yield process
    finally:
        process.cleanup()


def first_lines(readme: Path, server: ServerProcess) -> str:
    """The lines that a README starts with, word for word but for the server's port."""
    block = re.search(r"\A# .*\n\n```\w+\n(.*?)```\n", readme.read_text(), re.DOTALL)
    assert block is not None, f"{readme} does not start with code"
    assert block[1].count("\n") == 5, f"{readme}: five lines"
    assert "127.0.0.1:8000" in block[1]
    return block[1].replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")


@asynccontextmanager
async def running(*command: str | Path, token: str, cwd: Path) -> AsyncIterator[asyncio.StreamReader]:
    """A process of its own; its output, standard error included."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env={**os.environ, "TOKEN": token},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def until(output: asyncio.StreamReader, *patterns: str) -> None:
    """Until the output has matched each of these."""
    seen = ""
    while not all(re.search(pattern, seen) for pattern in patterns):
        line = await output.readline()
        assert line, f"it ended with\n{seen}"
        seen += line.decode()


@pytest.mark.timeout(60)
async def test_the_first_lines_of_the_javascript_readme(server: ServerProcess, tmp_path: Path) -> None:
    modules = tmp_path / "node_modules"
    modules.mkdir()
    (modules / "broadcast-sync").symlink_to(ROOT / "clients" / "web" / "sdk")
    (modules / "ws").symlink_to(WEB / "node_modules" / "ws")
    (tmp_path / "lines.mjs").write_text(first_lines(ROOT / "clients/web/sdk/README.md", server))
    (token,) = server.tokens(1, sub="javascript")
    async with running("node", "lines.mjs", token=token, cwd=tmp_path) as output:
        acked = (r"status: 'queued'", r"contestantId: 'c07'", r"remaining: \{ free: 4 \}")
        await until(output, *acked, r"\d+ s left, \w+")


@pytest.mark.timeout(60)
async def test_the_first_lines_of_the_python_readme(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "lines.py").write_text(first_lines(ROOT / "clients/python/README.md", server))
    (token,) = server.tokens(1, sub="python")
    async with running(sys.executable, "lines.py", token=token, cwd=tmp_path) as output:
        await until(output, r"VoteAck\(.*status='queued', contestant_id='c07'.*remaining=\{'free': 4\}")
        assert await output.read() == b""
