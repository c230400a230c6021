from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import typer
import uvicorn
from typer.testing import CliRunner, Result

from broadcast_sync.api import application
from broadcast_sync.clock import EngineClock
from broadcast_sync.errors import StartError
from broadcast_sync.settings import Settings, load
from broadcast_sync.show.commands import cue, show_app
from broadcast_sync.show.intake import CueIntake
from broadcast_sync.show.model import Stage
from broadcast_sync.show.operators import Operators
from broadcast_sync.show.routes import endpoints
from broadcast_sync.tokens import Tokens, control_secret
from broadcast_sync.wire.server import CueLogRow

DEMO = str(files("broadcast_sync.show").joinpath("demo", "demo.toml"))


async def run(app: typer.Typer, *arguments: str) -> Result:
    """In a thread: the commands are programs of their own, with a loop of their own."""
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, list(arguments)))


def last(result: Result) -> str:
    """The last line: the server in the same process logs into the same output."""
    return result.output.splitlines()[-1]


@pytest.fixture
def cue_app() -> typer.Typer:
    app = typer.Typer()
    app.command()(cue)
    return app


@pytest.fixture
def config(tmp_path: Path, valkey_url: str, postgres_url: str) -> str:
    path = tmp_path / "config.toml"
    path.write_text(
        f"[engine]\nvalkey_url = {json.dumps(valkey_url)}\npostgres_url = {json.dumps(postgres_url)}\n"
        f"data_dir = {json.dumps(str(tmp_path / 'data'))}\n"
    )
    return str(path)


@pytest.fixture
def show_commands() -> typer.Typer:
    async def migrate(url: str) -> None:
        """The fixture's database has the migrations already."""

    return show_app(migrate)


@pytest.fixture
async def url(intake: CueIntake, clock: EngineClock, config: str, tmp_path: Path) -> AsyncIterator[str]:
    """The control room's HTTP doors on a real port, with the secret of `config`'s data folder."""
    settings = load(Path(config))

    async def recent(count: int) -> list[CueLogRow]:
        return []

    def stage() -> Stage:
        return Stage("default")

    operators = Operators(Tokens(settings), control_secret(settings), clock, Settings())
    doors = endpoints(intake, operators, clock, stage, recent, lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(application(doors), log_level="warning", ws="none"))
        task = asyncio.create_task(server.serve([listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_show_is_checked_loaded_and_listed(show_commands: typer.Typer, config: str) -> None:
    checked = await run(show_commands, "check", DEMO, "--json")
    assert checked.exit_code == 0 and json.loads(checked.output)["contestants"] == 12
    assert "No show is loaded" in (await run(show_commands, "list", "--config", config)).output
    loaded = await run(show_commands, "load", DEMO, "--config", config)
    assert (loaded.exit_code, loaded.output) == (
        0, "Loaded demo episode 1, Voices of the Mekong: Live Show 1: 12 contestants\n",
    )
    listed = json.loads((await run(show_commands, "list", "--json", "--config", config)).output)
    assert [(row["showId"], row["episode"], row["contestants"]) for row in listed] == [("demo", 1, 12)]


async def test_a_bad_file_is_exit_2(show_commands: typer.Typer, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    for path in (bad, tmp_path / "missing.toml", tmp_path):
        result = await run(show_commands, "check", str(path))
        assert isinstance(result.exception, StartError) and result.exception.exit_code == 2
        assert str(path) in str(result.exception)


async def test_cues_from_a_terminal(cue_app: typer.Typer, url: str, config: str) -> None:
    async def send(*arguments: str) -> Result:
        return await run(cue_app, *arguments, "--url", url, "--config", config)

    started = await send("SHOW_START", "--show", "demo", "--episode", "1")
    assert (started.exit_code, last(started)) == (0, "SHOW_START taken: revision 1")
    opened = await send("VOTING_OPEN", "--duration", "90", "--cue-id", "open-1", "--json")
    assert opened.exit_code == 0 and json.loads(last(opened))["cueId"] == "open-1"
    again = await send("VOTING_OPEN", "--duration", "90", "--cue-id", "open-1")
    assert (again.exit_code, last(again)) == (0, "VOTING_OPEN taken (had been taken before): revision 2")
    refused = await send("SHOW_END")
    assert refused.exit_code == 1 and "SHOW_END refused: Voting is open until" in refused.output
    stale = await send("VOTING_CLOSE", "--expected-revision", "1", "--json")
    body: dict[str, Any] = json.loads(last(stale))
    assert (stale.exit_code, body["code"], body["revision"]) == (1, "STALE_REVISION", 2)


async def test_no_server_is_exit_3(cue_app: typer.Typer, config: str) -> None:
    result = await run(cue_app, "SHOW_END", "--url", "http://127.0.0.1:1", "--config", config)
    assert result.exit_code == 3 and "No server reached" in result.output and "--cue-id" in result.output


async def test_data_must_be_an_object(cue_app: typer.Typer, config: str) -> None:
    for data in ("[]", "{", "7"):
        result = await run(cue_app, "SHOW_END", "--data", data, "--config", config)
        assert isinstance(result.exception, StartError) and result.exception.exit_code == 2
