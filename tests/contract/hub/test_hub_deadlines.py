"""What time does to a socket, and how everybody is sent home."""

from __future__ import annotations

import asyncio
from collections import Counter
from math import inf
from time import monotonic

import pytest
from websockets.exceptions import InvalidStatus

from broadcast_sync.hub import wheel
from broadcast_sync.hub.endpoint import Endpoint
from broadcast_sync.hub.session import Session
from broadcast_sync.tokens import Identity
from broadcast_sync.wire.client import Vote
from tests.contract.hub.conftest import Open
from tests.support.hub import Rig

HANDSHAKE = (
    b"GET /voting/sync HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def voter(session: Session) -> Identity:
    assert session.identity is not None
    return session.identity


async def test_no_auth_in_the_control_room_is_4504(open_rig: Open) -> None:
    rig = await open_rig(auth_timeout_s=0.1)
    client = await rig.connect("/control/sync")
    viewer = await rig.joined()
    assert await client.ended() == 4504
    assert (await viewer.ask({"type": "PING", "t0": 1}))["type"] == "PONG"


async def test_auth_in_time_stays(open_rig: Open) -> None:
    rig = await open_rig(auth_timeout_s=0.3)
    operator = await rig.operator()
    late = await rig.connect("/control/sync")
    assert await late.ended() == 4504
    assert (await operator.ask({"type": "PING", "t0": 1}, "PONG"))["type"] == "PONG"


async def test_an_expired_token_is_4003(rig: Rig) -> None:
    client = await rig.joined()
    answer = await client.ask({"type": "AUTH", "token": rig.token("user", ttl_s=1)})
    assert answer["type"] == "AUTH_OK"
    assert await client.ended() == 4003


async def test_a_new_token_in_time_keeps_the_socket(rig: Rig) -> None:
    client, other = await rig.joined(), await rig.joined()
    for one in (client, other):
        await one.ask({"type": "AUTH", "token": rig.token("user", ttl_s=1)}, "AUTH_OK")
    await client.ask({"type": "AUTH", "token": rig.token("user")}, "AUTH_OK")
    assert await other.ended() == 4003
    assert (await client.ask({"type": "PING", "t0": 1}))["type"] == "PONG"


async def test_a_grace_for_a_new_token_in_which_one_may_watch_but_not_vote(open_rig: Open) -> None:
    rig = await open_rig(expiry_grace_s=60)
    rig.hub.router.register(Vote, lambda session, vote, received_ms: voter(session).heed_expiry(received_ms))
    client = await rig.joined()
    ballot = {"type": "VOTE", "id": "1", "contestantId": "c1"}
    await client.ask({"type": "AUTH", "token": rig.token("user", ttl_s=2)}, "AUTH_OK")
    ended = voter(rig.session(client)).expires_ms
    await rig.until(lambda: rig.hub.clock.now_ms() >= ended)
    assert (await client.ask(ballot, "ERROR"))["data"]["code"] == "TOKEN_EXPIRED"
    rig.tick(9)
    assert (await client.hear())["data"]["remaining"] == 9
    for bad, code in ((rig.token("user", ttl_s=-9), "TOKEN_EXPIRED"), (rig.token("user", sub="u2"), "FORBIDDEN")):
        assert (await client.ask({"type": "AUTH", "token": bad}))["data"]["code"] == code
        assert (await client.ask(ballot))["data"]["code"] == "TOKEN_EXPIRED"
    await client.ask({"type": "AUTH", "token": rig.token("user")}, "AUTH_OK")
    await client.say(ballot)
    assert (await client.ask({"type": "PING", "t0": 1}))["type"] == "PONG"  # and no ERROR before it


async def test_an_operator_may_sign_in_again_and_a_bad_token_then_changes_nothing(open_rig: Open) -> None:
    rig = await open_rig(expiry_grace_s=60)
    operator = await rig.operator()
    for token, code in (("a.b.c", "UNAUTHENTICATED"), (rig.token("user"), "FORBIDDEN")):
        assert (await operator.ask({"type": "AUTH", "token": token}, "ERROR"))["data"]["code"] == code
    assert (await operator.ask({"type": "AUTH", "token": rig.token("control")}))["type"] == "AUTH_OK"


async def test_who_only_watches_never_expires(rig: Rig) -> None:
    client = await rig.joined()
    session = rig.session(client)
    assert (session.expires_at, session.auth_by) == (inf, inf)


async def test_heartbeats_are_spread_over_their_interval(rig: Rig) -> None:
    """Even after a storm that brought everybody in the same moment: each tenth of the interval has its share."""
    began = monotonic()
    clients = [await rig.joined() for _ in range(200)]
    interval = rig.hub.settings.hub.ping_interval_s
    tenths = Counter(int((rig.session(one).next_ping - began) / interval * 10) for one in clients)
    assert len(tenths) >= 10 and max(tenths.values()) < 60


async def test_a_heartbeat_that_asks_for_no_answer_ends_nobody(
    open_rig: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = await open_rig(ping_interval_s=0.5)
    sent: list[Endpoint] = []
    monkeypatch.setattr(Endpoint, "ping", lambda endpoint: sent.append(endpoint))
    await rig.joined()
    await rig.until(lambda: len(sent) > 2 * wheel.MISSED)
    assert rig.hub.socket_count == 1


async def test_two_unanswered_pings_are_4002(open_rig: Open) -> None:
    rig = await open_rig(ping_interval_s=0.5)
    answering = await rig.joined()
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(HANDSHAKE)
    heard = b""
    while b"\x0f\xa2no pong" not in heard:
        heard += await reader.read(65_536)
    assert heard.count(b"\x89\x00") == 2
    assert (await answering.ask({"type": "PING", "t0": 1}))["type"] == "PONG"
    writer.close()


async def test_a_close_that_is_not_answered_is_cut_off(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "CLOSE_S", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(HANDSHAKE)
    await reader.readuntil(b"WELCOME")
    (session,) = rig.hub.sessions.values()
    session.close(4005)
    with pytest.raises(ConnectionResetError):
        while await reader.read(65_536):
            pass
        raise ConnectionResetError  # an orderly end is as good
    await rig.sockets(0)
    writer.close()


async def test_the_clients_own_goodbye(rig: Rig) -> None:
    client = await rig.joined()
    await client.connection.close(1001)
    await rig.sockets(0)
    assert rig.hub.counts.closes == {1001: 1}
    assert rig.hub.channels.counts() == {}


async def test_stop_sends_everybody_away_with_a_time_to_return(rig: Rig) -> None:
    clients = [await rig.joined() for _ in range(20)]
    stopping = asyncio.create_task(rig.hub.stop("deploy", spread_ms=1_000))
    waits = []
    for client in clients:
        message = await client.hear("RECONNECT")
        assert message["data"]["reason"] == "deploy"
        waits.append(message["data"]["afterMs"])
        assert await client.ended() == 4000
    await stopping
    assert len(set(waits)) > 5
    assert all(0 <= wait <= 1_000 for wait in waits)
    assert rig.hub.sessions == {}
    with pytest.raises(InvalidStatus) as refused:
        await rig.connect()
    assert refused.value.response.status_code == 503


async def test_stop_does_not_wait_for_the_deaf(open_rig: Open) -> None:
    rig = await open_rig(stop_s=0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(HANDSHAKE)
    await reader.readuntil(b"WELCOME")
    await rig.hub.stop()
    assert rig.hub.sessions == {}
    writer.close()


async def test_uvicorns_own_shutdown_says_goodbye_too(rig: Rig) -> None:
    client = await rig.joined()
    (session,) = rig.hub.sessions.values()
    assert isinstance(session._endpoint, Endpoint)
    session._endpoint.shutdown()
    assert (await client.hear("RECONNECT"))["data"]["reason"] == "shutdown"
    assert await client.ended() == 4000
