from __future__ import annotations

import time
from collections.abc import AsyncIterator

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broadcast_sync.api import application
from broadcast_sync.clock import EngineClock
from broadcast_sync.control.splicing import Splicing
from broadcast_sync.settings import Settings, SpliceRow
from broadcast_sync.show.intake import CueIntake
from broadcast_sync.show.model import Stage
from broadcast_sync.show.operators import Operators
from broadcast_sync.show.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from broadcast_sync.show.store import StageStore
from broadcast_sync.tokens import Tokens
from broadcast_sync.wire.client import CueMessage
from tests.support.splices import OPPORTUNITY_START, SPLICE_INSERT, at, made

SECRET = b"0123456789abcdef0123456789abcdef"
START = CueMessage("SHOW_START", data={"showId": "demo", "episode": 1})
TOKENS = Tokens(Settings(), Ed25519PrivateKey.generate())
ROWS = [SpliceRow("time_signal", "VOTING_OPEN", {"duration": 90}, segmentation_type=0x34)]


def bearer(role: str = "control") -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS.sign('splicer', 'default', [role], int(time.time()) + 60)}"}


@pytest.fixture
def shown() -> list[Stage]:
    """What the node's live copy shows; the last one counts."""
    return [Stage("default")]


@pytest.fixture
async def http(intake: CueIntake, clock: EngineClock, shown: list[Stage]) -> AsyncIterator[httpx.AsyncClient]:
    operators = Operators(TOKENS, SECRET, clock, Settings())
    app = application(Splicing(ROWS, intake, operators, clock, lambda: shown[-1]).endpoints())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


async def test_a_section_is_a_cue_and_the_same_event_is_the_same_cue(
    http: httpx.AsyncClient, intake: CueIntake, store: StageStore
) -> None:
    early = await http.post("/control/scte35", content=OPPORTUNITY_START, headers=bearer())
    assert (early.status_code, early.json()["code"]) == (409, "CUE_REJECTED")
    await intake.submit(START, by="anna", received_ms=EngineClock().now_ms())
    timestamp = int(time.time())
    signed = {
        TIMESTAMP_HEADER: str(timestamp), SIGNATURE_HEADER: sign(SECRET, timestamp, OPPORTUNITY_START.encode())
    }
    first = await http.post("/control/scte35", content=OPPORTUNITY_START, headers=signed)
    again = await http.post("/control/scte35", content=OPPORTUNITY_START, headers=bearer())
    assert (first.status_code, first.json()["cueId"]) == (200, "scte35:4800008e:time_signal:34")
    assert again.json() == first.json() | {"replayed": True}
    stage = await store.load()
    assert (stage.revision, stage.voting) == (2, "OPEN")


async def test_bad_input_is_answered_with_its_code(http: httpx.AsyncClient, store: StageStore) -> None:
    wrong_crc = OPPORTUNITY_START[:-8] + "nsnRfg=="
    for body, path, status, code in (
        ("", "", 400, "BAD_MESSAGE"), ("rubbish", "", 400, "BAD_MESSAGE"), ("ሴ", "", 400, "BAD_MESSAGE"),
        (wrong_crc, "", 400, "BAD_MESSAGE"), (SPLICE_INSERT, "", 400, "UNSUPPORTED"),
        (OPPORTUNITY_START, "?pts=-1", 400, "BAD_MESSAGE"), (OPPORTUNITY_START, "?pts=8589934592", 400, "BAD_MESSAGE"),
        (OPPORTUNITY_START, "?at=now", 400, "BAD_MESSAGE"), ("A" * 9_000, "", 413, "TOO_LARGE"),
    ):
        answer = await http.post(f"/control/scte35{path}", content=body.encode(), headers=bearer())
        assert (answer.status_code, answer.json()["code"]) == (status, code), body
    for headers, status in (({}, 401), (bearer("screen"), 403)):
        assert (await http.post("/control/scte35", content=OPPORTUNITY_START, headers=headers)).status_code == status
    assert (await store.load()).revision == 0


async def test_a_cancellation_of_nothing_is_refused(http: httpx.AsyncClient) -> None:
    cancels = made((7).to_bytes(4, "big") + b"\xff", 0x05).hex()
    answer = await http.post("/control/scte35", content=cancels, headers=bearer())
    assert (answer.status_code, answer.json()["code"]) == (409, "CUE_REJECTED")


async def test_with_the_streams_time_it_is_armed_and_its_cancellation_takes_it_back(
    http: httpx.AsyncClient, intake: CueIntake, store: StageStore, shown: list[Stage]
) -> None:
    await intake.submit(START, by="anna", received_ms=EngineClock().now_ms())
    path = f"/control/scte35?pts={0x072BD0050 - 60 * 90_000}"
    armed = await http.post(path, content=OPPORTUNITY_START, headers=bearer())
    again = await http.post(path, content=OPPORTUNITY_START, headers=bearer())
    assert (armed.status_code, armed.json()["armed"], again.json()["replayed"]) == (200, True, True)
    shown.append(await store.load())
    [cue] = shown[-1].armed
    assert (cue.cue_id, cue.event, cue.by) == ("scte35:4800008e:time_signal:34", "VOTING_OPEN", "splicer")
    assert 55_000 < cue.at_ms - time.time() * 1000 <= 60_000
    cancels = made(at(1), 0x06, descriptors=b"\2\x09CUEI" + bytes.fromhex("4800008eff")).hex()
    assert (await http.post("/control/scte35", content=cancels, headers=bearer())).status_code == 200
    assert (await store.load()).armed == ()


def test_without_a_table_there_is_no_door(intake: CueIntake, clock: EngineClock) -> None:
    operators = Operators(TOKENS, SECRET, clock, Settings())
    assert Splicing([], intake, operators, clock, lambda: Stage("default")).endpoints() == []
