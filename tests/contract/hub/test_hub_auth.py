"""AUTH: who gets in, who is told why not, who is shown the door."""

from __future__ import annotations

import jwt
import pytest

from broadcast_sync.tokens import Identity
from tests.support.hub import Rig


def auth(token: str) -> dict[str, object]:
    return {"type": "AUTH", "token": token}


async def test_a_voter(rig: Rig) -> None:
    async def remaining(identity: Identity) -> dict[str, int]:
        assert identity.user_id == "u1"
        return {"free": 5}

    rig.hub.remaining = remaining
    client = await rig.joined()
    answer = await client.ask(auth(rig.token("user")))
    assert answer["type"] == "AUTH_OK"
    assert answer["data"]["userId"] == "u1"
    assert answer["data"]["roles"] == ["user"]
    assert answer["data"]["organizationId"] == "default"
    assert answer["data"]["remaining"] == {"free": 5}
    assert answer["data"]["expiresAt"].endswith("Z")
    assert rig.session(client).identity is not None


async def test_auth_holds_even_if_what_is_left_is_unknown(rig: Rig) -> None:
    async def broken(identity: Identity) -> dict[str, int]:
        raise OSError("engine gone")

    rig.hub.remaining = broken
    client = await rig.joined()
    assert (await client.ask(auth(rig.token("user"))))["data"]["remaining"] is None


async def test_the_next_message_is_already_authenticated(rig: Rig) -> None:
    client = await rig.joined()
    await client.say(auth(rig.token("user")))
    await client.ask({"type": "PING", "t0": 1}, "PONG")
    assert rig.session(client).identity is not None


@pytest.mark.parametrize(
    ("kind", "code", "control_close"),
    [
        ("rubbish", "UNAUTHENTICATED", 4500),
        ("none", "UNAUTHENTICATED", 4500),
        ("expired", "TOKEN_EXPIRED", 4500),
        ("elsewhere", "FORBIDDEN", 4502),
    ],
)
async def test_refused_tokens(rig: Rig, kind: str, code: str, control_close: int) -> None:
    token = {
        "rubbish": "a.b.c",
        "none": jwt.encode({"sub": "u", "org": "default", "roles": ["control"], "exp": 2**32}, "", algorithm="none"),
        "expired": rig.token("control", ttl_s=-60),
        "elsewhere": rig.token("control", org="other"),
    }[kind]
    client = await rig.joined()
    assert (await client.ask(auth(token)))["data"]["code"] == code
    assert (await client.ask({"type": "PING", "t0": 1}))["type"] == "PONG"
    operator = await (await rig.connect("/control/sync")).welcomed()
    assert (await operator.ask(auth(token)))["data"]["code"] == code
    assert await operator.ended() == control_close


async def test_guessing_tokens_costs_the_socket(rig: Rig) -> None:
    client = await rig.joined()
    for _ in range(21):
        await client.say(auth("a.b.c"))
    assert await client.ended() == 4501


async def test_the_control_room_needs_its_role(rig: Rig) -> None:
    client = await (await rig.connect("/control/sync")).welcomed()
    assert (await client.ask(auth(rig.token("user"))))["data"]["code"] == "FORBIDDEN"
    assert await client.ended() == 4502


async def test_the_control_room_is_subscribed_to_all_three(rig: Rig) -> None:
    client = await rig.operator()
    assert [(await client.hear())["channel"] for _ in range(3)] == ["show", "results", "control"]
    assert rig.hub.channels.counts() == {"show": 1, "results": 1, "control": 1}
    again = await client.ask(auth(rig.token("control")))
    assert again["type"] == "AUTH_OK"
    rig.tick(5)
    assert (await client.hear())["type"] == "COUNTDOWN"
