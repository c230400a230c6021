from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.support.browser import chromium
from tests.support.process import ServerProcess

Starter = Callable[..., ServerProcess]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Starter]:
    """Starts real servers; each is ended, engines included, when the test is over."""
    started: list[ServerProcess] = []

    def start(settings: dict[str, object] | None = None, *arguments: str) -> ServerProcess:
        server = ServerProcess(tmp_path / f"data{len(started)}", settings, *arguments)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.cleanup()


@pytest.fixture
def server(start_server: Starter) -> ServerProcess:
    return start_server()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running
