"""Real engines for tests: one Valkey and one PostgreSQL in a folder of their own, as the product starts them."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from broadcast_sync.engine.engines import open_engines
from broadcast_sync.engine.postgres import DATABASE
from broadcast_sync.settings import Engine, Settings


class RunningEngines(Struct, frozen=True):
    """Where the engines of this test run listen, and in which data folder they work."""

    valkey_url: str
    postgres_url: str
    data: Path

    def database(self, name: str) -> str:
        """The URL of another database of the same PostgreSQL."""
        return self.postgres_url.replace(f"/{DATABASE}?", f"/{name}?")


def settings_for(data: Path, **engine: object) -> Settings:
    """Settings that differ from the defaults in the data folder and the given keys of [engine]; any disk will do."""
    keys: dict[str, object] = {"data_dir": str(data), "min_free_mb": 0, **engine}
    return Settings(engine=Engine(**keys))  # type: ignore[arg-type]


@contextlib.contextmanager
def run_engines() -> Iterator[RunningEngines]:
    """Both engines for as long as the block runs, in a folder that goes with them."""
    folder = Path(tempfile.mkdtemp(prefix="bs-test-"))
    opened = open_engines(settings_for(folder / "data"), serve=False)
    with asyncio.Runner() as runner:
        try:
            engines = runner.run(opened.__aenter__())
            try:
                yield RunningEngines(engines.valkey_url, engines.postgres_url, folder / "data")
            finally:
                runner.run(opened.__aexit__(None, None, None))
        finally:
            shutil.rmtree(folder)
