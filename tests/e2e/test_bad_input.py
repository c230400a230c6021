"""Whatever a client sends costs it an ERROR, at worst its own socket, and nobody else anything."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.process import ServerProcess
from tests.support.viewer import Viewer

VOTE = {"type": "VOTE", "id": "1", "contestantId": "c01"}


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server with an open window for all tests of this file."""
    server = ServerProcess(tmp_path_factory.mktemp("bad") / "data", {"hub.bad_messages": 60, "show.grace_s": 5})
    server.start()
    server.cue("SHOW_START", {"showId": "demo", "episode": 1})
    server.cue("VOTING_OPEN", {"duration": 600})
    yield server
    server.cleanup()


async def test_each_bad_message_is_answered_and_the_socket_lives(open_server: ServerProcess) -> None:
    [token] = open_server.tokens(1, sub="bad")
    phone = await Viewer.open(open_server.url, token=token)
    cases: list[tuple[Any, str]] = [
        (b"\x00\xff binary", "BAD_MESSAGE"),
        ('{"type": "VOTE", "id": "1"', "BAD_MESSAGE"),
        ("", "BAD_MESSAGE"),
        ("null", "BAD_MESSAGE"),
        ("[1,2]", "BAD_MESSAGE"),
        ('{"type": 7}', "BAD_MESSAGE"),
        ("[" * 5000, "BAD_MESSAGE"),
        ("x" * (1 << 20), "TOO_LARGE"),
        ({"type": "SING"}, "UNSUPPORTED"),
        ({"type": "CUE", "event": "VOTING_CLOSE"}, "UNSUPPORTED FORBIDDEN"),
        ({**VOTE, "contestantId": "c99"}, "INVALID_CONTESTANT"),
        ({**VOTE, "contestantId": ""}, "INVALID_CONTESTANT"),
        ({**VOTE, "contestantId": 7}, "BAD_MESSAGE"),
        ({**VOTE, "voteCount": 0}, "INVALID_VOTE_COUNT"),
        ({**VOTE, "voteCount": -3}, "INVALID_VOTE_COUNT"),
        ({**VOTE, "voteCount": 2**62}, "INVALID_VOTE_COUNT"),
        ({**VOTE, "voteCount": 2**70}, "BAD_MESSAGE INVALID_VOTE_COUNT"),
        ({**VOTE, "voteCount": 1.5}, "BAD_MESSAGE"),
        ({**VOTE, "voteCount": "1"}, "BAD_MESSAGE"),
        ({**VOTE, "voteType": "golden"}, "INVALID_VOTE_TYPE"),
        ({**VOTE, "voteType": "golden"}, "INVALID_VOTE_TYPE"),
        ({**VOTE, "voteType": "paid"}, "INSUFFICIENT_VOTE_BALANCE"),
        ({**VOTE, "id": ""}, "BAD_MESSAGE"),
        ({**VOTE, "id": "x" * 65}, "BAD_MESSAGE"),
        ({**VOTE, "metadata": {"a": "x" * 3000}}, "BAD_MESSAGE"),
        ({"type": "AUTH", "token": "rubbish"}, "UNAUTHENTICATED"),
        ({"type": "AUTH"}, "BAD_MESSAGE"),
        ({"type": "SUBSCRIBE", "channels": ["control"]}, "UNSUPPORTED FORBIDDEN"),
        ({"type": "SUBSCRIBE", "channels": []}, "BAD_MESSAGE"),
        ({"type": "SUBSCRIBE", "channels": ["show"], "since": {"show": {"epoch": "e", "offset": -1}}}, "BAD_MESSAGE"),
        ({"type": "PING", "t0": "now"}, "BAD_MESSAGE"),
    ]
    for number, (message, codes) in enumerate(cases):
        await phone.send(message)
        answer = await phone.expect("ERROR", after=number)
        assert answer["data"]["code"] in codes.split(), (message, answer)
        assert answer["data"]["message"]
    fine = await phone.vote("fine", "c01")
    assert fine["type"] == "VOTE_ACK"
    nested = {"type": "VOTE", "data": {"id": "nested", "contestantId": "c02"}}
    await phone.send(nested)
    assert (await phone.expect("VOTE_ACK", id="nested"))["data"]["remaining"] == {"free": 3}
    await phone.close()


async def test_tokens_that_prove_nothing(open_server: ServerProcess) -> None:
    claims = {"sub": "u", "org": "default", "roles": ["user"], "exp": int(time.time()) + 60}
    pem = open_server.data / "keys" / "signing.pem"
    expired = open_server.run("token", "--role", "user", "--ttl", "1").stdout.strip()
    elsewhere = open_server.run("token", "--role", "user", "--org", "elsewhere").stdout.strip()
    phone = await Viewer.open(open_server.url)
    for number, (token, code) in enumerate(
        [
            (jwt.encode(claims, Ed25519PrivateKey.generate(), algorithm="EdDSA"), "UNAUTHENTICATED"),
            (jwt.encode(claims, None, algorithm="none"), "UNAUTHENTICATED"),  # type: ignore[arg-type]  # the attack
            (jwt.encode({**claims, "exp": 1}, pem.read_bytes(), algorithm="EdDSA"), "TOKEN_EXPIRED"),
            (elsewhere, "FORBIDDEN"),
        ]
    ):
        await phone.send({"type": "AUTH", "token": token})
        assert (await phone.expect("ERROR", after=number))["data"]["code"] == code
    assert expired
    anonymous = await phone.vote("a", "c01")
    assert anonymous["data"]["code"] == "UNAUTHENTICATED"
    await phone.close()


