"""One scenario against one contender: what the load saw, and what each process used meanwhile."""

from __future__ import annotations

import sys
import time
from typing import Final

import psutil

from clients.load.load import MEASURING, Scenario
from clients.load.processes import run_scenario
from clients.load.report import Report

FOLLOW_S: Final = 2.0
"""What the ledger is given to follow before CPU is read."""


def cpu_s(pid: int) -> float:
    """User and system time of a process and of what it started, its ended children included. Ends the program if
    the process is gone."""
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        sys.exit(f"process {pid} was stopped during the run; nothing was measured")
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            total += sum(each.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue  # its time is its parent's children's time by now
    return total


class Round:
    """Runs at once. `processes` by part: `server`, and `valkey` and `postgres` where there are any; engines that are
    children of `server` are taken out of it."""

    def __init__(self, scenario: Scenario, processes: dict[str, int]) -> None:
        self._processes = processes
        self._before: dict[str, float] = {}
        self.report: Report = run_scenario(scenario, 1, self._stage)
        time.sleep(FOLLOW_S)
        self.cpu = {name: now - self._before[name] for name, now in self._read().items()}

    def _stage(self, stage: str, share: float) -> None:
        if stage == MEASURING and not self._before:
            self._before = self._read()

    def _read(self) -> dict[str, float]:
        found = {name: cpu_s(pid) for name, pid in self._processes.items()}
        children = {child.pid for child in psutil.Process(self._processes["server"]).children()}
        found["server"] -= sum(
            found[name] for name, pid in self._processes.items() if name != "server" and pid in children
        )
        return found

    def us_a_vote(self, name: str) -> float:
        """Microseconds of CPU for each acknowledged vote."""
        return self.cpu.get(name, 0.0) / max(1, self.report.acked) * 1e6

    @property
    def load_us_a_vote(self) -> float:
        return self.report.cpu_s / max(1, self.report.acked) * 1e6
