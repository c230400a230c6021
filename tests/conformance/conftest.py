from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.conformance.echo import EchoServer, echo_server

settings.register_profile("soak", max_examples=2_500)


@pytest.fixture(scope="session")
def echo() -> Iterator[EchoServer]:
    with echo_server() as server:
        yield server
