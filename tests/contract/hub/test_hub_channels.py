"""Channels: joining, recovery, what is published while somebody joins, who is served what."""

from __future__ import annotations

import asyncio

import pytest

from broadcast_sync.hub.fanout import MAX_WAITING
from broadcast_sync.wire.server import Warning_
from tests.contract.hub.conftest import Open
from tests.support.hub import EPOCH, Rig


def subscribe(*channels: str, **since: int) -> dict[str, object]:
    return {
        "type": "SUBSCRIBE",
        "channels": list(channels),
        "since": {channel: {"epoch": EPOCH, "offset": offset} for channel, offset in since.items()},
    }


async def test_recovery_sends_what_was_missed(rig: Rig) -> None:
    for number in range(5):
        rig.emit(Warning_("w", number))
    client = await rig.joined()
    answer = await client.ask(subscribe("show", show=2))
    assert answer["type"] == "SUBSCRIBED"
    assert answer["data"] == {"channel": "show", "recovered": True, "epoch": "e1", "offset": 5}
    assert [(await client.hear())["offset"] for _ in range(3)] == [3, 4, 5]
    rig.emit(Warning_("w", 6))
    assert (await client.hear())["offset"] == 6


@pytest.mark.parametrize(
    "since", [{"epoch": "other", "offset": 2}, {"epoch": "e1", "offset": 99}, {"epoch": "e1", "offset": 0}, None]
)
async def test_or_else_a_snapshot(rig: Rig, since: dict[str, object] | None) -> None:
    for number in range(5):
        rig.emit(Warning_("w", number))
    rig.oldest = 1
    client = await rig.joined()
    message = {"type": "SUBSCRIBE", "channels": ["show"], "since": {"show": since} if since else {}}
    answer = await client.ask(message)
    assert answer["data"] == {"channel": "show", "recovered": False, "epoch": "e1", "offset": 5}
    assert (await client.hear())["data"]["code"] == "snapshot"


async def test_nothing_is_lost_or_doubled_while_joining(rig: Rig) -> None:
    """Events are published before, between and after joins, without giving the fan-out its turn."""
    clients = [await rig.joined() for _ in range(3)]
    await rig.settled()
    for number in range(200):
        rig.emit(Warning_("w", number))
        if number % 20 == 0:
            await clients[0].say(subscribe("show", show=len(rig.events)))
            await asyncio.sleep(0)
        if number % 50 == 0:
            late = await rig.connect()
            await late.welcomed()
            clients.append(late)
    for client in clients:
        offsets: list[int] = []
        while not offsets or offsets[-1] < 200:
            message = await client.hear("WARNING")
            offsets.append(message["offset"])
        assert offsets == list(range(offsets[0], 201))


async def test_unsubscribe(rig: Rig) -> None:
    client, other = await rig.joined(), await rig.joined()
    for channel in ("show", "contestant:none"):
        answer = await client.ask({"type": "UNSUBSCRIBE", "channels": [channel]})
        assert answer["type"] == "UNSUBSCRIBED"
        assert answer["data"] == {"channel": channel}
    rig.tick(3)
    await rig.publish(rig.board(7))
    assert (await client.hear())["data"]["totalVotes"] == 7
    assert (await other.hear())["type"] == "COUNTDOWN"
    await client.ask(subscribe("show"), "SUBSCRIBED")
    rig.emit(Warning_("back", 1))
    while (await client.hear())["data"].get("code") != "back":
        pass


async def test_a_contestants_channel(rig: Rig) -> None:
    client, other = await rig.joined(), await rig.joined()
    await client.ask(subscribe("contestant:c1"), "SUBSCRIBED")
    rig.hub.publish(rig.board(5), "contestant:c1")
    rig.hub.publish(rig.board(6), "contestant:c2")
    rig.tick(1)
    assert (await client.hear())["data"]["code"] == "snapshot"
    assert {(await client.hear())["data"].get("totalVotes") for _ in range(2)} == {5, None}
    assert (await other.hear())["type"] == "COUNTDOWN"


@pytest.mark.parametrize("channel", ["control", "secret", "contestant:", "contestant:a b", "contestant:" + "x" * 65])
async def test_channels_that_are_not_for_everybody(rig: Rig, channel: str) -> None:
    client = await rig.joined()
    before = rig.hub.channels.counts()
    assert (await client.ask(subscribe("contestant:fine", channel)))["data"]["code"] == "UNSUPPORTED"
    assert rig.hub.channels.counts() == before


