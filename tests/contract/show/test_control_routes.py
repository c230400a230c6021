from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from redis.asyncio import Redis
from structlog.testing import capture_logs

from broadcast_sync.api import application
from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.clock import EngineClock
from broadcast_sync.control.tally import TallyRoute
from broadcast_sync.settings import Settings
from broadcast_sync.show.cues import CueRecord
from broadcast_sync.show.intake import CueIntake
from broadcast_sync.show.model import Stage
from broadcast_sync.show.operators import Operators
from broadcast_sync.show.routes import endpoints
from broadcast_sync.show.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from broadcast_sync.show.store import StageStore
from broadcast_sync.tokens import Tokens
from broadcast_sync.wire.server import CueLogRow, Tally
from tests.support.stages import on_air

SECRET = b"0123456789abcdef0123456789abcdef"
START = b'{"event":"SHOW_START","data":{"showId":"demo","episode":1}}'
TOKENS = Tokens(Settings(), Ed25519PrivateKey.generate())
TALLY = Tally(7, "IDLE", 40, 1.0, 0.0, 0, "EQUAL", ["VOTING_OPEN", "SHOW_END"], 0, False, [], acked=0.975)


def bearer(*roles: str, org: str = "default", life_s: int = 3_600, tokens: Tokens = TOKENS) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.sign('anna', org, list(roles), int(time.time()) + life_s)}"}


def signed(body: bytes, age_s: int = 0) -> dict[str, str]:
    timestamp = int(time.time()) - age_s
    return {TIMESTAMP_HEADER: str(timestamp), SIGNATURE_HEADER: sign(SECRET, timestamp, body)}


@pytest.fixture
async def http(
    intake: CueIntake, clock: EngineClock, valkey: Redis, keys: StageKeys
) -> AsyncIterator[httpx.AsyncClient]:
    async def recent(count: int) -> list[CueLogRow]:
        return [CueRecord("q1", "SHOW_START", "anna", 0, 0, "executed", "", 1, 0).row()][:count]

    def stage() -> Stage:
        return on_air()

    operators = Operators(TOKENS, SECRET, clock, Settings())
    tallies = TallyRoute(operators, clock, lambda: TALLY, stage).endpoints()
    app = application([*endpoints(intake, operators, clock, stage, recent, lambda: TALLY), *tallies])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


async def test_a_cue_by_token(http: httpx.AsyncClient, store: StageStore) -> None:
    answer = await http.post("/control/cues", content=START, headers=bearer("control"))
    assert (answer.status_code, answer.json()["revision"], answer.json()["replayed"]) == (200, 1, False)
    assert (await store.load()).show is not None
    again = await http.post("/control/cues", content=START, headers=bearer("control"))
    assert (again.status_code, again.json()["code"], again.json()["retryable"]) == (409, "CUE_REJECTED", False)
    assert "on air already" in again.json()["message"] and again.json()["cueId"]


