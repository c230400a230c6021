"""A data folder for each test, at a path short enough for a socket, and an account that is not root."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcast_sync.engine.account import choose
from broadcast_sync.engine.folder import DataFolder, socket_folder
from broadcast_sync.engine.process import engines_in
from tests.support.engines import RunningEngines


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder that does not exist yet. Whatever still runs in it after the test is ended, by its id."""
    folder = Path(tempfile.mkdtemp(prefix="bs-e-"))
    yield folder / "data"
    left = DataFolder(folder / "data")
    for name, home in (("valkey-server", left.valkey), ("postgres", left.postgres)):
        for process in engines_in(name, home):
            process.send(signal.SIGKILL)
    outside = socket_folder(left.path)
    if outside.parent != left.path and outside.exists():
        shutil.rmtree(outside)
    shutil.rmtree(folder)


@pytest.fixture
def ordinary(data: Path, engines: RunningEngines) -> tuple[str, ...]:
    """The arguments that make `engine_server` an ordinary user, in a folder of theirs. Nothing needs to be done
    unless we are root; then it is the engines' own account, which `engines` let through to the programs."""
    if os.geteuid() != 0:
        return ()
    account = choose(data, data / "postgres")
    os.chown(data.parent, account.uid, account.gid)
    return ("broadcast-sync",)
