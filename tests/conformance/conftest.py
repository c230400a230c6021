from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings
from structlog.testing import capture_logs

from tests.conformance.echo import EchoServer, echo_server

settings.register_profile("soak", max_examples=2_500)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A line of log a socket is right for a server, and too much for thousands."""
    with capture_logs():
        yield


@pytest.fixture(scope="session")
def echo() -> Iterator[EchoServer]:
    with echo_server() as server:
        yield server
