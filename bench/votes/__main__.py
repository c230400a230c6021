"""Votes: how many a second are acknowledged as durable, and what each costs, beside a floor and a peer.

    python -m bench.votes [--sockets 500] [--seconds 4] [--rounds 3] [--offered 20000]

floor   the same hub with a handler that acks at once (bench/votes/echo_server.py): no rules, no engine, no ledger
server  `broadcast-sync serve` from its command line with embedded engines, ruleset `unlimited`: an ack means fsynced
script  the one Lua script called directly with batches of 256, two in flight: no sockets, no process of ours
peer    Node with ws and BullMQ, three calls of the engine a vote, on an engine with the same options

They take turns, so that whatever else the machine does falls on all. Every socket votes, waits for its ack and votes
again (closed loop). CPU is user and system time of each process, from the first vote until the ledger has had time to
follow. Then `--offered` votes a second are spread evenly over 2,000 sockets, and latency counts from when each was
due (open loop). At the end `broadcast-sync recount` must say EQUAL. Prints tables and Markdown, writes
bench/results/votes.json. Exit code 1 if votes failed or the recount differs. A peer that could not be had is
named with its reason.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
import uvloop
from rich.console import Console

from bench.hub.peers import PeerMissing
from bench.votes import contenders, report, script
from bench.votes.contenders import Contender
from bench.votes.peer import node_bullmq
from bench.votes.report import Result
from bench.votes.rounds import Round
from clients.load.load import Scenario, read_tokens
from clients.load.target import parse_target

RESULT: Final = Path(__file__).resolve().parents[1] / "results" / "votes.json"
WARM_S: Final = 2.0
OPEN_SOCKETS: Final = 2_000
BATCH: Final = 256


class Run:
    """The contenders by turns. `missing` are those that could not be had, with the reason."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._standing: dict[str, Contender] = {}
        self.rounds: dict[str, list[Round]] = {}
        self.bare: list[script.Measured] = []
        self.open_loop: dict[str, list[Round]] = {}
        self.missing: dict[str, str] = {}
        self.recount = ""

    def go(self, say: Console) -> None:
        environment = contenders.settings_of(self._folder)
        with ExitStack() as stack, say.status("starting") as status:
            ours = stack.enter_context(contenders.ours(environment, self._folder))
            self._standing = {"floor": stack.enter_context(contenders.floor(environment)), "server": ours}
            tokens = self._folder / "tokens"
            count = max(self._options.sockets, OPEN_SOCKETS)
            contenders.command(environment, "token", "--role", "user", "--count", str(count), "--out", str(tokens))
            auth = read_tokens(tokens, count)
            engine = stack.enter_context(contenders.engine(self._folder))
            self._join_peer(stack, engine)
            for number in range(self._options.rounds + 1):
                status.update(f"round {number} of {self._options.rounds}" if number else "warming up")
                self._turn(auth, engine[0], warm=number == 0)
            status.update(f"open loop, {self._options.offered:,} votes a second")
            self._offer(auth)
            found = json.loads(contenders.command(environment, "recount", "--json"))
            self.recount = "EQUAL" if '"EQUAL"' in json.dumps(found) else "DIFFERS"

    def _join_peer(self, stack: ExitStack, engine: tuple[str, int]) -> None:
        try:
            self._standing["peer"] = stack.enter_context(contenders.peer(node_bullmq(), *engine))
        except PeerMissing as missing:
            self.missing["peer"] = str(missing)

    def _turn(self, auth: tuple[bytes, ...], engine_url: str, *, warm: bool) -> None:
        options = self._options
        seconds = WARM_S if warm else options.seconds
        for name, contender in self._standing.items():
            target = parse_target(contender.url)
            done = Round(Scenario(target, "closed", options.sockets, seconds, tokens=auth), contender.processes)
            if not warm:
                self.rounds.setdefault(name, []).append(done)
        if not warm:
            self.bare.append(uvloop.run(script.bare(engine_url, seconds, BATCH)))

    def _offer(self, auth: tuple[bytes, ...]) -> None:
        options = self._options
        seconds = 2 * options.seconds
        for name in ("floor", "server"):
            contender = self._standing[name]
            scenario = Scenario(
                parse_target(contender.url), "over", OPEN_SOCKETS, seconds, ramp=4_000.0,
                votes=int(options.offered * seconds), tokens=auth,
            )
            self.open_loop[name] = [Round(scenario, contender.processes)]

    def results(self) -> list[Result]:
        floor = self.rounds["floor"]
        made = [report.summary(name, found, floor) for name, found in self.rounds.items()]
        return [*made, report.script_summary(self.bare)]

    def offered(self) -> list[Result]:
        floor = self.open_loop["floor"]
        return [report.summary(name, found, floor) for name, found in self.open_loop.items()]

    @property
    def clean(self) -> bool:
        """True if every vote was taken and the ledger has them all. The peer is not ours to judge."""
        ours = [*self.rounds["server"], *self.rounds["floor"], *self.open_loop["server"], *self.open_loop["floor"]]
        return all(each.report.clean for each in ours) and self.recount == "EQUAL"


def main() -> int:
    options = _options()
    # the second engine's comings and goings are no news here
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    console = Console(width=120)
    folder = Path(tempfile.mkdtemp(prefix="bench-votes-"))
    folder.chmod(0o755)  # the engines run as another user when we are root
    run = Run(options, folder)
    try:
        run.go(console)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    closed, offered = run.results(), run.offered()
    captions = (
        f"{options.sockets} sockets, closed loop, {options.rounds} x {options.seconds:g} s; recount {run.recount}",
        f"{options.offered:,} votes a second offered over {OPEN_SOCKETS:,} sockets, {2 * options.seconds:g} s",
    )
    for caption, found in zip(captions, (closed, offered), strict=True):
        report.show(console, caption, found)
    for name, reason in run.missing.items():
        console.print(f"could not have {report.TITLES[name]}: {reason}")
    for caption, found in zip(captions, (closed, offered), strict=True):
        console.print(f"\n{caption}\n\n{report.markdown(found)}", soft_wrap=True, markup=False, highlight=False)
    if not options.no_write:
        _write(options, run, closed, offered)
    return 0 if run.clean else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.votes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sockets", type=int, default=500, help="of the closed loop")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round; the open loop takes twice as long")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--offered", type=int, default=20_000, help="votes a second of the open loop")
    parser.add_argument("--no-write", action="store_true", help="leave bench/results as it is")
    return parser.parse_args()


def _write(options: argparse.Namespace, run: Run, closed: list[Result], offered: list[Result]) -> None:
    whole: dict[str, Any] = {
        "command": " ".join(("python -m bench.votes", *sys.argv[1:])), "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} CPUs",
        "sockets": options.sockets, "rounds": options.rounds, "recount": run.recount, "missing": run.missing,
        "closed": msgspec.to_builtins(closed), "offered_per_second": options.offered,
        "open": msgspec.to_builtins(offered),
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(whole, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
