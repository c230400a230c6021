"""`broadcast-sync load`: many sockets against a server, and a report.

Exit codes: 0 all well, 1 sockets failed or votes were refused, 2 wrong arguments, 3 no server reached.
"""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from clients.load.load import MAX_SECONDS, MAX_SOCKETS, Scenario, Unreachable, read_tokens
from clients.load.processes import run_scenario
from clients.load.report import Mode, Report
from clients.load.target import parse_target

TROUBLE: Final = 1
BAD_INPUT: Final = 2
UNREACHABLE: Final = 3
MAX_VOTES: Final = 10_000_000


def load(
    url: Annotated[str, typer.Option(help="The server; loopback only, unless --allow-remote.")] = "http://127.0.0.1:8000",
    sockets: Annotated[int, typer.Option(min=1, max=MAX_SOCKETS, help="How many sockets.")] = 200,
    seconds: Annotated[float, typer.Option(min=0.1, max=MAX_SECONDS, help="How long, once they are up.")] = 10.0,
    tokens: Annotated[Path | None, typer.Option(help="AUTH messages, one a line: broadcast-sync token --out.")] = None,
    mode: Annotated[Mode, typer.Option(help="watch; closed: vote, wait, vote again; over: VOTES spread.")] = "watch",
    votes: Annotated[int | None, typer.Option(min=1, max=MAX_VOTES, help="over: how many [one a socket].")] = None,
    rate: Annotated[float, typer.Option(min=1, max=20_000, help="New sockets a second.")] = 1_000.0,
    processes: Annotated[int, typer.Option(min=1, max=64, help="Split over so many processes.")] = 1,
    allow_remote: Annotated[bool, typer.Option("--allow-remote", help="The server is yours, wherever it is.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Load a server with sockets that watch or vote, and say what came of it."""
    scenario = _scenario(url, sockets, seconds, tokens, mode, votes, rate, allow_remote)
    try:
        report = _run(scenario, processes, quiet=as_json)
    except Unreachable as error:
        typer.echo(f"No server reached at {url} ({error}); is `broadcast-sync serve` running?", err=True)
        raise typer.Exit(UNREACHABLE) from None
    except BrokenProcessPool:
        typer.echo("A process of the load died; what it did is not known.", err=True)
        raise typer.Exit(TROUBLE) from None
    except OSError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(BAD_INPUT) from None
    if as_json:
        typer.echo(msgspec.json.encode(report.summary()).decode())
    else:
        _show(report)
    if not report.clean:
        raise typer.Exit(TROUBLE)


def _scenario(
    url: str, sockets: int, seconds: float, tokens: Path | None, mode: Mode, votes: int | None, rate: float,
    allow_remote: bool,
) -> Scenario:
    try:
        target = parse_target(url)
        if not (target.loopback or allow_remote):
            raise ValueError(f"{url} is another machine; say --allow-remote if it is yours to load")
        found = read_tokens(tokens, sockets) if tokens is not None else ()
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from None
    if mode != "watch" and len(found) < sockets:
        raise typer.BadParameter(
            f"{sockets} voting sockets need as many tokens and there are {len(found)}; "
            f"`broadcast-sync token --role user --count {sockets} --out FILE` makes them, --tokens FILE takes them"
        )
    if votes is not None and mode != "over":
        raise typer.BadParameter("--votes belongs to --mode over")
    return Scenario(target, mode, sockets, seconds, rate, votes or sockets, found)


def _run(scenario: Scenario, processes: int, *, quiet: bool) -> Report:
    columns = TextColumn("{task.description:>10}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task("starting", total=1.0)
        return run_scenario(
            scenario, processes, lambda stage, share: bar.update(task, description=stage, completed=share)
        )


def _show(report: Report) -> None:
    console, table = Console(), Table(show_header=False, box=None)
    for name, value in report.summary().items():
        if isinstance(value, dict):
            parts = [f"{key} {_number(each)}" for key, each in value.items() if each is not None]
            if parts:
                table.add_row(name, "  ".join(parts))
        elif value not in (None, "", 0):
            table.add_row(name, _number(value))
    console.print(table)


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)
