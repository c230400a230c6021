"""A season of slots from the first vote to the last winner, by cue and by HTTP, through the death of the director."""

from __future__ import annotations

import collections
import json
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.e2e.conftest import Starter
from tests.support.process import ServerProcess

WEIGHTS = {"standard": 1, "super": 3, "mega": 10}


def ask(server: ServerProcess, path: str, token: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    """GET, or POST of `body` as a page's fetch() sends it."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "text/plain;charset=UTF-8"}
    try:
        with urllib.request.urlopen(urllib.request.Request(server.url + path, data, headers), timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def cue(server: ServerProcess, token: str, event: str, data: dict[str, Any], cue_id: str | None = None) -> Any:
    """The answer to a cue that is taken."""
    status, ack = ask(server, "/control/cues", token, {"event": event, "data": data, "cueId": cue_id})
    assert status == 200, ack
    return ack


def open_slot(server: ServerProcess, token: str, slot: int) -> dict[str, Any]:
    """/api/vote once `slot` is open."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        _, state = ask(server, "/api/vote", token)
        if (state["currentSlot"], state["voting"]) == (slot, "OPEN"):
            return state
        time.sleep(0.05)
    raise AssertionError(f"slot {slot} did not open: {state}\n{server.tail()}")


def rounds(server: ServerProcess) -> Any:
    return server.get("/api/v1/rounds")


class Slot:
    """What was cast in one slot, counted beside the server."""

    def __init__(self) -> None:
        self.score: collections.Counter[str] = collections.Counter()
        self.voters: collections.Counter[str] = collections.Counter()

    def cast(self, server: ServerProcess, token: str, clip: str, kind: str = "standard") -> None:
        self.score[clip] += WEIGHTS[kind]
        self.voters[clip] += 1
        status, answer = ask(server, "/api/vote", token, {"clipId": clip, "voteType": kind})
        assert (status, answer.get("newScore")) == (200, self.score[clip]), answer

    def winner(self) -> str:
        return max(self.score, key=lambda clip: (self.score[clip], self.voters[clip]))


@pytest.mark.timeout(90)
def test_three_slots_until_the_season_has_finished(start_server: Starter) -> None:
    server = start_server({"api.user_requests_per_minute": 10_000})
    voters = server.tokens(6)
    control = server.run("token", "--role", "control").stdout.strip()
    cue(server, control, "SHOW_START", {"showId": "demo", "episode": 1})
    cue(server, control, "VOTING_OPEN", {"duration": 600, "ruleset": "hybrid", "slot": 73})
    slots = [Slot(), Slot(), Slot()]

    # slot 73 goes by weight: one mega vote against six standard ones; advanced by cue
    state = open_slot(server, voters[0], 73)
    assert state["totalSlots"] == 75 and len(state["clips"]) == 12
    for token in voters:
        slots[0].cast(server, token, "c01")
    slots[0].cast(server, voters[0], "c02", "mega")
    for kind, clip, status, code in (
        ("standard", "c02", 409, "ALREADY_VOTED"), ("mega", "c05", 429, "MEGA_LIMIT"), ("standard", "c99", 404, None),
    ):  # fmt: skip
        refused = ask(server, "/api/vote", voters[0], {"clipId": clip, "voteType": kind})
        assert refused[0] == status and refused[1]["success"] is False
        assert code is None or refused[1]["code"] == code
    cue(server, control, "ADVANCE_SLOT", {"duration": 300}, "advance-73")

    # slot 74 is a tie that the number of voters decides; the director dies between its lock and the next opening
    state = open_slot(server, voters[0], 74)
    assert "c02" not in {clip["id"] for clip in state["clips"]} and state["votedClipIds"] == ["c01"]
    slots[1].cast(server, voters[0], "c03", "super")
    for token in voters[:3]:
        slots[1].cast(server, token, "c04")
    status, ack = ask(server, "/api/admin/advance-slot", control, {"cueId": "advance-74"})
    assert (status, ack["replayed"]) == (202, False)
    server.kill()
    server.start()
    # nobody asked again: the next director carried on by itself, and a retry changes nothing
    open_slot(server, voters[0], 75)
    assert ask(server, "/api/admin/advance-slot", control, {"cueId": "advance-74"}) == (202, ack | {"replayed": True})
    assert cue(server, control, "ADVANCE_SLOT", {"duration": 300}, "advance-73")["replayed"] is True

    # slot 75 is the last
    for token in voters[2:]:
        slots[2].cast(server, token, "c07")
    slots[2].cast(server, voters[5], "c08", "super")
    assert ask(server, "/api/admin/advance-slot", control, {})[0] == 202
    deadline = time.monotonic() + 20
    while rounds(server)["season"]["status"] != "finished" and time.monotonic() < deadline:
        time.sleep(0.05)
    found = rounds(server)
    assert found["season"] == {"slot": 75, "slots": 75, "status": "finished"}
    assert [(one["slot"], one["contestantId"], one["score"]) for one in found["rounds"]] == [
        (number, slot.winner(), slot.score[slot.winner()]) for number, slot in zip((73, 74, 75), slots, strict=True)
    ]
    assert [one["contestantId"] for one in found["rounds"]] == ["c02", "c04", "c07"]
    assert [one["decidedBy"] for one in found["rounds"]] == ["SCORE", "VOTERS", "SCORE"]
    for one in found["rounds"]:
        result = server.get(f"/api/v1/results/{one['windowId']}")
        assert result["certified"] is True and result["totalVotes"] == result["ledgerTotal"]
        assert server.get(f"/api/v1/rounds/{one['slot']}") == one

    late = ask(server, "/api/vote", voters[0], {"clipId": "c05"})
    assert late[0] == 409 and late[1]["code"] in ("VOTING_ENDED", "VOTING_CLOSED")
    finished = ask(server, "/api/admin/advance-slot", control, {})
    assert (finished[0], finished[1]["code"]) == (409, "CUE_REJECTED")
    assert json.loads(server.run("recount", "--json").stdout)["outcome"] == "EQUAL"