async def test_a_signed_cue_sent_again_is_the_same_cue(http: httpx.AsyncClient) -> None:
    headers = signed(START)
    first = await http.post("/control/cues", content=START, headers=headers)
    again = await http.post("/control/cues", content=START, headers=headers)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == {**first.json(), "replayed": True}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "BAD_MESSAGE"),
        (b"{", 400, "BAD_MESSAGE"),
        (b"[]", 400, "BAD_MESSAGE"),
        (b"\xff\x00", 400, "BAD_MESSAGE"),
        (b"[" * 10_000, 400, "BAD_MESSAGE"),
        (b"{}", 400, "BAD_MESSAGE"),
        (b'{"event":7}', 400, "BAD_MESSAGE"),
        (b'{"event":"VOTING_OPEN","cueId":7}', 400, "BAD_MESSAGE"),
        (b'{"event":"VOTING_OPEN","cueId":"%s"}' % (b"x" * 65), 400, "BAD_MESSAGE"),
        (b'{"event":"VOTING_OPEN","expectedRevision":-1}', 400, "BAD_MESSAGE"),
        (b'{"event":"VOTING_OPEN","takeNo":-1}', 400, "BAD_MESSAGE"),
        (b'{"event":"VOTING_OPEN","takeNo":1000000}', 400, "BAD_MESSAGE"),
        (b'{"event":"VOTING_OPEN","takeNo":"3"}', 400, "BAD_MESSAGE"),
        (b'{"event":"VOTING_OPEN","takeNo":3,"cueId":"q3"}', 400, "BAD_MESSAGE"),
        (b'{"event":"VOTING_OPEN","takeNo":3}', 409, "CUE_REJECTED"),
        (b'{"event":"VOTING_OPEN","mode":"maybe"}', 400, "BAD_MESSAGE"),
        (b'{"event":"VOTING_OPEN","data":[]}', 400, "BAD_MESSAGE"),
        (b'{"type":"VOTE","event":"VOTING_OPEN"}', 400, "UNSUPPORTED"),
        (b'{"event":"NOPE"}', 400, "UNSUPPORTED"),
        (b'{"event":"VOTING_OPEN","timecode":"x"}', 422, "TIMECODE_INVALID"),
        (b'{"event":"VOTING_OPEN","expectedRevision":9}', 409, "STALE_REVISION"),
        (b'{"event":"VOTING_OPEN"}', 409, "CUE_REJECTED"),
        (b'{"event":"VOTING_OPEN","note":"' + b"x" * 16_384 + b'"}', 413, "TOO_LARGE"),
    ],
)
async def test_bad_input_is_answered_with_its_code(
    body: bytes, status: int, code: str, http: httpx.AsyncClient, store: StageStore
) -> None:
    answer = await http.post("/control/cues", content=body, headers=bearer("control"))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await store.load()).revision == 0
    if code == "STALE_REVISION":
        assert answer.json()["revision"] == 0


async def test_the_shape_of_a_socket_message_is_taken_too(http: httpx.AsyncClient) -> None:
    nested = b'{"type":"CUE","data":' + START + b"}"
    answer = await http.post("/control/cues", content=nested, headers=bearer("control"))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Bearer nonsense"}, 401),
        ({"Authorization": "Basic YTpi"}, 401),
        (bearer("user"), 403),
        (bearer("control", org="other"), 403),
        (bearer("control", life_s=-60), 401),
        (bearer("control", tokens=Tokens(Settings(), Ed25519PrivateKey.generate())), 401),
        (signed(b"another body"), 401),
        (signed(START, age_s=3_600), 401),
        (signed(START, age_s=-3_600), 401),
        ({**bearer("control"), SIGNATURE_HEADER: "sha256=00"}, 401),
    ],
)
async def test_who_may_not(
    headers: dict[str, str], status: int, http: httpx.AsyncClient, store: StageStore
) -> None:
    with capture_logs() as lines:
        answer = await http.post("/control/cues", content=START, headers=headers)
    code = answer.json()["code"]
    assert answer.status_code == status and code in {"UNAUTHENTICATED", "TOKEN_EXPIRED", "FORBIDDEN"}
    assert [(line["event"], line["path"], line["code"]) for line in lines] == [
        ("control_request_refused", "/control/cues", code)
    ]
    assert (await store.load()).revision == 0


async def test_of_a_flood_of_refused_requests_some_have_their_lines(http: httpx.AsyncClient) -> None:
    with capture_logs() as lines:
        for _ in range(50):
            assert (await http.post("/control/cues", content=b"{", headers=bearer("control"))).status_code == 400
    assert 1 <= len(lines) < 20 and {(line["by"], line["code"]) for line in lines} == {("anna", "BAD_MESSAGE")}


