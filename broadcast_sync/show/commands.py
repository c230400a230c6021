"""`broadcast-sync show load|check|list` and `broadcast-sync cue EVENT`.

Exit codes: 0 done, 1 refused or failed, 2 bad file or arguments, 3 no server reached. StartError passes through:
the program's main prints it as one line.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import uuid4

import asyncpg
import msgspec
import typer

from broadcast_sync.engine.engines import open_engines
from broadcast_sync.errors import StartError
from broadcast_sync.settings import Settings, load
from broadcast_sync.show.catalogue import Catalogue
from broadcast_sync.show.sender import Unreachable, base_url, send
from broadcast_sync.show.showfile import ShowFile, ShowFileError, parse
from broadcast_sync.tokens import control_secret

File = Annotated[Path, typer.Argument(help="A show file, TOML or JSON.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
Config = Annotated[Path | None, typer.Option("--config", help="Settings file, config.toml by default.")]

REFUSED: Final = 1
BAD_INPUT: Final = 2
UNREACHABLE: Final = 3


def show_app(migrate: Callable[[str], Awaitable[object]]) -> typer.Typer:
    """The sub-commands of `broadcast-sync show`. `migrate` brings the database at a URL up to date first."""
    app = typer.Typer(no_args_is_help=True, help="Shows, episodes and contestants.")

    @app.command("check")
    def check(file: File, as_json: AsJson = False) -> None:
        """Say whether a show file is right, without loading it."""
        found = _read(file)
        _tell(_summary(found), as_json, f"{file}: {_words(found)}")

    @app.command("load")
    def load_file(file: File, as_json: AsJson = False, config: Config = None) -> None:
        """Load or update one episode from a show file."""
        found = _read(file)
        ref = asyncio.run(_load(load(config), found, migrate))
        _tell({**_summary(found), "ref": ref}, as_json, f"Loaded {_words(found)}")

    @app.command("list")
    def list_shows(as_json: AsJson = False, config: Config = None) -> None:
        """List the episodes that can go on air."""
        rows = asyncio.run(_list(load(config), migrate))
        lines = [f"{row.show_id}  episode {row.episode}  {row.title}  ({row.contestants} contestants)" for row in rows]
        _tell(rows, as_json, "\n".join(lines) or "No show is loaded: broadcast-sync show load FILE")

    return app


def cue(
    event: Annotated[str, typer.Argument(help="SHOW_START, VOTING_OPEN, VOTING_CLOSE, ...")],
    data: Annotated[str | None, typer.Option(help="The event's data as a JSON object.")] = None,
    duration: Annotated[int | None, typer.Option(help="VOTING_OPEN: seconds.")] = None,
    ruleset: Annotated[str | None, typer.Option(help="VOTING_OPEN: the rules of the vote.")] = None,
    seconds: Annotated[int | None, typer.Option(help="VOTING_EXTEND: seconds more.")] = None,
    show: Annotated[str | None, typer.Option(help="SHOW_START: the show's id.")] = None,
    episode: Annotated[int | None, typer.Option(help="SHOW_START: the episode's number.")] = None,
    contestant: Annotated[str | None, typer.Option(help="PERFORMANCE_*: the contestant's id.")] = None,
    song: Annotated[str | None, typer.Option(help="PERFORMANCE_START: the song.")] = None,
    cue_id: Annotated[str | None, typer.Option(help="The same id again is the same cue.")] = None,
    mode: Annotated[str | None, typer.Option(help="take (default), arm, cancel or confirm.")] = None,
    timecode: Annotated[str | None, typer.Option(help="The frame it is for, at the show's timecode.")] = None,
    at: Annotated[str | None, typer.Option(help="arm: the time it is for, as 2026-11-21T20:15:00Z.")] = None,
    expected_revision: Annotated[int | None, typer.Option(help="Refuse if the show has moved on.")] = None,
    url: Annotated[str | None, typer.Option(help="The server, http://HOST:PORT.")] = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Send one signed cue to the running server."""
    settings = load(config)
    fields = {
        "duration": duration, "ruleset": ruleset, "seconds": seconds, "showId": show, "episode": episode,
        "contestantId": contestant, "songName": song,
    }
    message: dict[str, Any] = {
        "event": event,
        # made here, so that repeating the command after a lost answer can be told from pressing twice
        "cueId": cue_id or str(uuid4()),
    }
    found = {**_object(data), **{name: value for name, value in fields.items() if value is not None}}
    optional = {
        "data": found or None, "mode": mode, "timecode": timecode, "timestamp": at,
        "expectedRevision": expected_revision,
    }
    message |= {name: value for name, value in optional.items() if value is not None}
    try:
        answer = send(url or base_url(settings), control_secret(settings), message)
    except Unreachable as error:
        typer.echo(f"No server reached at {error}; is `broadcast-sync serve` running? "
                   f"To try again safely: --cue-id {message['cueId']}", err=True)
        raise typer.Exit(UNREACHABLE) from None
    if as_json:
        typer.echo(msgspec.json.encode(answer.body).decode())
    elif answer.accepted:
        typer.echo(f"{event} {_became(answer.body, mode)}: revision {answer.body.get('revision')}")
    else:
        typer.echo(f"{event} refused: {answer.body.get('message')} ({answer.body.get('code')})", err=True)
    if not answer.accepted:
        raise typer.Exit(REFUSED)


def _became(ack: dict[str, Any], mode: str | None) -> str:
    """What has become of a cue, in words."""
    became, until = {"cancel": "cancelled", "confirm": "confirmed"}.get(mode or "", "taken"), ""
    if ack.get("armed"):
        became, until = "armed", f" for {ack.get('at')}"
    if ack.get("pending"):
        became, until = "asked", f"; a second person must confirm it until {ack.get('expiresAt')}"
    return became + until + (f" (had been {became} before)" if ack.get("replayed") else "")


def _object(text: str | None) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any]) if text else {}
    except msgspec.DecodeError as error:
        raise StartError(f"--data: expected a JSON object ({error})", exit_code=BAD_INPUT) from None


def _read(file: Path) -> ShowFile:
    try:
        with file.open("rb") as content:
            return parse(content.read(1_048_577), str(file))
    except OSError as error:
        raise ShowFileError(f"{file}: cannot be read ({error.strerror})") from None


@asynccontextmanager
async def _catalogue(
    settings: Settings, migrate: Callable[[str], Awaitable[object]]
) -> AsyncIterator[Catalogue]:
    async with open_engines(settings, serve=False) as engines:
        await migrate(engines.postgres_url)
        async with asyncpg.create_pool(engines.postgres_url, min_size=1, max_size=2) as pool:
            yield Catalogue(pool, settings.show.organisation)


async def _load(settings: Settings, file: ShowFile, migrate: Callable[[str], Awaitable[object]]) -> int:
    async with _catalogue(settings, migrate) as catalogue:
        return await catalogue.load(file)


async def _list(settings: Settings, migrate: Callable[[str], Awaitable[object]]) -> list[Any]:
    async with _catalogue(settings, migrate) as catalogue:
        return list(await catalogue.list())


def _summary(file: ShowFile) -> dict[str, object]:
    return {
        "organisation": file.organisation, "showId": file.show.id, "episode": file.episode.number,
        "title": file.episode.title, "contestants": len(file.contestants),
    }


def _words(file: ShowFile) -> str:
    return f"{file.show.id} episode {file.episode.number}, {file.episode.title}: {len(file.contestants)} contestants"


def _tell(value: object, as_json: bool, words: str) -> None:
    typer.echo(msgspec.json.encode(value).decode() if as_json else words)
