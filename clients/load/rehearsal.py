"""`python -m clients.load.rehearsal`: a show that really runs, through the real doors, round after round.

Signed cues go in over HTTP, voters hold real sockets with a token each, and at the end of each round the certified
result is compared with the votes that were acked here. Ends within a second of SIGTERM or SIGINT, and when the
process that started it is gone. Exit codes: 0 ended as asked, 1 a result did not match or the secret was not
accepted, 2 wrong arguments or no tokens.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
from pathlib import Path
from typing import Final

import uvloop

from clients.load.audience import Audience
from clients.load.narrator import LOUD, say
from clients.load.operator import Operator
from clients.load.production import GivenUp, Production
from clients.load.target import Target, parse_target
from clients.load.tokens import GuestTokens, TokenFile
from clients.python.control import ControlDesk

TROUBLE: Final = 1
BAD_INPUT: Final = 2
MOST_VOTERS: Final = 5_000
MOST_SECONDS: Final = 86_400


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="rehearsal", description="Plays a show on a running server.")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="the server")
    parser.add_argument("--secret-file", type=Path, required=True, help="the control secret")
    parser.add_argument("--voters", type=int, default=200)
    parser.add_argument("--window", type=int, default=90, help="seconds the lines are open")
    parser.add_argument("--rounds", type=int, default=0, help="0: until stopped")
    parser.add_argument("--show", default="demo")
    parser.add_argument("--episode", type=int, default=1)
    parser.add_argument("--tokens", type=Path, help="AUTH messages, one a line, instead of guests")
    parser.add_argument("--seed", type=int, help="makes the voters' choices repeatable")
    parser.add_argument("--allow-remote", action="store_true", help="the server is yours, wherever it is")
    found = parser.parse_args(arguments)
    if not 1 <= found.voters <= MOST_VOTERS or not 1 <= found.window <= MOST_SECONDS or found.rounds < 0:
        parser.error(f"--voters is 1 to {MOST_VOTERS}, --window 1 to {MOST_SECONDS}, --rounds 0 or more")
    return found


async def rehearse(options: argparse.Namespace, target: Target, secret: bytes) -> int:
    """Plays what the command line asked for until it is done, told to stop, or left alone; its exit code. Raises
    OSError and ValueError for a file of tokens that cannot be used."""
    chance = random.Random(options.seed)
    take = TokenFile(options.tokens).take if options.tokens is not None else GuestTokens(target).take
    production = Production(
        target, ControlDesk(target.http(), secret), Operator(options.show, options.episode, options.window, chance),
        Audience(target, options.voters, take, chance), options.rounds,
    )
    say("rehearsal", f"{options.voters} voters, windows of {options.window} s, at {target.http()}")
    try:
        await _until_ended(production)
    except GivenUp as error:
        say(LOUD, str(error))
        return error.exit_code
    rounds = f"{production.rounds_done} round{'' if production.rounds_done == 1 else 's'}"
    say("rehearsal ends", f"{rounds}, {production.mismatches or 'no'} mismatches")
    return TROUBLE if production.mismatches else 0


async def _until_ended(production: Production) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    parent = os.getppid()
    running, stopping = loop.create_task(production.run()), loop.create_task(stop.wait())
    # a server that was killed leaves no orphan behind to run the next one's show
    while not running.done() and not stopping.done() and os.getppid() == parent:
        await asyncio.wait({running, stopping}, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done():
        running.cancel()
        await asyncio.wait({running})
    if not running.cancelled():
        running.result()


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit code."""
    options = _arguments(sys.argv[1:] if arguments is None else arguments)
    try:
        target = parse_target(options.url)
        if not (target.loopback or options.allow_remote):
            raise ValueError(f"{options.url} is another machine; say --allow-remote if it is yours")
        secret = options.secret_file.read_bytes().strip()
        return uvloop.run(rehearse(options, target, secret))
    except (OSError, ValueError) as error:  # a line that is no token is a ValueError as well
        sys.stderr.write(f"rehearsal: {error}\n")
        return BAD_INPUT


if __name__ == "__main__":
    sys.exit(main())
