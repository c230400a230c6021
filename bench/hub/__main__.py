"""The hub's figures: `python -m bench.hub [--sockets 1000 5000 15000] [--only hub nchan]`.

CPU a delivery, spread, memory a socket and bytes a delivery of one board, at each size, for the hub, its floor and
its peers, side by side and by turns.
Prints tables and the same as Markdown; writes bench/results/hub_fanout.json. Peers are installed
into bench/peers on the first run; one that could not be had is named with its reason.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
from rich.console import Console

from bench.hub import cues, report
from bench.hub.contenders import BY_NAME, CONTENDERS, FLOOR
from bench.hub.fanout import Result, measure

PARTS: Final = ("fanout", "cues")
RESULTS: Final = Path(__file__).resolve().parents[1] / "results"
SIZES: Final = (1_000, 5_000, 15_000)


def main() -> int:
    options = _options()
    console = Console(width=120)
    if "fanout" in options.part:
        _fanout(options, console)
    if "cues" in options.part:
        _cues(options, console)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.hub", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--sockets", nargs="+", type=int, default=SIZES, help="sizes of part fanout")
    parser.add_argument("--rounds", type=int, default=12, help="of each size")
    parser.add_argument(
        "--only", nargs="+", choices=tuple(BY_NAME), default=tuple(BY_NAME), metavar="NAME",
        help=f"contenders beside the floor: {', '.join(BY_NAME)}",
    )
    parser.add_argument("--audience", type=int, default=SIZES[-1], help="sockets of part cues")
    parser.add_argument("--votes", type=int, default=10_000, help="votes a second of part cues")
    parser.add_argument("--cues", type=int, default=140, help="of part cues, about two a second")
    parser.add_argument("--no-write", action="store_true", help="leave bench/results as it is")
    return parser.parse_args()


def _fanout(options: argparse.Namespace, console: Console) -> None:
    chosen = [contender for contender in CONTENDERS if contender.name == FLOOR or contender.name in options.only]
    results: list[Result] = []
    missing: dict[str, str] = {}
    for sockets in sorted(options.sockets):
        with console.status("") as status:
            found, absent = measure(chosen, sockets, options.rounds, status.update)
        report.show(console, found)
        results += found
        missing |= absent
    for name, reason in missing.items():
        console.print(f"could not have {BY_NAME[name].title}: {reason}")
    console.print(report.markdown(results), soft_wrap=True, markup=False, highlight=False)
    listed = msgspec.to_builtins(results)
    _write(options, "hub_fanout", {"rounds": options.rounds, "missing": missing, "results": listed})


def _cues(options: argparse.Namespace, console: Console) -> None:
    with console.status(f"cues to {options.audience:,} sockets"):
        result = cues.measure(options.audience, options.votes, options.cues)
    report.show_cues(console, result)
    console.print(report.cues_markdown(result), soft_wrap=True, markup=False, highlight=False)
    _write(options, "hub_cues", {"result": msgspec.to_builtins(result)})


def _write(options: argparse.Namespace, name: str, found: dict[str, Any]) -> None:
    if options.no_write:
        return
    RESULTS.mkdir(exist_ok=True)
    machine = f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} CPUs"
    whole = {
        "command": " ".join(("python -m bench.hub", *sys.argv[1:])), "python": platform.python_version(),
        "machine": machine, **found,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(whole, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
