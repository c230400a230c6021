from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner
from websockets.asyncio.server import ServerConnection

from broadcast_sync.wire.server import Error, LiveResults
from clients.load.commands import load
from clients.load.load import MEASURING, Scenario, Unreachable, run
from clients.load.processes import run_scenario
from clients.load.report import Mode
from clients.load.target import parse_target
from tests.support.small_server import SmallServer, open_state


@pytest.fixture
async def server() -> AsyncIterator[SmallServer]:
    small = SmallServer()
    async with small.running():
        yield small


def scenario(server: SmallServer, mode: Mode, *, votes: int = 0, seconds: float = 0.3, sockets: int = 5) -> Scenario:
    tokens = tuple(b'{"type":"AUTH","token":"t"}' for _ in range(sockets))
    return Scenario(parse_target(server.url), mode, sockets, seconds, 1_000.0, votes, tokens)


async def test_closed_counts_what_the_server_counted(server: SmallServer) -> None:
    report = await run(scenario(server, "closed"))
    assert report.clean and report.connected == 5
    assert report.acked == report.sent == len(server.votes) > 5
    assert sum(report.latency_us) == report.acked
    assert set(server.votes.values()) == {"c01", "c02", "c03"}


async def test_over_casts_exactly_its_votes(server: SmallServer) -> None:
    report = await run(scenario(server, "over", votes=23))
    assert report.clean and report.acked == len(server.votes) == 23


async def test_refusals_are_obeyed_and_counted(server: SmallServer) -> None:
    def trouble(socket: ServerConnection, vote: dict[str, Any]) -> Error | None:
        return Error("TRY_AGAIN", "", True, 0.01) if server.attempts.count(vote["id"]) < 2 else None

    server.before_ack = trouble
    report = await run(scenario(server, "over", votes=5))
    assert report.acked == 5 and report.errors == {"TRY_AGAIN": 5} and len(server.attempts) == 10
    server.before_ack = lambda socket, vote: Error("NO_FREE_VOTES", "", False)
    report = await run(scenario(server, "closed"))
    assert report.acked == 0 and report.errors == {"NO_FREE_VOTES": 5} and not report.clean


async def test_watch_sees_boards(server: SmallServer) -> None:
    counting = asyncio.Event()

    def begun(stage: str, share: float) -> None:
        if stage == MEASURING:
            counting.set()

    async def boards() -> None:
        await counting.wait()
        for _ in range(3):
            server.publish(LiveResults([], 0, "t", 1))
            await asyncio.sleep(0.02)

    publishing = asyncio.create_task(boards())
    report = await run(scenario(server, "watch", seconds=0.5), begun)
    await publishing
    assert report.boards == 15 and 1 <= sum(report.board_spread_us) <= 3


async def test_lost_sockets_are_counted(server: SmallServer) -> None:
    server.before_ack = lambda socket, vote: socket.transport.abort()
    report = await run(scenario(server, "closed", seconds=0.2))
    assert report.connected == 0 and sum(report.failures.values()) == 5 and report.unanswered == 5


async def test_the_close_of_the_window_ends_a_closed_loop(server: SmallServer) -> None:
    async def close() -> None:
        await server.wait_for(lambda: len(server.votes) > 20)
        server.publish(open_state(1, 2, "CLOSED"))

    closing = asyncio.create_task(close())
    report = await run(scenario(server, "closed", seconds=15))
    await closing
    assert report.seconds < 15 and report.acked > 20


async def test_nobody_there() -> None:
    with pytest.raises(Unreachable, match="Connection refused"):
        await run(Scenario(parse_target("127.0.0.1:1"), "watch", 3, 0.1))


async def test_a_refused_handshake(server: SmallServer) -> None:
    server.refuse_handshake = lambda request: (503, {})
    with pytest.raises(Unreachable, match="handshake: 503"):
        await run(scenario(server, "watch"))


async def test_processes_add_up(server: SmallServer) -> None:
    whole = scenario(server, "over", votes=9)
    stages: list[str] = []
    report = await asyncio.to_thread(run_scenario, whole, 2, lambda stage, share: stages.append(stage))
    assert report.clean and (report.sockets, report.acked, len(server.votes)) == (5, 9, 9) and "running" in stages


def command(*arguments: str) -> Any:
    app = typer.Typer()
    app.command()(load)
    return CliRunner().invoke(app, list(arguments))


async def test_the_command(server: SmallServer, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text('{"type":"AUTH","token":"t"}\n' * 3)
    arguments = ("--url", server.url, "--sockets", "3", "--seconds", "0.2", "--tokens", str(tokens))
    done = await asyncio.to_thread(command, *arguments, "--mode", "over", "--votes", "7")
    assert done.exit_code == 0, done.output
    assert "acked" in done.output and len(server.votes) == 7
    server.before_ack = lambda socket, vote: Error("NO_FREE_VOTES", "", False)
    refused = await asyncio.to_thread(command, *arguments, "--mode", "closed", "--json")
    assert refused.exit_code == 1 and '"NO_FREE_VOTES":3' in refused.output


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (("--url", "http://127.0.0.1:1"), 3, "No server reached"),
    (("--url", "http://example.org"), 2, "--allow-remote"),
    (("--url", "ftp://127.0.0.1"), 2, "expected a URL"),
    (("--mode", "closed"), 2, "tokens"),
    (("--votes", "3"), 2, "--mode over"),
    (("--sockets", "0"), 2, "--sockets"),
    (("--tokens", "/nowhere"), 2, "No such file"),
])
def test_what_the_command_refuses(arguments: tuple[str, ...], code: int, words: str) -> None:
    done = command(*arguments)
    assert done.exit_code == code and words in " ".join(done.output.split()).replace("│ ", "")
