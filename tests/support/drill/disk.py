"""A disk of PostgreSQL's that can be made to refuse: a small tmpfs as root, else a limit on the size of its files."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from pathlib import Path
from typing import Final, Protocol

import psutil

MEGABYTES: Final = 256
BLOCK: Final = bytes(1 << 20)
TINY: Final = 8_192
"""Bytes that a file may have while the limit is on: PostgreSQL can extend none, its log included."""


class Disk(Protocol):
    """`how` says in plain words what is done, `complaint` is what PostgreSQL then writes to its log."""

    how: str
    complaint: bytes

    def prepare(self, postgres: Path) -> None:
        """Before the first start, with the data folder of a stopped PostgreSQL."""

    def fill(self, pid: int) -> None:
        """From now on the disk refuses; `pid` is PostgreSQL's."""

    def clear(self, pid: int) -> None:
        """There is room again."""

    def remove(self) -> None:
        """At the end, with PostgreSQL stopped."""


class SmallDisk:
    """The data folder on a tmpfs of its own, filled to the last byte by a file beside it. For root."""

    how = f"its tmpfs of {MEGABYTES} MB is filled"
    complaint = b"No space left on device"

    def __init__(self) -> None:
        self._folder: Path | None = None

    def prepare(self, postgres: Path) -> None:
        kept = postgres.with_name("postgres.kept")
        postgres.rename(kept)
        postgres.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "none", str(postgres)], check=True)
        self._folder = postgres
        subprocess.run(["cp", "-a", f"{kept}/.", str(postgres)], check=True)
        shutil.rmtree(kept)

    def fill(self, pid: int) -> None:
        with self._ballast.open("ab", buffering=0) as ballast:
            for block in (BLOCK, BLOCK[:4096]):
                try:
                    while ballast.write(block) == len(block):
                        pass
                except OSError:
                    pass  # full, which is what was wanted

    def clear(self, pid: int) -> None:
        self._ballast.unlink()

    def remove(self) -> None:
        if self._folder is not None:
            subprocess.run(["umount", str(self._folder)], check=True)

    @property
    def _ballast(self) -> Path:
        assert self._folder is not None
        return self._folder / "ballast"


class SmallFiles:
    """A limit on the size of any file that PostgreSQL's processes write, which needs no rights."""

    how = f"none of its files may grow beyond {TINY:,} bytes"
    complaint = b"File too large"

    def prepare(self, postgres: Path) -> None:
        """Nothing."""

    def fill(self, pid: int) -> None:
        self._limit(pid, TINY)

    def clear(self, pid: int) -> None:
        self._limit(pid, None)

    def remove(self) -> None:
        """Nothing."""

    def _limit(self, pid: int, most: int | None) -> None:
        """On the postmaster first, so that no process it starts meanwhile is without. One started anew has none."""
        try:
            postmaster = psutil.Process(pid)
            for process in (postmaster, *postmaster.children(recursive=True)):
                _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard if most is None else most, hard))
        except (psutil.NoSuchProcess, ProcessLookupError):
            pass  # it has ended over it: the next one has no limit


def small_disk() -> Disk:
    """What this user can do."""
    return SmallDisk() if os.geteuid() == 0 else SmallFiles()
