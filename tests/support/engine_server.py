"""A server reduced to its engines, as a process: `python -m tests.support.engine_server DATA_DIR [USER]`.

Prints one line of JSON when the engines answer ({"pids": {...}, "engines": {...}}, or {"refused": "..."}), holds
them until its input ends, and stops them. With USER, root becomes that user first.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import sys
from importlib import metadata
from pathlib import Path

import msgspec
import structlog

from broadcast_sync.engine.engines import open_engines
from broadcast_sync.engine.folder import DataFolder
from broadcast_sync.engine.record import read_record
from broadcast_sync.errors import StartError
from tests.support.engines import settings_for


def become(user: str) -> None:
    """Gives up root for `user`, as a login would."""
    metadata.version("redis")  # imports on first use what the user may not be able to read
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def say(line: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.flush()


async def hold(data: Path) -> None:
    try:
        async with open_engines(settings_for(data), serve=True) as engines:
            record = read_record(DataFolder(data))
            assert record is not None
            say({"pids": {"valkey": record.valkey.pid, "postgres": record.postgres.pid}, "engines": engines})
            await asyncio.to_thread(sys.stdin.read)
    except StartError as error:
        say({"refused": str(error)})


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if len(sys.argv) > 2:
        become(sys.argv[2])
    asyncio.run(hold(Path(sys.argv[1])))
