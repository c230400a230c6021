"""Medians of the rounds, and tables for the terminal and as Markdown for docs/performance.md."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from bench.votes.rounds import Round
from bench.votes.script import Measured
from clients.load.histogram import Histogram

TITLES: Final = {
    "floor": "floor: the same hub, ack at once",
    "server": "server",
    "script": "the bare script, no sockets",
    "peer": "peer: Node ws + BullMQ",
}
_COLUMNS: Final = ("", "acked/s", "p50 ms", "p99 ms", "server µs", "Valkey µs", "PostgreSQL µs", "load µs", "x floor")


class Result(Struct, frozen=True):
    """One contender: medians over its rounds, latencies of all rounds together, CPU microseconds a vote. `ratio` is
    the server process's CPU a vote as a multiple of the floor's in the same round, the median of the rounds."""

    name: str
    rounds_per_second: list[int]
    acked: int
    cpu_us: dict[str, float]
    load_us: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    ratio: float | None = None
    errors: dict[str, int] = {}

    @property
    def per_second(self) -> int:
        return round(statistics.median(self.rounds_per_second))


def summary(name: str, rounds: Sequence[Round], floor: Sequence[Round] = ()) -> Result:
    """Of a contender with sockets. `floor` are the floor's rounds of the same run, if there is a ratio."""
    latency = Histogram()
    for each in rounds:
        latency.merge(each.report.latency_us)
    ratio = None
    if floor:
        pairs = zip(rounds, floor, strict=True)
        ratio = round(statistics.median(one.us_a_vote("server") / least.us_a_vote("server") for one, least in pairs), 3)
    return Result(
        name,
        [round(each.report.acked_per_second) for each in rounds],
        sum(each.report.acked for each in rounds),
        {part: round(statistics.median(each.us_a_vote(part) for each in rounds), 2) for part in rounds[0].cpu},
        round(statistics.median(each.load_us_a_vote for each in rounds), 2),
        latency.percentile_ms(50),
        latency.percentile_ms(99),
        ratio,
        {code: n for each in rounds for code, n in {**each.report.errors, **each.report.failures}.items()},
    )


def script_summary(rounds: Sequence[Measured]) -> Result:
    """Of the bare script: its client is no server, and its CPU is shown as the load's."""
    return Result(
        "script", [round(each.votes / each.seconds) for each in rounds], sum(each.votes for each in rounds),
        {"valkey": round(statistics.median(each.engine_us for each in rounds), 2)},
        round(statistics.median(each.node_us for each in rounds), 2),
    )


def show(console: Console, title: str, results: Sequence[Result]) -> None:
    table = Table(title=title)
    for column in _COLUMNS:
        table.add_column(column, justify="right" if column else "left")
    for result in results:
        table.add_row(*_cells(result))
    console.print(table)


def markdown(results: Sequence[Result]) -> str:
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{' --- |' * len(_COLUMNS)}"]
    for result in results:
        mark = "**" if result.name == "server" else ""
        lines.append("| " + " | ".join(f"{mark}{cell}{mark}" if cell else "" for cell in _cells(result)) + " |")
    return "\n".join(lines)


def _cells(result: Result) -> list[str]:
    cpu = result.cpu_us
    return [
        TITLES[result.name], f"{result.per_second:,}", *(_one(ms) for ms in (result.p50_ms, result.p99_ms)),
        *(_one(cpu.get(part)) for part in ("server", "valkey", "postgres")), _one(result.load_us),
        "" if result.ratio is None else f"{result.ratio:.2f}",
    ]


def _one(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
