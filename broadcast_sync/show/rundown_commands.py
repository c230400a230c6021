"""`broadcast-sync rundown check|load|show|cancel`.

Exit codes: 0 done, 1 refused, 2 bad file or arguments, 3 no server reached.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from broadcast_sync.settings import load
from broadcast_sync.show.commands import BAD_INPUT, REFUSED, UNREACHABLE, AsJson, Config
from broadcast_sync.show.rundown import FILE_BYTES, RundownFile, parse
from broadcast_sync.show.sender import Answer, Unreachable, ask, base_url
from broadcast_sync.tokens import control_secret

PATH: Final = "/control/rundown"

File = Annotated[Path, typer.Argument(help="A rundown, TOML or JSON.")]
Url = Annotated[str | None, typer.Option(help="The server, http://HOST:PORT.")]


def rundown_app() -> typer.Typer:
    """The sub-commands of `broadcast-sync rundown`."""
    app = typer.Typer(no_args_is_help=True, help="Timed rundowns: cues that are taken at their frames.")

    @app.command("check")
    def check(file: File, as_json: AsJson = False) -> None:
        """Say all that is wrong with a rundown, without loading it."""
        found = _read(file, as_json)
        if as_json:
            told = {"name": found.name, "cues": len(found.cues), "due": found.due, "problems": []}
            typer.echo(msgspec.json.encode(told).decode())
        else:
            due = f", due {found.due}" if found.due else ""
            typer.echo(f"{file}: {found.name}, {len(found.cues)} cues{due}, nothing wrong")

    @app.command("load")
    def load_file(
        file: File,
        start: Annotated[str | None, typer.Option(help="When offsets begin, as 2026-11-21T20:00:00Z.")] = None,
        due: Annotated[str | None, typer.Option(help="Not now: let it arm itself shortly before this time.")] = None,
        url: Url = None, as_json: AsJson = False, config: Config = None,
    ) -> None:
        """Arm the cues of a rundown on the running server, now or when it is due: all of them or none."""
        found = _read(file, as_json)
        body: dict[str, Any] = {"rundown": msgspec.to_builtins(found)}
        body |= {name: value for name, value in (("start", start), ("due", due)) if value is not None}
        _tell(_ask(config, url, "POST", body), as_json)

    @app.command("show")
    def show(url: Url = None, as_json: AsJson = False, config: Config = None) -> None:
        """Show the rundown that is loaded, what has become of its cues, and what waits for its date."""
        _tell(_ask(config, url, "GET", None), as_json)

    @app.command("cancel")
    def cancel(
        name: Annotated[str, typer.Argument(help="The name of a rundown that waits for its date.")],
        url: Url = None, as_json: AsJson = False, config: Config = None,
    ) -> None:
        """Forget a rundown that waits for its date."""
        _tell(_ask(config, url, "POST", {"name": name}, f"{PATH}/cancel"), as_json)

    return app


def _read(file: Path, as_json: bool) -> RundownFile:
    """The rundown in `file`; whatever is wrong with it ends the command with exit code 2."""
    try:
        with file.open("rb") as content:
            found, problems = parse(content.read(FILE_BYTES + 1), str(file))
    except OSError as error:
        typer.echo(f"{file}: cannot be read ({error.strerror})", err=True)
        raise typer.Exit(BAD_INPUT) from None
    if found is not None and not problems:
        return found
    if as_json:
        typer.echo(msgspec.json.encode({"problems": problems}).decode())
    for problem in () if as_json else problems:
        typer.echo(": ".join(part for part in (str(file), problem.place, problem.text) if part), err=True)
    raise typer.Exit(BAD_INPUT)


def _ask(
    config: Path | None, url: str | None, method: str, body: dict[str, Any] | None, path: str = PATH
) -> Answer:
    settings = load(config)
    try:
        return ask(url or base_url(settings), control_secret(settings), method, path, body)
    except Unreachable as error:
        typer.echo(f"No server reached at {error}; is `broadcast-sync serve` running?", err=True)
        raise typer.Exit(UNREACHABLE) from None


def _tell(answer: Answer, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(answer.body).decode())
    elif not answer.accepted:
        typer.echo(f"refused: {answer.body.get('message')} ({answer.body.get('code')})", err=True)
    else:
        _show(answer.body.get("rundown"), answer.body.get("due", []))
    if not answer.accepted:
        raise typer.Exit(REFUSED)


def _show(rundown: dict[str, Any] | None, due: list[dict[str, Any]]) -> None:
    if rundown is None:
        typer.echo("No rundown is loaded.")
    else:
        table = Table("at", "timecode", "cue", "event", "state", title=rundown["name"], title_justify="left")
        for item in rundown["items"]:
            table.add_row(item["at"], item["timecode"], item["cueId"], item["event"], item["state"])
        Console().print(table)
    if due:
        table = Table("due", "rundown", "cues", "by", title="Armed by themselves", title_justify="left")
        for one in due:
            table.add_row(one["dueAt"], one["name"], str(one["cues"]), one["by"])
        Console().print(table)
