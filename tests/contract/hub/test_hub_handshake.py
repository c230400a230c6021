"""The door: paths, subprotocols, limits, what is said first; HTTP on the same port."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.contract.hub.conftest import Open
from tests.support.hub import Rig


@pytest.mark.parametrize("path", ["/voting/sync", "/voting/results"])
async def test_welcome_and_snapshots_come_at_once(rig: Rig, path: str) -> None:
    client = await rig.connect(path)
    welcome = await client.hear()
    assert list(welcome) == ["type", "data", "timestamp"]
    assert welcome["type"] == "WELCOME"
    assert welcome["data"]["node"] == "n1"
    assert welcome["data"]["pingInterval"] == 20.0
    show, results = await client.hear(), await client.hear()
    assert (show["channel"], show["epoch"], show["offset"]) == ("show", "e1", 0)
    assert results["channel"] == "results"
    rig.tick(3)
    assert (await client.hear())["data"]["remaining"] == 3
    assert rig.hub.channels.counts() == {"show": 1, "results": 1}


async def test_the_control_room_is_told_nothing_before_auth(rig: Rig) -> None:
    client = await (await rig.connect("/control/sync")).welcomed()
    rig.tick(3)
    for type in ("SUBSCRIBE", "REQUEST_UPDATE"):
        error = await client.ask({"type": type, "channels": ["show"]})
        assert error["data"]["code"] == "UNAUTHENTICATED"


async def test_query_strings_do_not_matter(rig: Rig) -> None:
    await rig.joined("/voting/sync?utm=1")


@pytest.mark.parametrize("path", ["/", "/voting", "/voting/sync/", "/VOTING/SYNC", "/voting/%73ync"])
async def test_other_paths_are_404(rig: Rig, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await rig.connect(path)
    assert refused.value.response.status_code == 404


@pytest.mark.parametrize("protocol", [None, "broadcast-sync.v1.json", "broadcast-sync.v1.msgpack"])
async def test_subprotocols(rig: Rig, protocol: str | None) -> None:
    client = await rig.joined("/voting/sync", *([protocol] if protocol else []))
    assert client.connection.subprotocol == protocol
    if protocol == "broadcast-sync.v1.msgpack":
        pong = await client.ask(b"\x82\xa4type\xa4PING\xa2t0\x05")
        rig.tick(9)
        assert isinstance(await client.connection.recv(), bytes)
    else:
        pong = await client.ask({"type": "PING", "t0": 5})
    assert pong["data"]["t0"] == 5


async def test_the_clients_first_choice_that_we_speak(rig: Rig) -> None:
    client = await rig.connect("/voting/sync", "v9", "broadcast-sync.v1.msgpack", "broadcast-sync.v1.json")
    assert client.connection.subprotocol == "broadcast-sync.v1.msgpack"


async def test_no_subprotocol_in_common_is_400(rig: Rig) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await rig.connect("/voting/sync", "graphql-ws")
    assert refused.value.response.status_code == 400


async def test_a_full_house_is_503_with_retry_after(open_rig: Open) -> None:
    rig = await open_rig(max_sockets=2)
    first, _ = await rig.joined(), await rig.joined()
    with pytest.raises(InvalidStatus) as refused:
        await rig.connect()
    assert refused.value.response.status_code == 503
    assert 1 <= int(refused.value.response.headers["Retry-After"]) <= 5
    await first.connection.close()
    await rig.sockets(1)
    await rig.joined()
    assert rig.hub.counts.refused == {503: 1}


async def test_bad_handshakes(rig: Rig) -> None:
    for header in (
        "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        request = f"GET /voting/sync HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{header}"
        writer.write(f"{request}\r\n\r\n".encode())
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()
    assert rig.hub.socket_count == 0


async def test_http_shares_the_port(rig: Rig) -> None:
    await rig.joined()
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{rig.port}/")).text == "hello"
