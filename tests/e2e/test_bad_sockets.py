"""Whatever arrives on a socket or at the door costs its sender at most its own socket, the server a bounded buffer and
one line of log, and nobody else anything."""

from __future__ import annotations

import json
import re
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.conformance.conversation import HANDSHAKE, Conversation
from tests.conformance.rfc6455 import CLOSE, CONTINUATION, PING, PONG, TEXT
from tests.conformance.strategies import client_frame, deflated
from tests.support.process import ServerProcess

pytestmark = pytest.mark.timeout(60)

HELD_S = 2
KEPT_MB = 16
"""What the server's memory may have grown by, whatever a test has done to it."""


@pytest.fixture(scope="module")
def hub_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    settings = {"hub.message_timeout_s": HELD_S, "hub.handshake_timeout_s": HELD_S, "log.level": "info"}
    server = ServerProcess(tmp_path_factory.mktemp("bad") / "data", settings)
    server.start()
    server.cue("SHOW_START", {"showId": "demo", "episode": 1})
    yield server
    server.cleanup()


@contextmanager
def costs(server: ServerProcess, sockets: int) -> Iterator[None]:
    """The block may cost a line of log for each of `sockets`, some memory, and a bystander nothing."""
    bystander = Conversation(server.port)
    before, lines = resident_mb(server), len(server.log.read_text().splitlines())
    yield
    said = server.log.read_text().splitlines()[lines:]
    assert len(said) <= sockets, said
    assert not any("Traceback" in line or "error" in line for line in said), said
    assert resident_mb(server) - before < KEPT_MB
    bystander.send(message({"type": "PING", "t0": 7}))
    assert next_of(bystander, "PONG")["data"]["t0"] == 7
    bystander.close()


def resident_mb(server: ServerProcess) -> float:
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:
        found = re.search(r"^process_resident_memory_bytes ([0-9.e+]+)$", answer.read().decode(), re.M)
    assert found is not None
    return float(found[1]) / 2**20


def message(content: dict[str, Any]) -> bytes:
    return client_frame(TEXT, json.dumps(content).encode())


def next_of(talk: Conversation, *types: str) -> dict[str, Any]:
    while True:
        said = talk.next_frame()
        if said.opcode == TEXT:
            heard: dict[str, Any] = json.loads(said.payload)
            if heard["type"] in types:
                return heard


def closed(talk: Conversation) -> int:
    """Reads up to the close frame; its code."""
    while (said := talk.next_frame()).opcode != CLOSE:
        pass
    talk.close()
    return int.from_bytes(said.payload[:2], "big")


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(client_frame(PING, b"p" * 125) * 5_000, id="pings"),
        pytest.param(client_frame(PONG, b"") * 5_000, id="pongs"),
        pytest.param(client_frame(TEXT, b"{") * 5_000, id="rubbish"),
        pytest.param(message({"type": "PING", "t0": 1}) * 5_000, id="messages"),
        pytest.param(
            client_frame(TEXT, b"", final=False) + client_frame(CONTINUATION, b"", final=False) * 30_000,
            id="empty fragments",
        ),
    ],
)
def test_floods(hub_server: ServerProcess, flood: bytes) -> None:
    with costs(hub_server, 1):
        talk = Conversation(hub_server.port)
        talk.send(flood)
        assert closed(talk) == 4501


def test_a_flood_of_pings_whose_answers_nobody_reads(hub_server: ServerProcess) -> None:
    """It is told to go, and goes on: what it sends is thrown away, and nothing is kept to answer it with."""
    pings = client_frame(PING, b"p" * 125) * 8_000
    before = resident_mb(hub_server)
    with costs(hub_server, 1):
        talk = Conversation(hub_server.port)
        for _ in range(100):
            talk.send(pings)
        assert resident_mb(hub_server) - before < KEPT_MB
        talk.close()


def test_bombs(hub_server: ServerProcess) -> None:
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover"
    bomb = client_frame(TEXT, deflated(b"\0" * 15_000_000, 9), reserved=4)
    with costs(hub_server, 50):
        for _ in range(50):
            talk = Conversation(hub_server.port, offer)
            talk.send(bomb)
            assert closed(talk) == 1009


