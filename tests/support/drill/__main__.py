"""The large drill: `python -m tests.support.drill [--sockets 2000]`. Prints the tables of docs/drill.md; exit code 1 if
a vote was lost or counted twice."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from clients.load.load import allow_files
from tests.support.drill.drill import Plan, drill
from tests.support.drill.report import markdown


async def main(plan: Plan, folder: Path) -> int:
    began = time.monotonic()
    this = asyncio.current_task()
    assert this is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)  # told to stop, it leaves nothing behind

    def say(text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:6.1f} s  {text}\n")

    async with drill(folder, plan, say) as running:
        found = await running.run()
    sys.stdout.write(f"{markdown(running.troubles, found)}\n")
    for kind, ids in (("lost", found.missing), ("doubled", found.doubled), ("unknown", found.unknown)):
        for each in ids[:20]:
            sys.stderr.write(f"{kind}: {each}\n")
    return 0 if found.exact else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.support.drill", description=__doc__)
    parser.add_argument("--sockets", type=int, default=2_000)
    parser.add_argument("--pace", type=float, default=2.0, help="seconds between two ballots of a voter, on average")
    parser.add_argument("--pause", type=float, default=5.0, help="seconds that what is stopped stays stopped")
    options = parser.parse_args()
    allow_files(options.sockets)
    plan = Plan(options.sockets, options.pace, options.pause, calm_s=2.0, engine_timeout_s=2.0)
    folder = Path(tempfile.mkdtemp(prefix="bs-drill-"))
    folder.chmod(0o755)  # the engines run as another user when we are root
    try:
        sys.exit(asyncio.run(main(plan, folder)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
