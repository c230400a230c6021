"""No count and no ranking leaves a server before its release, by whatever door; afterwards they are at every one."""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import AsyncExitStack
from typing import Any

import httpx
import jwt
import pytest

from broadcast_sync.bus.connect import connect
from broadcast_sync.bus.keys import StageKeys
from tests.e2e.conftest import Starter
from tests.support.doors import CABLE, MSGPACK, Ear, ask_everything, figures, in_order, listening, streaming
from tests.support.process import ServerProcess
from tests.support.viewer import Viewer

BALLOTS = {"c09": (400_003, 335_188), "c04": (218_900, 200_033), "c11": (101_777, 100_002)}
"""Contestants in the order of their votes, which is no other order of theirs. Only sums are looked for: a voter's own
ballots are the voter's to know."""
SUMS = [sum(counts) for counts in BALLOTS.values()]
TOTAL = sum(SUMS) + 2
"""Two more come over HTTP, for the first of them."""
NUMBERS = [*SUMS, SUMS[0] + 1, SUMS[0] + 2, sum(SUMS), sum(SUMS) + 1, TOTAL]
COUNTS = re.compile("|".join(
    [rf"(?<![0-9A-Za-z.]){f'{number:_}'.replace('_', '[ ,.]?')}(?![0-9A-Za-z])" for number in NUMBERS]
    + [re.escape(f"{number / 1000:.1f}K") for number in SUMS]
    + [re.escape(f"{number:.6e}") for number in NUMBERS]  # as Prometheus writes a million and more
))
FINAL = rf"\b({TOTAL}|{re.escape(f'{TOTAL:.6e}')})\b"
ROOMY = {"api.user_requests_per_minute": 1_000_000, "api.address_requests_per_minute": 1_000_000}
BOARDS = re.compile('"type": ?"(LIVE_RESULTS|VOTE_UPDATE|CONTESTANT_UPDATE|RESULTS_READY|SLOT_DECIDED)"')


def leaks(ears: list[Ear]) -> list[str]:
    """What was told and must not be: counts, boards, ranks, percentages, contestants in the order of their votes."""
    found = []
    for ear in ears:
        for text in ear.told:
            what = [*COUNTS.findall(text), *BOARDS.findall(text), *figures(text)]
            if in_order(text, list(BALLOTS)):
                what.append("a ranking")
            if what:
                found.append(f"{ear.name}: {', '.join(map(str, what[:3]))} in {text[:300]}")
    return found


def auth(token: str) -> dict[str, Any]:
    return {"type": "AUTH", "token": token}


class House:
    """A server, who may ask it, and all that its doors have told them before the release."""

    def __init__(self, server: ServerProcess, stack: AsyncExitStack) -> None:
        self.server = server
        self.stack = stack
        self.user, *self.voters = (self._token("user", f"u{number}") for number in range(3))
        self.screen, self.control = self._token("screen"), self._token("control")
        self.asked: list[Ear] = []
        self.window_id = ""

    def _token(self, role: str, sub: str = "s1") -> str:
        claims = {"sub": sub, "org": "default", "roles": [role], "exp": int(time.time()) + 600}
        return jwt.encode(claims, (self.server.data / "keys" / "signing.pem").read_bytes(), algorithm="EdDSA")

    async def listen(self, path: str, *messages: dict[str, Any], **options: Any) -> Ear:
        return await self.stack.enter_async_context(listening(self.server, path, *messages, **options))

    async def public_ears(self) -> list[Ear]:
        """A client of the public at every door that stays open, each with all the channels there are."""
        everything = {"type": "SUBSCRIBE", "channels": ["show", "results", *(f"contestant:{name}" for name in BALLOTS)]}
        episode = {"command": "subscribe", "identifier": json.dumps({"channel": "VotingChannel", "episode_id": 1})}
        contestant = {
            "command": "subscribe", "identifier": json.dumps({"channel": "VotingChannel", "contestant_id": "c09"}),
        }  # fmt: skip
        again = {"command": "message", "identifier": episode["identifier"], "data": '{"action":"request_update"}'}
        update = {"type": "REQUEST_UPDATE"}
        return [
            await self.listen("/voting/sync", everything, update, name="of anybody"),
            await self.listen("/voting/sync", auth(self.user), everything, update, name="of a voter", protocol=MSGPACK),
            await self.listen("/voting/results", everything, update, name="of anybody"),
            await self.listen(f"/cable?token={self.screen}", episode, contestant, again, protocol=CABLE),
            await self.stack.enter_async_context(streaming(
                self.server, f"?token={self.screen}&channels=show,results,contestant:c09"
            )),
        ]

    async def trusted_ears(self) -> list[Ear]:
        """A screen and a console."""
        return [
            await self.listen(
                "/voting/results", auth(self.screen), {"type": "SUBSCRIBE", "channels": ["contestant:c09"]},
                {"type": "REQUEST_UPDATE"}, name="of a screen",
            ),
            await self.listen("/control/sync", auth(self.control)),
        ]

    async def vote(self) -> None:
        """All the ballots, and two over HTTP whose answers are kept."""
        phones = [await Viewer.open(self.server.url, token=token) for token in self.voters]
        for contestant, counts in BALLOTS.items():
            for phone, count in zip(phones, counts, strict=True):
                answer = await phone.vote(f"{contestant}", contestant, voteCount=count)
                assert answer["type"] == "VOTE_ACK", answer
        for phone in phones:
            await phone.close()
        headers = {"Authorization": f"Bearer {self.user}"}
        async with httpx.AsyncClient(base_url=self.server.url, headers=headers) as http:
            for path, body in (
                ("/api/v1/xfactor/voting/cast_vote", {"contestant_id": "c09", "vote_type": "free", "vote_count": 1}),
                ("/api/vote", {"clipId": "c09", "voteType": "free"}),
            ):
                answered = await http.post(path, json=body)
                assert answered.status_code == 200, answered.text
                ear = Ear(f"POST {path}")
                ear.hear(answered.text)
                self.asked.append(ear)

    async def board_is_there(self) -> None:
        """Until the process itself has made a board of all the votes: what follows is no proof before."""
        url = json.loads((self.server.data / "engines.json").read_text())["valkey"]["url"]
        client = connect(url)
        try:
            while str(TOTAL) not in str(await client.get(StageKeys("default").board)):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.05)
        finally:
            await client.aclose()

    async def ask(self, tokens: dict[str, str | None]) -> list[Ear]:
        known = {"window_id": [self.window_id], "windowId": [self.window_id], "id": ["1"], "slot": ["1"]}
        known |= {"contestant_id": ["c09"], "at": ["2999-01-01T00:00:00Z"], "other": ["1", "demo"]}
        return await ask_everything(self.server, known, tokens)

    async def cue(self, event: str, data: dict[str, Any] | None = None) -> None:
        headers = {"Authorization": f"Bearer {self.control}"}
        async with httpx.AsyncClient(base_url=self.server.url, headers=headers) as http:
            answered = await http.post("/control/cues", json={"event": event, "data": data or {}})
        assert answered.status_code == 200, answered.text

    async def status_tells(self) -> None:
        """Until the director's next report has come to all that show it."""
        async with httpx.AsyncClient(base_url=self.server.url) as http:
            while (await http.get("/api/v1/status")).json()["totalVotes"] != TOTAL:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)


