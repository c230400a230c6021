"""A small drill: every trouble of `make drill`, few sockets, short pauses."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.python.connection import Backoff
from tests.support.drill.drill import Plan, drill
from tests.support.drill.report import markdown

PLAN = Plan(
    sockets=60, pace_s=0.2, pause_s=0.6, calm_s=0.1, engine_timeout_s=0.3, backoff=Backoff(base_s=0.1, cap_s=0.5)
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's own: another run of pytest shuts that to the engines' user at its start."""
    made = Path(tempfile.mkdtemp(prefix="bs-drill-"))
    yield made
    shutil.rmtree(made)


@pytest.mark.timeout(180)
async def test_no_vote_is_lost_and_none_counted_twice_whatever_dies(folder: Path) -> None:
    said: list[str] = []
    async with drill(folder, PLAN, said.append) as running:
        found = await running.run()
    assert found.exact, markdown(running.troubles, found)
    assert (found.given_up, found.acked) == (0, found.ledger)
    assert len(running.troubles) == 7 and all(trouble.acked for trouble in running.troubles)