async def test_the_control_rooms_state(http: httpx.AsyncClient) -> None:
    assert (await http.get("/control/state")).status_code == 401
    found: dict[str, Any] = (await http.get("/control/state", headers=bearer("control"))).json()
    assert found["legal"] == ["PERFORMANCE_START", "VOTING_OPEN", "SHOW_END", "TIMECODE_SET", "VOID"]
    assert found["state"]["show"]["showId"] == "demo" and found["cues"][0]["cueId"] == "q1"
    assert (found["tally"]["sockets"], found["tally"]["acked"]) == (40, 0.975)


@pytest.mark.parametrize("shape", [b"%s", b'{"type":"CUE","data":%s}'])
async def test_twelve_presses_of_one_button_are_one_cue(
    shape: bytes, http: httpx.AsyncClient, store: StageStore
) -> None:
    await http.post("/control/cues", content=START, headers=bearer("control"))
    body = shape % b'{"event":"VOTING_OPEN","takeNo":3,"data":{"duration":60}}'
    answers = await asyncio.gather(
        *(http.post("/control/cues", content=body, headers=bearer("control")) for _ in range(12))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.json()["replayed"] for answer in answers) == [False] + [True] * 11
    assert {answer.json()["cueId"] for answer in answers} == {"VOTING_OPEN#3"}
    assert {answer.json()["revision"] for answer in answers} == {2}
    stage = await store.load()
    assert (stage.revision, stage.voting) == (2, "OPEN")


async def test_the_tally_with_flat_keys(http: httpx.AsyncClient) -> None:
    assert (await http.get("/control/tally")).status_code == 401
    assert (await http.get("/control/tally", headers=bearer("screen"))).status_code == 403
    answer = await http.get("/control/tally", headers=bearer("control"))
    found: dict[str, Any] = answer.json()
    assert {type(value) for value in found.values()} == {str, int, float}
    assert (found["state"], found["acked_share"], found["legal"]) == ("IDLE", 0.975, "VOTING_OPEN SHOW_END")
    lines = await http.get("/control/tally?format=text", headers=bearer("control"))
    assert lines.headers["Content-Type"].startswith("text/plain")
    assert lines.text.splitlines() == [f"{key}={value}" for key, value in found.items()]
    for wrong in ("format=xml", "format=json&format=text", "form=text"):
        refused = await http.get(f"/control/tally?{wrong}", headers=bearer("control"))
        assert (refused.status_code, refused.json()["code"]) == (400, "BAD_MESSAGE")


async def test_advance_slot_by_its_own_name(http: httpx.AsyncClient, store: StageStore) -> None:
    door = "/api/admin/advance-slot"
    for headers, status in (({}, 401), (bearer("user"), 403)):
        assert (await http.post(door, headers=headers)).status_code == status
    refused = await http.post(door, headers=bearer("control"))
    assert (refused.status_code, refused.json()["code"]) == (409, "CUE_REJECTED")
    for rubbish in (b"{", b"[]", b'{"duration":"long"}', b'{"slot":2}', b'{"uncertified":1}', b"\xff"):
        answer = await http.post(door, content=rubbish, headers=bearer("control"))
        assert (answer.status_code, answer.json()["code"]) == (400, "BAD_MESSAGE"), rubbish
    await http.post("/control/cues", content=START, headers=bearer("control"))
    opening = b'{"event":"VOTING_OPEN","data":{"duration":60,"ruleset":"hybrid"}}'
    assert (await http.post("/control/cues", content=opening, headers=bearer("control"))).status_code == 200
    stale = await http.post(door, json={"expectedRevision": 1}, headers=bearer("control"))
    assert (stale.status_code, stale.json()["code"]) == (409, "STALE_REVISION")
    body = b'{"cueId":"a1","duration":30}'
    first = await http.post(door, content=body, headers=signed(body))
    again = await http.post(door, content=body, headers=bearer("control"))
    assert (first.status_code, first.json()["revision"], first.json()["replayed"]) == (202, 3, False)
    assert (again.status_code, again.json()) == (202, first.json() | {"replayed": True})
    stage = await store.load()
    assert stage.voting == "CLOSING" and stage.season is not None and stage.season.advance is not None
    assert stage.season.advance.duration_s == 30
