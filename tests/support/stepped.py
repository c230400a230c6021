"""An engine whose wall clock can be set while it runs, as an operator, a bad time server or a battery would set it.

Its monotonic clock is left alone. The C compiler is the one that the project needs anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import shutil
import struct
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from tests.support.loose_valkey import LooseValkey

SOURCE: Final = Path(__file__).with_name("stepped.c")


class SteppedValkey(LooseValkey):
    """Listens in `folder`; `step` sets its clock."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder, *options)
        library, offset = folder / "stepped.so", folder / "offset"
        offset.write_bytes(bytes(8))
        compiler = shutil.which("gcc") or shutil.which("cc")
        assert compiler is not None, "a C compiler is needed"
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True, timeout=60)
        self.environment = {"LD_PRELOAD": str(library), "STEPPED_CLOCK": str(offset)}
        with offset.open("r+b") as file:
            self._offset = mmap.mmap(file.fileno(), 8)

    async def step(self, ms: int) -> None:
        """Sets the clock by `ms` forward of what it is, back if negative; returns once the engine says so."""
        [before] = struct.unpack("q", self._offset[:])
        self._offset[:] = struct.pack("q", before + ms * 1000)
        async with self.client() as client:
            # it looks at the clock some times a second, and counts on from there
            while abs((await client.time())[0] - time.time() - (before / 1_000_000 + ms / 1_000)) > 2:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)

    async def now_ms(self) -> int:
        """The time by its clock."""
        async with self.client() as client:
            seconds, micros = await client.time()
            return int(seconds) * 1000 + int(micros) // 1000


@contextlib.asynccontextmanager
async def stepped_valkey(folder: Path) -> AsyncIterator[SteppedValkey]:
    """One such engine for as long as the block runs."""
    engine = SteppedValkey(folder)
    try:
        await engine.start()
        yield engine
    finally:
        await engine.kill()