async def test_channels_a_socket(open_rig: Open) -> None:
    rig = await open_rig(channels_per_socket=3)
    client = await rig.joined()
    assert (await client.ask(subscribe("contestant:1", "show")))["type"] == "SUBSCRIBED"
    assert (await client.ask(subscribe("contestant:2"), "ERROR"))["data"]["code"] == "UNSUPPORTED"


async def test_request_update(rig: Rig) -> None:
    client = await rig.joined()
    assert (await client.ask({"type": "REQUEST_UPDATE"}))["data"]["code"] == "snapshot"
    assert (await client.hear())["type"] == "VOTE_UPDATE"


async def test_of_queued_news_only_the_newest_goes_out_and_events_go_first(rig: Rig) -> None:
    client = await rig.joined()
    for remaining in (3, 2, 1):
        rig.tick(remaining)
    rig.emit(Warning_("first", 0))
    assert (await client.hear())["data"]["code"] == "first"
    assert (await client.hear())["data"]["remaining"] == 1


async def test_slices_let_others_in_and_serve_everybody(open_rig: Open) -> None:
    rig = await open_rig(slice_ms=0.001)
    clients = [await rig.joined() for _ in range(100)]
    rig.emit(Warning_("w", 1))
    turns = 0
    while rig.hub.fanout.waiting:
        turns += 1
        await asyncio.sleep(0)
    assert turns >= 3
    for client in clients:
        assert (await client.hear())["offset"] == 1
    assert rig.hub.counts.deliveries == 100


async def test_who_leaves_during_a_fanout_is_passed_over(open_rig: Open) -> None:
    rig = await open_rig(slice_ms=0.001)
    clients = [await rig.joined() for _ in range(70)]
    rig.emit(Warning_("w", 1))
    await asyncio.sleep(0)
    for client in clients[::3]:
        rig.hub.channels.leave(rig.session(client), "show")
    for client in clients[1::3]:
        rig.session(client).close(4005)
    await rig.settled()
    for client in clients[2::3]:
        assert (await client.hear())["offset"] == 1


async def test_the_share_that_was_sent_the_last_event(rig: Rig) -> None:
    assert rig.hub.sent_share() == 1.0
    clients = [await rig.joined() for _ in range(4)]
    assert rig.hub.sent_share() == 1.0
    rig.emit(Warning_("w", 1))
    assert rig.hub.sent_share() == 0.0
    assert rig.hub.sent_share(0) == 1.0
    await rig.settled()
    assert rig.hub.sent_share() == 1.0
    rig.session(clients[0]).pause()
    assert rig.hub.sent_share() == 0.75


async def test_the_share_that_has_acknowledged_the_last_event(rig: Rig) -> None:
    assert rig.hub.acked_share() == 1.0
    clients = [await rig.joined() for _ in range(4)]
    rig.emit(Warning_("w", 1))
    rig.emit(Warning_("w", 2))
    await rig.settled()
    assert rig.hub.acked_share() == 0.0
    epoch, last = rig.hub.position("show")
    for client, said in zip(clients, (
        {"show": {"epoch": epoch, "offset": last}},
        {"show": {"epoch": epoch, "offset": last - 1}},
        {"show": {"epoch": epoch, "offset": last + 1}},
        {"show": {"epoch": "another", "offset": last}, "results": {"epoch": epoch, "offset": last}},
    ), strict=True):
        await client.ask({"type": "PING", "t0": 1, "ack": said}, "PONG")
    assert rig.hub.acked_share() == 0.25
    await clients[1].ask({"type": "PING", "t0": 1, "ack": {"show": {"epoch": epoch, "offset": last}}}, "PONG")
    assert rig.hub.acked_share() == 0.5
    # an older position takes nothing back, and all who are up to date share one object
    await clients[1].ask({"type": "PING", "t0": 1, "ack": {"show": {"epoch": epoch, "offset": last - 1}}}, "PONG")
    assert rig.hub.acked_share() == 0.5
    assert rig.session(clients[0]).acked is rig.session(clients[1]).acked
    rig.emit(Warning_("w", 3))
    assert rig.hub.acked_share() == 0.0


async def test_more_events_than_can_wait_send_clients_away_to_resume(rig: Rig) -> None:
    client = await rig.joined()
    for number in range(MAX_WAITING + 1):
        rig.emit(Warning_("w", number))
    assert await client.ended() == 4004


async def test_a_message_without_a_channel_is_the_callers_mistake(rig: Rig) -> None:
    prepared = rig.board(1)
    prepared.channel = None
    with pytest.raises(ValueError, match="no channel"):
        rig.hub.publish(prepared)