async def test_a_flood_costs_the_socket_and_a_bad_control_token_too(open_server: ServerProcess) -> None:
    phone = await Viewer.open(open_server.url)
    for _ in range(200):
        await phone.send("{")
    assert await phone.closed() == 4501
    user = open_server.run("token", "--role", "user").stdout.strip()
    for token, code in ((user, 4502), ("rubbish", 4500)):
        console = await Viewer.open(open_server.url, "/control/sync")
        await console.send({"type": "AUTH", "token": token})
        assert await console.closed() == code


async def test_cues_that_do_not_fit_change_nothing(open_server: ServerProcess) -> None:
    token = open_server.run("token", "--role", "control").stdout.strip()
    console = await Viewer.open(open_server.url, "/control/sync", token=token)
    revision = (await console.expect("STATE_UPDATE"))["data"]["revision"]
    cues: list[tuple[dict[str, Any], str]] = [
        ({"event": "VOTING_OPEN", "data": {"duration": 60}}, "CUE_REJECTED"),
        ({"event": "SHOW_START", "data": {"showId": "demo", "episode": 1}}, "CUE_REJECTED"),
        ({"event": "SHOW_END"}, "CUE_REJECTED"),
        ({"event": "RESULTS_RELEASE", "mode": "confirm"}, "CUE_REJECTED"),
        ({"event": "PERFORMANCE_END", "data": {"contestantId": "c01"}}, "CUE_REJECTED"),
        ({"event": "PERFORMANCE_START", "data": {"contestantId": "c99", "songName": "x"}}, "CUE_REJECTED"),
        ({"event": "PERFORMANCE_START", "data": {"contestantId": 3}}, "BAD_MESSAGE"),
        ({"event": "VOTING_EXTEND", "data": {"seconds": 0}}, "CUE_REJECTED"),
        ({"event": "VOTING_EXTEND", "data": {"seconds": 10**9}}, "CUE_REJECTED"),
        ({"event": "VOTING_EXTEND", "data": {"seconds": True}}, "BAD_MESSAGE CUE_REJECTED"),
        ({"event": "VOTING_CLOSE", "expectedRevision": revision - 1}, "STALE_REVISION"),
        ({"event": "VOTING_CLOSE", "timecode": "25:61:61;45"}, "TIMECODE_INVALID"),
        ({"event": "CONFETTI"}, "UNSUPPORTED"),
    ]
    for number, (cue, codes) in enumerate(cues):
        await console.send({"type": "CUE", "cueId": f"bad-{number}", **cue})
        answer = await console.expect("ERROR", cueId=f"bad-{number}")
        assert answer["data"]["code"] in codes.split(), (cue, answer)
    assert answer["data"]["message"]
    await console.send({"type": "REQUEST_UPDATE"})
    assert (await console.expect("STATE_UPDATE", after=1))["data"]["revision"] == revision
    await console.close()


def post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(url, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_cues_over_http_need_a_role_and_a_body(open_server: ServerProcess) -> None:
    url = f"{open_server.url}/control/cues"
    bearer = {
        role: {"Authorization": "Bearer " + open_server.run("token", "--role", role).stdout.strip()}
        for role in ("user", "control")
    }
    signed = {"X-Signature-Timestamp": str(int(time.time())), "X-Signature": "sha256=" + "0" * 64}
    body = b'{"event": "VOTING_CLOSE"}'
    assert post(url, body, {})[0] == 401
    assert post(url, body, signed)[0] == 401
    assert post(url, body, bearer["user"])[0] == 403
    for rubbish in (b"", b"{", b"[]", b'{"event": 3}', b"\xff\xfe", b'{"event": "VOTING_OPEN", "data": []}'):
        status, answer = post(url, rubbish, bearer["control"])
        assert (status, answer["code"]) == (400, "BAD_MESSAGE")
    assert post(url, b"{" + b" " * 100_000 + b"}", bearer["control"])[1]["code"] == "TOO_LARGE"
    status, answer = post(url, b'{"event": "SHOW_END"}', bearer["control"])
    assert (status, answer["code"]) == (409, "CUE_REJECTED")


def test_commands_refuse_what_they_do_not_understand(open_server: ServerProcess, tmp_path: Path) -> None:
    rubbish = tmp_path / "show.toml"
    rubbish.write_text("organisation = 3")
    for arguments, code in [
        (("cue", "VOTING_OPEN", "--duration", "0", "--url", open_server.url), 1),
        (("cue", "VOTING_OPEN", "--duration", "60", "--url", "http://127.0.0.1:1"), 3),
        (("token", "--role", "king"), 2),
        (("show", "check", str(rubbish)), 2),
        (("config", "--config", "/nonexistent"), 2),
        (("recount", "--window", "nonsense"), 2),
    ]:
        done = open_server.run(*arguments, check=False)
        assert done.returncode == code, (arguments, done)
        assert "Traceback" not in done.stderr
        assert len(done.stderr.strip().splitlines()) <= 8
