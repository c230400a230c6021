"""Counts that are for screens and the control room: who is sent them, from when on and how long."""

from __future__ import annotations

import time

import pytest

from broadcast_sync.wire.visibility import beside
from tests.support.events import connection
from tests.support.hub import Client, Rig

PATHS = ("/voting/sync", "/voting/results")


def auth(token: str) -> dict[str, object]:
    return {"type": "AUTH", "token": token}


async def only_public(rig: Rig, client: Client, total: int = 1) -> None:
    """Publishes a board for screens, then one for everybody: the client hears of the second alone."""
    rig.hub.publish(rig.board(999), beside("results"))
    await rig.settled()
    await rig.publish(rig.board(total))
    assert (await client.hear("VOTE_UPDATE"))["data"]["totalVotes"] == total


async def sees(rig: Rig, client: Client, total: int) -> None:
    rig.hub.publish(rig.board(total), beside("results"))
    assert (await client.hear("VOTE_UPDATE"))["data"]["totalVotes"] == total


@pytest.mark.parametrize("path", PATHS)
async def test_who_has_not_signed_in_is_told_nothing(rig: Rig, path: str) -> None:
    rig.private = [rig.board(999)]
    client = await rig.joined(path)
    await only_public(rig, client)
    await client.say({"type": "REQUEST_UPDATE"})
    assert (await client.hear("VOTE_UPDATE"))["data"]["totalVotes"] == 0
    await only_public(rig, client, 2)


@pytest.mark.parametrize("role", ["user", "viewer", "moderator"])
async def test_other_roles_see_what_everybody_sees(rig: Rig, role: str) -> None:
    rig.private = [rig.board(999)]
    client = await rig.joined()
    await client.ask(auth(rig.token(role)), "AUTH_OK")
    await only_public(rig, client)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("role", ["screen", "control", "admin"])
async def test_signing_in_brings_the_board_and_those_that_follow(rig: Rig, path: str, role: str) -> None:
    rig.private = [rig.board(41)]
    client = await rig.joined(path)
    await client.say(auth(rig.token(role)))
    assert (await client.hear("VOTE_UPDATE"))["data"]["totalVotes"] == 41
    await sees(rig, client, 42)
    rig.private = [rig.board(43)]
    await client.say({"type": "REQUEST_UPDATE"})
    assert [(await client.hear("VOTE_UPDATE"))["data"]["totalVotes"] for _ in range(2)] == [0, 43]


async def test_the_control_room_has_it_from_the_start(rig: Rig) -> None:
    rig.private = [rig.board(41)]
    client = await (await rig.connect("/control/sync")).welcomed()
    await client.say(auth(rig.token("control")))
    assert [(await client.hear("VOTE_UPDATE"))["data"]["totalVotes"] for _ in range(2)] == [0, 41]
    rig.hub.publish(rig.board(7), beside("control"))
    assert (await client.hear("VOTE_UPDATE"))["data"]["totalVotes"] == 7


async def test_contestants_are_followed_as_ever(rig: Rig) -> None:
    client = await rig.joined()
    await client.say({"type": "SUBSCRIBE", "channels": ["contestant:c01"]})
    await client.ask(auth(rig.token("screen")), "AUTH_OK")
    rig.hub.publish(rig.board(5), beside("contestant:c01"))
    assert (await client.hear("VOTE_UPDATE"))["data"]["totalVotes"] == 5
    await client.ask({"type": "UNSUBSCRIBE", "channels": ["contestant:c01", "results"]}, "UNSUBSCRIBED")
    assert set(rig.session(client).channels) == {"show"}


async def test_nobody_can_ask_for_the_private_channel(rig: Rig) -> None:
    client = await rig.joined()
    await client.ask(auth(rig.token("screen")), "AUTH_OK")
    for name in (beside("results"), beside("contestant:c01"), beside("control")):
        answer = await client.ask({"type": "SUBSCRIBE", "channels": [name]}, "ERROR")
        assert answer["data"]["code"] == "UNSUPPORTED"


async def test_it_costs_a_socket_none_of_its_channels(rig: Rig) -> None:
    client = await rig.joined()
    await client.ask(auth(rig.token("screen")), "AUTH_OK")
    limit = rig.hub.settings.hub.channels_per_socket
    names = [f"contestant:c{n}" for n in range(limit - 2)]
    await client.ask({"type": "SUBSCRIBE", "channels": names}, "SUBSCRIBED")
    assert (await client.ask({"type": "SUBSCRIBE", "channels": ["contestant:one"]}, "ERROR"))["data"]["code"] == (
        "UNSUPPORTED"
    )


async def test_a_token_that_has_expired_sees_no_more_until_it_is_renewed(rig: Rig) -> None:
    client = await rig.joined()
    await client.ask(auth(rig.token("screen", sub="s1")), "AUTH_OK")
    await sees(rig, client, 41)
    session = rig.session(client)
    assert session.identity is not None
    past_ms = int(time.time() * 1000) - 60_000
    session.identity = type(session.identity)("s1", "default", frozenset({"screen"}), past_ms)  # in its grace
    rig.private = [rig.board(999)]
    await only_public(rig, client)
    await client.say({"type": "REQUEST_UPDATE"})
    assert (await client.hear("VOTE_UPDATE"))["data"]["totalVotes"] == 0
    await client.say({"type": "SUBSCRIBE", "channels": ["results"]})
    assert (await client.hear("VOTE_UPDATE"))["data"]["totalVotes"] == 0
    await only_public(rig, client, 2)
    rig.private = [rig.board(42)]
    await client.say(auth(rig.token("screen", sub="s1")))
    assert (await client.hear("VOTE_UPDATE"))["data"]["totalVotes"] == 42
    await sees(rig, client, 43)


async def test_a_lesser_token_of_the_same_user_takes_it_away(rig: Rig) -> None:
    client = await rig.joined()
    await client.ask(auth(rig.token("screen", sub="s1")), "AUTH_OK")
    await sees(rig, client, 41)
    await client.ask(auth(rig.token("user", sub="s1")), "AUTH_OK")
    await only_public(rig, client)


async def test_an_event_stream_is_for_the_public(rig: Rig) -> None:
    rig.private = [rig.board(999)]
    async with connection(rig.port) as stream:
        await stream.ask(f"?token={rig.token('screen')}", f"Authorization: Bearer {rig.token('screen')}")
        assert (await stream.hear("VOTE_UPDATE"))["data"]["totalVotes"] == 0
        rig.hub.publish(rig.board(999), beside("results"))
        await rig.settled()
        await rig.publish(rig.board(1))
        assert (await stream.hear("VOTE_UPDATE"))["data"]["totalVotes"] == 1