@pytest.mark.timeout(90)
@pytest.mark.parametrize("visibility", ["screens", "hidden"])
async def test_nothing_leaves_before_the_release_and_everything_after(start_server: Starter, visibility: str) -> None:
    server = await asyncio.to_thread(start_server, ROOMY)
    async with AsyncExitStack() as stack:
        house = House(server, stack)
        await house.cue("SHOW_START", {"showId": "demo", "episode": 1})
        await house.cue("VOTING_OPEN", {"duration": 600, "ruleset": "unlimited", "visibility": visibility})
        early = await house.listen("/voting/sync")
        await early.until('"STATE_UPDATE".*"OPEN"')  # who comes before is shown the zeros of before the window
        public, trusted = await house.public_ears(), await house.trusted_ears()
        state = json.loads(await trusted[1].until('"STATE_UPDATE".*"OPEN"'))["data"]
        assert state["window"]["visibility"] == visibility
        house.window_id = state["window"]["windowId"]
        outsiders: dict[str, str | None] = {"anybody": None, "a voter": house.user}
        if visibility == "hidden":
            outsiders |= {"a screen": house.screen, "the control room": house.control}

        await house.vote()
        await house.board_is_there()
        house.asked += await house.ask(outsiders)
        late = [*await house.public_ears(), *await house.trusted_ears()]
        if visibility == "screens":
            for ear in (*trusted, *late[-2:]):
                await ear.until(rf'"LIVE_RESULTS".*{FINAL}')
            for ear in (trusted[0], late[-2]):
                await ear.until(rf'"CONTESTANT_UPDATE".*\b{SUMS[0] + 2}\b')
            await trusted[1].until(rf'"TALLY".*"totalVotes":{TOTAL}')
        await house.cue("VOTING_CLOSE")
        await public[0].until('"STATE_UPDATE".*"CLOSED"')
        house.asked += await house.ask(outsiders)
        last = [*await house.public_ears(), *await house.trusted_ears()]
        heard = len(trusted[1].told)
        for _ in range(2):  # whatever was on its way has come with the second of two tallies
            heard = trusted[1].told.index(await trusted[1].until('"TALLY"', heard)) + 1
        log = Ear("the log")
        log.hear(server.log.read_text())
        told = [*public, *late[:-2], *last[:-2], *house.asked, log]
        if visibility == "hidden":
            told += [*trusted, *late[-2:], *last[-2:]]
            assert any('"TALLY"' in text and '"totalVotes":null' in text for text in trusted[1].told)
        assert leaks(told) == []
        assert len(house.asked) > 40  # the doors were there to be tried

        marks = [len(ear.told) for ear in public]
        await house.cue("RESULTS_RELEASE")
        for ear, mark in zip(public, marks, strict=True):
            await ear.until(FINAL, mark)
        for ear in public[:3]:
            await ear.until('"RESULTS_READY"')
        for ear in (public[0], *(newcomers := await house.public_ears())[:2], newcomers[-1]):
            await ear.until(rf'"CONTESTANT_UPDATE".*\b{SUMS[0] + 2}\b')
        await newcomers[3].until(rf'"vote_update".*\b{SUMS[0] + 2}\b')
        await trusted[1].until(rf'"TALLY".*"totalVotes":{TOTAL}', heard)
        await house.status_tells()
        asked = await house.ask({"anybody": None, "a voter": house.user})
        open_now = {ear.name for ear in asked if any(re.search(FINAL, text) for text in ear.told)}
        result = f"/api/v1/results/{house.window_id}"
        for door in ("/api/v1/status", "/metrics", "/api/v1/results", result, f"{result}/certificate"):
            assert f"GET {door} by anybody: 200" in open_now, sorted(open_now)
        assert "GET /api/v1/xfactor/voting/results/1 by a voter: 200" in open_now, sorted(open_now)
