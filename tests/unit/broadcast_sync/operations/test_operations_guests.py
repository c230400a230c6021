from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import httpx
import pytest

from broadcast_sync.api import application
from broadcast_sync.clock import EngineClock
from broadcast_sync.errors import StartError
from broadcast_sync.operations.guests import Guests, check_guests
from broadcast_sync.settings import Auth, Engine, Server, Settings
from broadcast_sync.tokens import Tokens

Allowed = Literal["none", "users", "all"]


@pytest.fixture
def settings_for(tmp_path: Path) -> Callable[[Allowed], Settings]:
    return lambda guests: Settings(engine=Engine(data_dir=str(tmp_path)), auth=Auth(guests=guests))


@asynccontextmanager
async def door(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = application(Guests(settings, Tokens(settings), EngineClock()).endpoints())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door") as http:
        yield http


async def test_a_guest_gets_a_token_that_proves_the_role(settings_for: Callable[[Allowed], Settings]) -> None:
    settings = settings_for("all")
    async with door(settings) as http:
        for role in ("user", "screen", "control"):
            answer = (await http.post("/auth/guest", json={"role": role})).json()
            identity = Tokens(settings).check(answer["token"])
            assert identity.has(role)
            assert identity.user_id == answer["userId"]
        many = (await http.post("/auth/guest", json={"role": "user", "count": 200})).json()
        assert len({Tokens(settings).check(token).user_id for token in many["tokens"]}) == 200


@pytest.mark.parametrize(
    ("allowed", "role", "status"),
    [
        ("none", "user", 403), ("users", "user", 200), ("users", "screen", 403), ("users", "control", 403),
        ("all", "screen", 200), ("all", "control", 200),
    ],
)
async def test_who_may_have_what(
    settings_for: Callable[[Allowed], Settings], allowed: Allowed, role: str, status: int
) -> None:
    async with door(settings_for(allowed)) as http:
        assert (await http.post("/auth/guest", json={"role": role})).status_code == status


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'{"role": "king"}', b'{"role": "user", "count": 0}', b'{"count": 1001}', b'{"x": 1}', b"\xff"],
)
async def test_bad_requests_are_typed(settings_for: Callable[[Allowed], Settings], body: bytes) -> None:
    async with door(settings_for("all")) as http:
        answer = await http.post("/auth/guest", content=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "BAD_MESSAGE")
        answer = await http.post("/auth/guest", content=b" " * 2000)
        assert (answer.status_code, answer.json()["code"]) == (413, "TOO_LARGE")


async def test_a_flood_is_slowed_down(settings_for: Callable[[Allowed], Settings]) -> None:
    async with door(settings_for("all")) as http:
        answers = [await http.post("/auth/guest", json={"count": 900}) for _ in range(4)]
        assert [answer.status_code for answer in answers][-1] == 429
        assert int(answers[-1].headers["Retry-After"]) >= 1


def test_the_control_room_is_never_given_away_beyond_loopback() -> None:
    check_guests(Settings(auth=Auth(guests="all")))
    check_guests(Settings(auth=Auth(guests="users"), server=Server(host="0.0.0.0")))
    with pytest.raises(StartError, match="loopback"):
        check_guests(Settings(auth=Auth(guests="all"), server=Server(host="0.0.0.0")))
