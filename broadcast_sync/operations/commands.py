"""`broadcast-sync config` and `broadcast-sync token`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Final

import msgspec
import orjson
import typer
from rich.console import Console
from rich.progress import track

from broadcast_sync import settings as configuration
from broadcast_sync.errors import StartError
from broadcast_sync.tokens import ROLES, Tokens
from broadcast_sync.wire.client import Auth

MOST_TOKENS: Final = 1_000_000

Config = Annotated[Path | None, typer.Option("--config", help="Settings file; default ./config.toml if there is one.")]


def config(
    config: Config = None, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False
) -> None:
    """Print the settings in force, secrets masked."""
    shown = configuration.masked(configuration.load(config))
    if as_json:
        typer.echo(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())
        return
    for section, keys in shown.items():
        typer.echo(f"[{section}]")
        for key, value in keys.items():
            typer.echo(f"{key} = {msgspec.json.encode(value).decode()}")
        typer.echo("")


def token(
    role: Annotated[list[str], typer.Option(help=f"Role, may be repeated: {', '.join(sorted(ROLES))}.")],
    sub: Annotated[str | None, typer.Option(help="User id, or with --count its beginning.")] = None,
    org: Annotated[str | None, typer.Option(help="Organisation; default [show] organisation.")] = None,
    ttl: Annotated[int | None, typer.Option(min=1, max=31_536_000, help="Seconds it is valid.")] = None,
    count: Annotated[int, typer.Option(min=1, max=MOST_TOKENS, help="How many, for load tests.")] = 1,
    out: Annotated[Path | None, typer.Option(help="File for AUTH messages, one JSON a line.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    config: Config = None,
) -> None:
    """Make tokens: one on standard output, or many as AUTH messages in a file."""
    unknown = set(role) - ROLES
    if unknown:
        raise StartError(f"unknown role {sorted(unknown)[0]!r}; roles are {', '.join(sorted(ROLES))}", exit_code=2)
    settings = configuration.load(config)
    tokens = Tokens(settings)
    organisation = org or settings.show.organisation
    expires_s = int(time.time()) + (ttl or settings.auth.token_ttl_s)
    if count == 1 and out is None:
        subject = sub or ("operator" if "control" in role else "u1")
        made = tokens.sign(subject, organisation, role, expires_s)
        answer = {"token": made, "userId": subject, "roles": role, "organizationId": organisation, "exp": expires_s}
        typer.echo(orjson.dumps(answer).decode() if as_json else made)
        return
    if out is None:
        raise StartError("--count needs --out FILE", exit_code=2)
    prefix = sub or "u"
    numbers = track(
        range(1, count + 1), "signing", console=Console(stderr=True), transient=True, disable=count < 1000 or as_json
    )
    try:
        with out.open("wb") as file:
            for number in numbers:
                made = tokens.sign(f"{prefix}{number}", organisation, role, expires_s)
                file.write(orjson.dumps({"type": Auth.TYPE, "token": made}) + b"\n")
    except OSError as error:
        raise StartError(f"{out}: cannot be written ({error.strerror}); choose another --out") from None
    typer.echo(orjson.dumps({"file": str(out), "count": count}).decode() if as_json else f"{count} tokens in {out}")
