"""What the door leaves to the application on the stream's path."""

from __future__ import annotations

import httpx

from broadcast_sync.api import application
from broadcast_sync.hub.events import endpoints
from broadcast_sync.hub.session import STREAM


async def test_other_methods_are_not_allowed_and_a_pipelined_request_waits() -> None:
    transport = httpx.ASGITransport(application(endpoints()))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            answer = await client.request(method, STREAM)
            assert answer.status_code == 405 and set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
        answer = await client.get(STREAM)
        assert (answer.status_code, answer.headers["retry-after"], answer.json()["code"]) == (503, "1", "BUSY")