def test_half_frames_that_are_held(hub_server: ServerProcess) -> None:
    half = client_frame(TEXT, b"t" * 16_000)[:12_000]
    with costs(hub_server, 300):
        talks = [Conversation(hub_server.port) for _ in range(300)]
        for talk in talks:
            talk.send(half)
        assert {closed(talk) for talk in talks} == {4002}


def test_ten_thousand_subscriptions(hub_server: ServerProcess) -> None:
    with costs(hub_server, 1):
        talk = Conversation(hub_server.port)
        talk.send(message({"type": "SUBSCRIBE", "channels": [f"contestant:{n}" for n in range(10_000)]}))
        assert next_of(talk, "ERROR", "SUBSCRIBED")["data"]["code"] in {"TOO_LARGE", "UNSUPPORTED", "BAD_MESSAGE"}
        refused = 0
        for number in range(0, 10_000, 50):
            channels = [f"contestant:{n}" for n in range(number, number + 50)]
            talk.send(message({"type": "SUBSCRIBE", "channels": channels}))
            answer = next_of(talk, "ERROR", "SUBSCRIBED")
            if answer["type"] == "ERROR":
                refused += 1
                assert answer["data"]["code"] in {"UNSUPPORTED", "RATE_LIMIT"}
        assert refused >= 150
        talk.close()


@pytest.mark.parametrize(
    ("epoch", "offset"),
    [(None, 10**6), (None, 2**53 - 1), ("another", 1), ("", 0), ("\u17a0" * 40, 3)],
)
def test_places_that_never_were(hub_server: ServerProcess, epoch: str | None, offset: int) -> None:
    """A position of the future or of another epoch gets a snapshot, and is told that it is one."""
    with costs(hub_server, 0):
        talk = Conversation(hub_server.port)
        talk.send(message({"type": "SUBSCRIBE", "channels": ["show"]}))
        here = next_of(talk, "SUBSCRIBED")["data"]
        since = {"show": {"epoch": here["epoch"] if epoch is None else epoch, "offset": offset}}
        talk.send(message({"type": "SUBSCRIBE", "channels": ["show"], "since": since}))
        there = next_of(talk, "SUBSCRIBED", "ERROR")
        assert there["type"] == "SUBSCRIBED", there
        assert there["data"] == {**here, "recovered": False}
        assert next_of(talk, "STATE_UPDATE")["data"]["show"]["showId"] == "demo"
        talk.close()


def test_a_place_that_is_no_place(hub_server: ServerProcess) -> None:
    with costs(hub_server, 0):
        talk = Conversation(hub_server.port)
        for offset in (-1, 1.5, "1", None, 2**53, 2**64, [1]):
            since = {"show": {"epoch": "e", "offset": offset}}
            talk.send(message({"type": "SUBSCRIBE", "channels": ["show"], "since": since}))
            assert next_of(talk, "ERROR", "SUBSCRIBED")["data"]["code"] == "BAD_MESSAGE"
        talk.close()


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("Sec-WebSocket-Protocol: graphql-ws", 400),
        ("Sec-WebSocket-Protocol: " + ", ".join(f"p{n}" for n in range(500)), 400),
        ("Origin: https://evil.example", 403),
        ("Origin: null", 403),
        ("Sec-WebSocket-Version: 12", 400),
    ],
)
def test_handshakes_that_are_refused(hub_server: ServerProcess, line: str, status: int) -> None:
    with costs(hub_server, 0):
        for _ in range(20):
            assert refusal(hub_server, f"{HANDSHAKE}{line}\r\n\r\n") == status


def test_headers_without_measure(hub_server: ServerProcess) -> None:
    """Too large, or too slow: the connection is cut, with or without a word."""
    large = HANDSHAKE + "".join(f"X-{n}: {'x' * 4_000}\r\n" for n in range(50)) + "\r\n"
    with costs(hub_server, 4):
        for request in (large, HANDSHAKE, "GET / HTTP/1.1\r\nX", "\0" * 100_000):
            assert refusal(hub_server, request) in {0, 400, 408, 431}


def refusal(server: ServerProcess, request: str) -> int:
    """The status of the answer; 0 if the connection is cut without one."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as client:
        answer = b""
        try:
            client.sendall(request.encode())
            while b"\r\n" not in answer and (data := client.recv(65_536)):
                answer += data
        except ConnectionError:
            return 0
    return int(answer.split()[1]) if answer else 0
