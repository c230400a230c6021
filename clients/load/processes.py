"""A scenario split over processes, because one Python process fills one core."""

from __future__ import annotations

import multiprocessing
import signal
import time
from concurrent.futures import ProcessPoolExecutor, wait

import uvloop
from msgspec.structs import replace

from clients.load.load import Progress, Scenario, allow_files, run
from clients.load.report import Report, merged


def run_scenario(scenario: Scenario, processes: int, progress: Progress) -> Report:
    """Runs `scenario` here, or in `processes` children, and returns the whole report. Blocks. Raises Unreachable,
    OSError when the sockets are more than the machine allows."""
    allow_files(scenario.sockets)
    if processes == 1:
        return uvloop.run(run(scenario, progress))
    parts = split(scenario, processes)
    context = multiprocessing.get_context("spawn")
    expected_s = scenario.sockets / scenario.ramp + scenario.seconds
    with ProcessPoolExecutor(len(parts), context, _child) as pool:
        running = [pool.submit(_part, part) for part in parts]
        began = time.monotonic()
        while wait(running, timeout=0.25).not_done:
            progress("running", min(1.0, (time.monotonic() - began) / expected_s))
        return merged([each.result() for each in running])


def split(scenario: Scenario, processes: int) -> list[Scenario]:
    """At most `processes` scenarios that together are `scenario`. Pure."""
    count = min(processes, scenario.sockets, *([scenario.votes] if scenario.mode == "over" else []))
    parts = []
    for index in range(count):
        first, after = (scenario.sockets * i // count for i in (index, index + 1))
        votes = scenario.votes * (index + 1) // count - scenario.votes * index // count
        parts.append(
            replace(
                scenario, sockets=after - first, ramp=scenario.ramp / count, votes=votes,
                tokens=scenario.tokens[first:after], first=scenario.first + first,
            )
        )
    return parts


def _child() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends the pool


def _part(scenario: Scenario) -> Report:
    allow_files(scenario.sockets)
    return uvloop.run(run(scenario))
