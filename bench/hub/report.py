"""Tables for the terminal and as Markdown for docs/performance.md."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench.hub.cues import CueResult
from bench.hub.fanout import Result

_COLUMNS = ("contender", "CPU µs a delivery", "x floor", "spread ms", "KB a socket", "B a delivery")


def show(console: Console, results: Sequence[Result]) -> None:
    """One size."""
    table = Table(title=f"One board to {results[0].sockets:,} sockets")
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column == _COLUMNS[0] else "right")
    for result in results:
        table.add_row(
            result.title, f"{result.us_a_delivery:.2f}", _ratio(result), f"{result.spread_ms:.0f}", _kb(result),
            f"{result.bytes_a_delivery:,}",
        )
    console.print(table)


def markdown(results: Sequence[Result]) -> str:
    """All sizes in one table: CPU and ratio at each, the rest at the largest."""
    sizes = sorted({result.sockets for result in results})
    largest = [result for result in results if result.sockets == sizes[-1]]
    heads = [f"µs (x floor) at {size:,}" for size in sizes]
    heads += [f"spread ms at {sizes[-1]:,}", "KB a socket", "B a delivery"]
    lines = ["| | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(heads)]
    for last in largest:
        found = {result.sockets: result for result in results if result.name == last.name}
        cells = [
            f"{found[size].us_a_delivery:.2f} ({_ratio(found[size])})" if size in found else "missing"
            for size in sizes
        ]
        title = f"**{last.title}**" if last.name.startswith("hub") else last.title
        rest = (f"{last.spread_ms:.0f}", _kb(last), f"{last.bytes_a_delivery:,}")
        lines.append("| " + " | ".join((title, *cells, *rest)) + " |")
    return "\n".join(lines)


def cues(result: CueResult) -> list[tuple[str, str]]:
    """Rows of the second table."""
    stall = "the server does not tell" if result.stall_max_ms is None else f"{result.stall_max_ms:.1f} ms"
    return [
        ("cues, and the votes/s acknowledged meanwhile", f"{result.cues}, {result.acked_per_second:,}"),
        ("cue on the first socket, p50", f"{result.first_p50_ms:.1f} ms"),
        ("**cue on the last socket, p50**", f"{result.last_p50_ms:.1f} ms"),
        ("**cue on the last socket, p99**", f"{result.last_p99_ms:.1f} ms"),
        ("cue on the last socket, longest", f"{result.last_max_ms:.1f} ms"),
        ("longest loop stall of the last minute", stall),
        ("loop stalls over 20 ms", "-" if result.stalls is None else str(result.stalls)),
        ("vote acknowledged, p50 and p99", f"{result.ack_p50_ms or 0:.1f} and {result.ack_p99_ms or 0:.1f} ms"),
        ("CPU of the server's process", f"{result.server_cpu:.2f} cores"),
        ("votes refused, sockets lost", str(result.problems or "none")),
    ]


def show_cues(console: Console, result: CueResult) -> None:
    """Goal: p99 within 200 ms, no stall over 20."""
    table = Table(title=_title(result), show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in cues(result):
        table.add_row(name.strip("*"), value)
    console.print(table)


def cues_markdown(result: CueResult) -> str:
    rows = (f"| {name} | {value} |" for name, value in cues(result))
    return "\n".join((f"| {_title(result)} | |", "| --- | --- |", *rows))


def _title(result: CueResult) -> str:
    return f"{result.sockets:,} sockets, {result.votes_per_second:,} votes/s"


def _ratio(result: Result) -> str:
    return "-" if result.ratio is None else f"{result.ratio:.2f}"


def _kb(result: Result) -> str:
    return f"{result.bytes_a_socket / 1024:.1f}"
