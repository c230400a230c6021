"""`broadcast-sync rules check`, `broadcast-sync rules explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from broadcast_sync import settings as configuration
from broadcast_sync.errors import StartError
from voting.ballot.explain import explain as in_words
from voting.ballot.library import RulesetError, library, read
from voting.ballot.ruleset import RulesetData

AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
Config = Annotated[Path | None, typer.Option("--config", help="Settings file; default ./config.toml if there is one.")]

rules_app: Final = typer.Typer(no_args_is_help=True, help="Rulesets: what a vote costs, and how often.")


@rules_app.command()
def check(
    file: Annotated[Path, typer.Argument(help="A ruleset, TOML or JSON.")], as_json: AsJson = False
) -> None:
    """Say all that is wrong with a ruleset, and where: exit 0 if nothing, 1 if something, 2 if it cannot be read."""
    try:
        data = read(file)
    except RulesetError as error:
        if as_json:
            typer.echo(_json({"file": str(file), "valid": False, "problems": msgspec.to_builtins(error.problems)}))
        else:
            table = Table(title=f"{file}: not a ruleset", title_justify="left")
            table.add_column("place")
            table.add_column("what is wrong", overflow="fold")
            for problem in error.problems:
                table.add_row(escape(problem.place or "the file"), escape(problem.text))
            Console().print(table)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(_json({"file": str(file), "valid": True, "name": data.name, "hash": data.hash(), "problems": []}))
    else:
        typer.echo(f"{file}: ruleset {data.name}, {data.hash()}")


@rules_app.command()
def explain(
    ruleset: Annotated[str, typer.Argument(help="The name of a ruleset, or a file.")],
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Say a ruleset in plain words."""
    data = _find(ruleset, config)
    if as_json:
        shown = {"name": data.name, "hash": data.hash(), "words": in_words(data), "rules": msgspec.to_builtins(data)}
        typer.echo(_json(shown))
    else:
        typer.echo("\n".join([f"{data.name} ({data.hash()})", "", *in_words(data)]))


def _find(ruleset: str, config: Path | None) -> RulesetData:
    known = library(configuration.load(config).voting.ruleset_files)
    if ruleset in known:
        return known[ruleset]
    path = Path(ruleset)
    if not path.exists():
        raise StartError(f"there is no ruleset and no file {ruleset[:256]}; known are {', '.join(known)}", exit_code=2)
    return read(path)


def _json(content: object) -> str:
    return orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()
