"""ActionCable's protocol on `/cable`, message by message, on the `websockets` client."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest
import structlog
from websockets.exceptions import InvalidStatus

from broadcast_sync.hub import cable_feed
from broadcast_sync.hub.cable import IDENTIFIER_BYTES, CableSession
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import Warning_
from broadcast_sync.wire.visibility import beside
from tests.contract.hub.conftest import Open
from tests.support.cable import LINE_UP, Air, Cable, identifier
from tests.support.hub import Rig

EPISODE = identifier(episode_id=1)


async def test_an_episode_is_confirmed_and_told_at_once_and_live(rig: Rig) -> None:
    air = Air(rig)
    air.show(1, "OPEN")
    air.vote(30, 10)
    cable = await Cable.welcomed(rig)
    assert await cable.subscribe(EPISODE) == {"identifier": EPISODE, "type": "confirm_subscription"}
    assert await cable.hear() == {"identifier": EPISODE, "message": {"type": "initial_results", "data": {
        "episode_id": 1, "episode_number": 1, "total_votes": 40, "voting_active": True,
        "voting_end": "1970-01-01T00:01:30.000Z", "last_updated": "1970-01-01T00:00:01.000Z",
        "unique_voters": None, "vote_breakdown": None,
        "contestants": [
            {"id": "c01", "name": "Name 1", "khmer_name": "K1", "photo_url": "/1.jpg", "hometown": "Town 1",
             "votes": 30, "percentage": 75.0, "rank": 1},
            {"id": "c02", "name": "Name 2", "khmer_name": "K2", "photo_url": "/2.jpg", "hometown": "Town 2",
             "votes": 10, "percentage": 25.0, "rank": 2},
        ],
    }}}
    air.vote(60, 20)
    kind, data = await cable.told()
    assert (kind, data["total_votes"]) == ("results_update", 80)
    air.show(1, "CLOSED")
    kind, data = await cable.told()
    assert (kind, data["voting_active"]) == ("results_update", False)


async def test_a_contestant_is_told_of_alone(rig: Rig) -> None:
    air = Air(rig)
    air.vote(30, 10)
    cable = await Cable.welcomed(rig)
    await cable.subscribe(identifier(contestant_id="c01"))
    assert await cable.told() == ("vote_update", {"episode_id": 1, "votes": 30, "percentage": 75.0, "rank": 1})
    air.vote(90, 10)
    assert await cable.told() == ("vote_update", {"episode_id": 1, "votes": 90, "percentage": 90.0, "rank": 1})
    assert await cable.told() == ("detailed_update", {
        "contestant_id": "c01", "episode_id": 1, "total_votes": 90, "percentage": 90.0, "recent_votes": [],
        "trending": "hot",
    })


async def test_before_the_first_board_all_stand_at_zero(rig: Rig) -> None:
    Air(rig).show(1, "IDLE")
    cable = await Cable.welcomed(rig)
    await cable.subscribe(EPISODE)
    kind, data = await cable.told()
    assert (kind, data["total_votes"], data["voting_end"]) == ("initial_results", 0, None)
    assert [(row["id"], row["votes"], row["rank"]) for row in data["contestants"]] == [
        (each.id, 0, 1) for each in LINE_UP
    ]


async def test_a_new_window_begins_at_zero(rig: Rig) -> None:
    air = Air(rig)
    air.vote(30, 10)
    cable = await Cable.welcomed(rig)
    await cable.subscribe(EPISODE)
    assert (await cable.told())[1]["total_votes"] == 40
    air.show(1, "OPEN", "w2")
    assert (await cable.told())[1]["total_votes"] == 0


async def test_under_an_embargo_there_are_names_and_no_figures(rig: Rig) -> None:
    air = Air(rig)
    air.show(1, "OPEN", visibility="screens")
    cable = await Cable.welcomed(rig, f"?token={rig.token('screen')}")  # the cable is for the public, whoever asks
    await cable.subscribe(EPISODE)
    kind, data = await cable.told()
    assert (kind, data["total_votes"]) == ("initial_results", None)
    assert [(row["id"], row["name"], row["votes"], row["percentage"], row["rank"]) for row in data["contestants"]] == [
        (each.id, each.name, None, None, None) for each in LINE_UP
    ]
    await cable.subscribe(identifier(contestant_id="c01"))  # is confirmed, and told nothing
    air.rig.hub.publish(rig.board(7), beside("results"))
    await rig.settled()
    air.show(1, "CLOSED", visibility="screens")
    kind, data = await cable.told()
    assert (kind, data["total_votes"], data["voting_active"]) == ("results_update", None, False)
    air.vote(30, 10)  # the release: first the boards, then the state
    told = [await cable.told() for _ in range(3)]
    assert [kind for kind, _ in told] == ["results_update", "vote_update", "detailed_update"]
    air.show(1, "CLOSED", visibility="screens", released=True)
    kind, data = await cable.told()
    assert (kind, data["total_votes"], data["contestants"][0]["rank"]) == ("results_update", 40, 1)


async def test_what_was_on_air_before_this_node_heard_of_it(rig: Rig) -> None:
    air = Air(rig)
    air.vote(30, 10)
    rig.hub.cable._state = rig.hub.cable._board = None  # as after a start: only the snapshots know
    cable = await Cable.welcomed(rig)
    await cable.subscribe(EPISODE)
    assert (await cable.told())[1]["total_votes"] == 40


async def test_an_app_that_was_opened_before_the_show_gets_it_when_it_begins(rig: Rig) -> None:
    air = Air(rig, episode=None)
    cable = await Cable.welcomed(rig)
    assert (await cable.subscribe(identifier(episode_id="2", contestant_id="c01")))["type"] == "confirm_subscription"
    air.show(1)  # another episode: not for this one
    await rig.settled()
    air.show(2)
    kind, data = await cable.told()
    assert (kind, data["episode_id"]) == ("results_update", 2)


@pytest.mark.parametrize(
    "params",
    [
        {"channel": "ChatChannel"}, {"episode_id": 2}, {"episode_id": "two"}, {"episode_id": -1},
        {"episode_id": "1" * 30}, {"contestant_id": "c99"}, {"contestant_id": 7}, {"contestant_id": "c 1"},
        {"episode_id": 1, "contestant_id": "c99"},
    ],
)
async def test_what_is_not_there_is_rejected(rig: Rig, params: dict[str, Any]) -> None:
    Air(rig)
    cable = await Cable.welcomed(rig)
    asked = identifier(**params)
    assert await cable.subscribe(asked) == {"identifier": asked, "type": "reject_subscription"}
    assert rig.hub.counts.bad == 0
    assert (await cable.subscribe(EPISODE))["type"] == "confirm_subscription"  # the socket lives


@pytest.mark.parametrize(
    "asked",
    ["", "x", "[]", "{}", '{"channel":7}', '{"channel":"VotingChannel","episode_id":[1]}', "[" * 5_000,
     identifier(pad="x" * IDENTIFIER_BYTES), '{"channel":"VotingChannel","episode_id":1.5}'],
    ids=lambda asked: asked[:20],
)
async def test_an_identifier_that_is_none_is_rejected_and_counted(rig: Rig, asked: str) -> None:
    Air(rig)
    cable = await Cable.welcomed(rig)
    assert await cable.subscribe(asked) == {"identifier": asked, "type": "reject_subscription"}
    assert rig.hub.counts.bad == 1


@pytest.mark.parametrize(
    "said",
    [
        "x", "[]", "{}", '{"command":"subscribe"}', '{"command":"dance","identifier":"x"}',
        '{"command":"message","identifier":"x","data":"{}"}', '{"command":7,"identifier":"x"}', b"\x01",
        '{"command":"subscribe","identifier":"\\ud800"}', '{"type":"SUBSCRIBE","channels":["show"]}',
    ],
)
async def test_what_is_said_wrongly_is_passed_over_and_counted(rig: Rig, said: str | bytes) -> None:
    Air(rig)
    cable = await Cable.welcomed(rig)
    await cable.client.say(said)
    assert (await cable.subscribe(EPISODE))["identifier"] == EPISODE  # nothing came before it
    assert rig.hub.counts.bad == 1


async def test_too_much_of_it_ends_the_connection_for_good(open_rig: Open) -> None:
    rig = await open_rig(bad_messages=3)
    Air(rig)
    cable = await Cable.welcomed(rig)
    for _ in range(4):
        await cable.say("dance", EPISODE)
    assert await cable.hear() == {"type": "disconnect", "reason": "invalid_request", "reconnect": False}
    assert await cable.client.ended() == 4501


async def test_actions(rig: Rig) -> None:
    air = Air(rig)
    cable = await Cable.welcomed(rig)
    await cable.subscribe(EPISODE)
    assert (await cable.told())[0] == "initial_results"
    for fields in ({"episode_id": 1}, {"episode_id": "1"}, {}):
        await cable.say("message", EPISODE, action="request_update", **fields)
        kind, data = await cable.told()
        assert (kind, data["episode_id"]) == ("results_update", 1)
    await cable.say("message", EPISODE, action="request_update", episode_id=2)  # not on air: nothing to say
    await cable.say("message", EPISODE, action="vote", contestant_id="c01")  # no action of this channel
    await cable.say("message", identifier(), action="request_update")  # no subscription of this socket
    air.vote(3, 1)
    assert (await cable.told())[1]["total_votes"] == 4
    assert rig.hub.counts.bad == 2


async def test_several_subscriptions_share_a_socket_and_end_one_by_one(rig: Rig) -> None:
    air = Air(rig)
    cable = await Cable.welcomed(rig)
    odd = '{ "note":"caf\\u00e9 \\"é\\" \\n", "episode_id" : "1", "channel":"VotingChannel"}'
    for asked in (EPISODE, odd):
        assert (await cable.subscribe(asked))["identifier"] == asked
        assert (await cable.hear())["identifier"] == asked
    air.vote(1, 1)
    assert {(await cable.hear())["identifier"] for _ in range(2)} == {EPISODE, odd}
    assert (await cable.subscribe(odd))["type"] == "confirm_subscription"  # again: confirmed, and nothing doubled
    await cable.say("unsubscribe", EPISODE)
    await cable.say("unsubscribe", EPISODE)
    await cable.say("message", odd, action="request_update")
    assert (await cable.hear())["identifier"] == odd
    air.vote(2, 1)
    assert (await cable.hear())["identifier"] == odd
    await rig.settled()
    assert (len(rig.hub.cable.addresses), rig.hub.channels.counts()) == (1, {"cable": 1})
    (session,) = rig.hub.sessions.values()
    assert isinstance(session, CableSession)
    await cable.client.connection.close()
    await rig.sockets(0)
    assert session._subscriptions == {}  # else the two would hold each other
    assert (len(rig.hub.cable.addresses), rig.hub.channels.counts()) == (0, {})


async def test_a_socket_has_so_many_subscriptions(open_rig: Open) -> None:
    rig = await open_rig(channels_per_socket=2)
    Air(rig)
    cable = await Cable.welcomed(rig)
    for note, answer in ((1, "confirm"), (2, "confirm"), (3, "reject"), (1, "confirm")):
        await cable.say("subscribe", identifier(note=note))
        assert (await cable.hear())["type"] == f"{answer}_subscription"


async def test_each_connection_has_one_heartbeat_a_round(open_rig: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    send = CableSession.send

    def spy(session: CableSession, prepared: Prepared) -> None:
        told.append(session.id)
        send(session, prepared)

    monkeypatch.setattr(cable_feed, "PING_S", 0.3)
    monkeypatch.setattr(CableSession, "send", spy)
    rig = await open_rig()
    cables = [await Cable.welcomed(rig) for _ in range(3)]
    await rig.until(lambda: len(told) >= 12)
    assert sorted(told[3:6]) == sorted(rig.hub.sessions)
    assert told[3:6] == told[6:9] == told[9:12]
    await cables[0].client.connection.close()


async def test_heartbeats_are_spread_over_three_seconds(rig: Rig) -> None:
    cables = [await Cable.welcomed(rig) for _ in range(2)]
    for cable in cables:
        ping = msgspec.json.decode(await cable.client.connection.recv())
        assert (ping["type"], abs(ping["message"] - rig.hub.clock.now_ms() // 1000) <= 1) == ("ping", True)
    assert [len(group) for group in rig.hub.cable._beats[:3]] == [1, 1, 0]
    await cables[0].client.connection.close()
    await rig.sockets(1)
    assert sum(map(len, rig.hub.cable._beats)) == 1


async def test_the_cable_hears_nothing_of_protocol_version_1(rig: Rig) -> None:
    Air(rig)
    cable = await Cable.welcomed(rig)
    rig.emit(Warning_("1_MINUTE", 60))
    rig.tick(9)
    await rig.settled()
    assert (await cable.subscribe(EPISODE))["type"] == "confirm_subscription"


async def test_subprotocols_of_the_cable_and_of_others(rig: Rig) -> None:
    Air(rig)
    assert (await Cable.connect(rig)).client.connection.subprotocol == "actioncable-v1-json"
    old = Cable(await rig.connect("/cable"))  # clients older than the subprotocol
    assert await old.hear() == {"type": "welcome"}
    for path, protocol in (("/cable", "broadcast-sync.v1.json"), ("/voting/sync", "actioncable-v1-json")):
        with pytest.raises(InvalidStatus) as refused:
            await rig.connect(path, protocol)
        assert refused.value.response.status_code == 400


@pytest.mark.parametrize("by", ["query", "header"])
async def test_a_token_says_who_watches_and_is_never_logged(
    rig: Rig, by: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    token = rig.token("user")
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as lines:
        if by == "query":
            cable = await Cable.welcomed(rig, f"?token={token}")
        else:
            cable = await Cable.welcomed(rig, additional_headers={"Authorization": f"Bearer {token}"})
        (session,) = rig.hub.sessions.values()
        assert session.identity is not None and session.identity.user_id == "u1"
        await cable.client.connection.close()
        await rig.sockets(0)
    assert [line["user"] for line in lines if line["event"] == "session_ended"] == ["u1"]
    # the test's own client logs what it sends
    server = [record.getMessage() for record in caplog.records if not record.name.startswith("websockets.client")]
    assert token not in f"{lines} {server} {capsys.readouterr()}"


async def test_a_token_that_is_refused_ends_the_connection_for_good(rig: Rig) -> None:
    for token, code in (
        ("x", 4500), (rig.token("user", ttl_s=-60), 4500), (rig.token("user", org="other"), 4502),
    ):
        cable = await Cable.connect(rig, f"?token={token}")
        assert await cable.hear() == {"type": "disconnect", "reason": "unauthorized", "reconnect": False}
        assert await cable.client.ended() == code


async def test_a_token_that_expires_asks_for_a_new_one(rig: Rig) -> None:
    cable = await Cable.welcomed(rig, f"?token={rig.token('user', ttl_s=1.5)}")
    assert await cable.hear() == {"type": "disconnect", "reason": "unauthorized", "reconnect": True}
    assert await cable.client.ended() == 4003


async def test_a_stop_asks_to_come_back(rig: Rig) -> None:
    cable = await Cable.welcomed(rig)
    await rig.hub.stop("deploy")
    assert await cable.hear() == {"type": "disconnect", "reason": "server_restart", "reconnect": True}
    assert await cable.client.ended() == 4000


async def test_sockets_with_the_same_identifier_get_the_same_bytes(rig: Rig) -> None:
    air = Air(rig)
    cables = [await Cable.welcomed(rig, compression=option) for option in (None, "deflate") for _ in range(8)]
    for cable in cables:
        await cable.subscribe(EPISODE)
        await cable.told()
    formats = {subscription.format for session in rig.hub.sessions.values()
               for subscription in session._subscriptions.values()}  # type: ignore[attr-defined]  # all are cables
    assert len(formats) == 2 and all(format.shared for format in formats)  # plain, and compressed
    air.vote(*range(900, 903))
    for cable in cables:
        assert (await cable.told())[1]["total_votes"] == 2703
    sent = rig.hub.cable._made["results_update"]
    frames = [sent.frame_for(format) for format in formats]
    assert sorted(len(made) > 600 for made in frames) == [False, True]
    assert sent._frames.keys() == formats


async def test_identifiers_of_ones_own_keep_nothing(rig: Rig) -> None:
    air = Air(rig)
    cable = await Cable.welcomed(rig, compression="deflate")
    for note in range(20):
        await cable.subscribe(identifier(episode_id=1, note=note))
        await cable.told()
    air.vote(3, 2)
    heard = {(await cable.hear())["identifier"] for _ in range(20)}
    assert len(heard) == 20
    assert rig.hub.cable._made["results_update"]._frames == {}


async def test_a_slow_cable_keeps_the_newest_of_each_subscription(rig: Rig) -> None:
    air = Air(rig)
    cable = await Cable.welcomed(rig)
    await cable.subscribe(EPISODE)
    await cable.told()
    (session,) = rig.hub.sessions.values()
    total = 0
    while session.ready:
        total += 1
        air.vote(*([total] * 3))
        await rig.settled()
    asked = identifier(episode_id=1, note=1)
    await cable.say("subscribe", asked)
    await rig.until(lambda: len(rig.hub.cable.addresses) == 2)
    for _ in range(300):
        total += 1
        air.vote(*([total] * 3))
        await rig.settled()
    newest: dict[str, int] = {}
    kept = 0
    while newest != {EPISODE: 3 * total, asked: 3 * total}:
        message = await cable.hear()
        if "message" in message:
            newest[message["identifier"]] = message["message"]["data"]["total_votes"]
            kept += 1
    assert session.is_open and kept < total


async def test_a_board_of_another_version_costs_the_cable_that_board(rig: Rig) -> None:
    air = Air(rig)
    cable = await Cable.welcomed(rig)
    await cable.subscribe(EPISODE)
    await cable.told()
    air.board = Prepared.received(
        b'{"type":"LIVE_RESULTS","data":{"rows":7},"timestamp":"","channel":"results","epoch":"w1","offset":1}'
    )
    rig.hub.publish(air.board)
    await rig.settled()
    air.vote(2, 1)
    assert (await cable.told())[1]["total_votes"] == 3
