"""The control room in a real Chromium: by keyboard alone, under a nervous finger, blind, and with a second person."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
import time
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Locator, Page, WebSocketRoute, expect

from broadcast_sync.wire.times import iso, parse_iso
from tests.e2e.conftest import Starter
from tests.support.axe import findings
from tests.support.browser import SHOTS, shot
from tests.support.process import ServerProcess
from tests.support.viewer import Viewer

VOTING_S = 45.0 if SHOTS else 1.5
"""For so long votes come in: in a picture their line should be seen."""
pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

TABLET, PORTRAIT, WIDE, SMALL = (1366, 1024), (1024, 1366), (1920, 1080), (1024, 768)

RUNDOWN = """
name = "Live Show 1"
rate = "25"
cues = [
  { id = "close", event = "VOTING_CLOSE", timecode = "20:18:00:00" },
  { id = "act", event = "PERFORMANCE_START", timecode = "20:19:30:00", data = { contestantId = "c03" } },
  { id = "release", event = "RESULTS_RELEASE", timecode = "20:24:00:00" },
  { id = "end", event = "SHOW_END", timecode = "20:29:55:00" },
]
"""


class SlowLine:
    """Between a desk and the server. Each cue arrives as one that was asked `late_s` ago."""

    def __init__(self) -> None:
        self.late_s = 0.0

    def join(self, desk: WebSocketRoute) -> None:
        server = desk.connect_to_server()
        desk.on_message(lambda text: server.send(self._aged(str(text))))

    def _aged(self, text: str) -> str:
        message = json.loads(text)
        if self.late_s and message["type"] == "CUE":
            message["timestamp"] = iso(parse_iso(message["timestamp"]) - round(self.late_s * 1000))
        return json.dumps(message)


async def console_of(
    browser: Browser, server: ServerProcess, who: str = "mira", size: tuple[int, int] = TABLET, touch: bool = False,
    line: SlowLine | None = None,
) -> Page:
    """A signed-in desk of operator `who`1, which may press."""
    context = await browser.new_context(viewport={"width": size[0], "height": size[1]}, has_touch=touch)
    if line is not None:
        await context.route_web_socket("**/control/sync", line.join)
    page = await context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.faults = faults  # type: ignore[attr-defined]  # read by the test at its end
    [token] = server.tokens(1, role="control", sub=who)
    await page.goto(f"{server.url}/control#token={token}")
    await expect(page.get_by_test_id("link")).to_have_text("Live")
    return page


async def keys(page: Page, *each: str) -> None:
    for key in each:
        await page.keyboard.press(key)


async def deliberately(page: Page, key: str, button: Locator) -> None:
    """The key of a guarded cue, and again once its guard is up."""
    await expect(button).to_be_visible()
    await expect(button).to_be_enabled()
    await page.keyboard.press(key)
    await expect(button).to_have_attribute("data-guard", "ready")
    await page.keyboard.press(key)


def logged(page: Page, name: str) -> Locator:
    """The lines of the cue log for cues of this name."""
    return page.get_by_test_id("log").locator("li", has=page.locator(".event", has_text=name))


async def ask(page: Page, key: str, name: str) -> None:
    """Fills nothing in, presses the button of cue `name` twice, and waits until another person is asked."""
    await deliberately(page, key, page.get_by_test_id(f"cue-{name}"))
    await expect(page.get_by_test_id("notice")).to_contain_text("Another person must confirm")


async def confirm(page: Page, words: str) -> None:
    """Confirms what another asks with these words, by keyboard."""
    requests = page.get_by_test_id("requests")
    await expect(requests).to_contain_text(words)
    await keys(page, "q")
    await deliberately(page, "Enter", requests.get_by_role("button", name="Confirm"))
    await expect(requests).to_contain_text("Nothing is asked")


async def audience_of(server: ServerProcess, size: int) -> list[Viewer]:
    """Viewers who say where they are in the show, as an SDK does, and vote within VOTING_S, each three times."""
    viewers = [await Viewer.open(server.url, token=token) for token in server.tokens(size)]
    for viewer in viewers:
        await viewer.send({"type": "SUBSCRIBE", "channels": ["show"]})
    dice = random.Random(20)

    async def vote(viewer: Viewer) -> None:
        for number, at in enumerate(sorted(dice.triangular(0, 1, 0.6) for _ in range(3))):
            await asyncio.sleep(at * VOTING_S / 3)
            answer = await viewer.vote(number, f"c{dice.randint(1, 12):02d}")
            assert answer["type"] == "VOTE_ACK", answer

    await asyncio.gather(*map(vote, viewers))
    return viewers


async def cue(server: ServerProcess, who: str, event: str, data: dict[str, object], **fields: object) -> None:
    """A cue by HTTP from operator `who`1."""
    [token] = server.tokens(1, role="control", sub=who)
    async with httpx.AsyncClient() as http:
        answer = await http.post(
            f"{server.url}/control/cues", headers={"authorization": f"Bearer {token}"},
            json={"event": event, "data": data, **fields},
        )
    assert answer.status_code == 200, answer.text


async def test_a_whole_show_by_keyboard_alone(browser: Browser, start_server: Starter) -> None:
    server = start_server({"show.grace_s": 0.5})
    gate = await browser.new_page()
    await gate.goto(f"{server.url}/control")
    await expect(gate.get_by_test_id("token")).to_be_focused()
    assert await findings(gate) == []
    page = await console_of(browser, server)
    state = page.get_by_test_id("state")

    assert await findings(page) == []
    await keys(page, "?")
    await expect(page.get_by_test_id("help")).to_be_visible()
    assert await findings(page) == []
    await shot(page, "control-keys")
    await keys(page, "s", "Escape")
    await expect(page.get_by_test_id("help")).to_be_hidden()
    await expect(page.get_by_test_id("cue-SHOW_START")).to_be_enabled()  # a key gives no cue under the help

    await keys(page, "s")
    await expect(page.get_by_test_id("cue-PERFORMANCE_START")).to_be_visible()
    await page.get_by_test_id("song").focus()
    await keys(page, *"face", "Escape", "a")
    await expect(page.locator("#on-stage")).to_contain_text("“face”")  # in a field keys write
    await keys(page, "f")
    await expect(page.get_by_test_id("cue-PERFORMANCE_START")).to_be_visible()

    await keys(page, "d", "Control+a", "5", "0", "o", "x", "c")
    await expect(page.get_by_test_id("duration")).to_be_focused()
    await expect(page.get_by_test_id("duration")).to_have_value("50")
    await keys(page, "Escape", "o")
    await expect(state).to_have_text("Lines open")
    await keys(page, "x")
    await expect(logged(page, "Extend")).to_have_count(1)
    close = page.get_by_test_id("cue-VOTING_CLOSE")
    await keys(page, "c")
    await expect(close).to_contain_text("early?")
    await keys(page, "Escape")
    await expect(close).to_contain_text("Close lines")
    await expect(state).to_have_text("Lines open")
    await deliberately(page, "c", close)
    await expect(state).to_have_text("Lines closed", timeout=20_000)
    await deliberately(page, "e", page.get_by_test_id("cue-SHOW_END"))
    await expect(page.get_by_test_id("cue-SHOW_START")).to_be_visible()
    await expect(logged(page, "End show")).to_have_count(1)

    told = await page.get_by_test_id("log").locator(".event").all_inner_texts()
    assert told == [
        "End show", "Close lines", "Extend", "Open lines", "Act off stage", "Act on stage", "Start show",
    ]
    assert page.faults == []  # type: ignore[attr-defined]  # set in console_of


async def test_twelve_presses_in_a_second_are_one_cue(browser: Browser, start_server: Starter) -> None:
    server = start_server()
    server.cue("SHOW_START", {"showId": "demo", "episode": 1})
    server.cue("VOTING_OPEN", {"duration": 300})
    page = await console_of(browser, server, size=PORTRAIT, touch=True)
    extend, close = page.get_by_test_id("cue-VOTING_EXTEND"), page.get_by_test_id("cue-VOTING_CLOSE")
    await expect(extend).to_be_enabled()

    await keys(page, *["x"] * 12)
    await expect(logged(page, "Extend")).to_have_count(1)
    await page.evaluate("""async () => {
      const button = document.querySelector("[data-testid=cue-VOTING_CLOSE]");
      for (let press = 0; press < 12; press++) {
        button.click();
        await new Promise((resolve) => setTimeout(resolve, 80));
      }
    }""")
    await expect(close).to_have_attribute("data-guard", "ready")
    await expect(page.get_by_test_id("state")).to_have_text("Lines open")
    question = close.locator(".name")
    asked = await question.inner_text()
    await expect(question).not_to_have_text(asked)  # by how much it is early is told second by second
    await expect(question).to_contain_text("early?")
    await close.tap()
    await expect(logged(page, "Close lines")).to_have_count(1)
    assert await logged(page, "Extend").count() == 1
    assert page.faults == []  # type: ignore[attr-defined]  # set in console_of


async def test_a_blind_desk_says_so_and_keeps_nothing_for_later(browser: Browser, start_server: Starter) -> None:
    server = start_server({"control.late_cue_s": 60})  # a slow machine holds the cue up for longer than usual
    server.cue("SHOW_START", {"showId": "demo", "episode": 1})
    server.cue("VOTING_OPEN", {"duration": 300})
    page = await console_of(browser, server)
    extend, notice = page.get_by_test_id("cue-VOTING_EXTEND"), page.get_by_test_id("notice")
    await expect(extend).to_be_enabled()
    await expect(page.get_by_test_id("sockets")).to_have_text("1")
    closes = await page.locator("#closes").inner_text()

    server.kill()
    await expect(page.get_by_test_id("blind")).to_be_visible()
    await expect(extend).to_be_disabled()
    await keys(page, "x")
    await expect(page.get_by_test_id("blind-age")).to_have_text("4 s")
    await shot(page, "control-blind")
    assert await findings(page) == []
    server.start()
    await expect(page.get_by_test_id("blind")).to_be_hidden(timeout=20_000)
    await expect(extend).to_be_enabled()
    await keys(page, "a")  # what comes after a cue that had been kept would stand before this one in the log
    await expect(logged(page, "Act on stage")).to_have_count(1)
    assert await logged(page, "Extend").count() == 0
    assert await page.locator("#closes").inner_text() == closes

    assert server.process is not None
    os.kill(server.process.pid, signal.SIGSTOP)  # no answer, and no close either
    try:
        await keys(page, "x")
        await expect(notice).to_contain_text("no answer", timeout=10_000)
        await expect(page.get_by_test_id("blind")).to_be_visible()
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    await expect(notice).to_contain_text("The log says", timeout=20_000)
    await expect(logged(page, "Extend")).to_have_count(1)
    assert page.faults == []  # type: ignore[attr-defined]  # set in console_of


async def test_armed_cues_are_taken_by_hand_and_cancelled_and_a_season_goes_on(
    browser: Browser, start_server: Starter, tmp_path: Path
) -> None:
    server = start_server()
    server.cue("SHOW_START", {"showId": "demo", "episode": 1})
    at = iso(int((time.time() + 600) * 1000))
    await cue(server, "jonas", "PERFORMANCE_START", {"contestantId": "c03"}, cueId="act", mode="arm", timestamp=at)
    await cue(server, "jonas", "VOTING_OPEN", {"duration": 90}, cueId="lines", mode="arm", timestamp=at)
    page = await console_of(browser, server, size=SMALL)
    act, lines = page.get_by_test_id("item-act"), page.get_by_test_id("item-lines")
    await expect(act).to_contain_text("jonas1")
    await expect(act.locator(".togo")).to_have_text(re.compile(r"^9:\d\d$|^10:00$"))
    await expect(page.get_by_test_id("cue-VOTING_OPEN")).to_contain_text("Armed")

    await keys(page, "v")
    await expect(page.get_by_test_id("void-ids")).to_be_focused()
    await expect(page.get_by_test_id("notice")).to_contain_text("empty or wrong")
    assert await findings(page) == []
    await keys(page, "Escape")
    await expect(page.get_by_test_id("seldom")).to_be_hidden()
    await expect(page.get_by_test_id("seldom-open")).to_be_focused()
    await keys(page, "u")  # to the first button of the rundown
    take = page.get_by_test_id("take-act")
    await expect(take).to_be_focused()
    await deliberately(page, "Enter", take)
    await expect(page.locator("#on-stage")).to_contain_text("On stage")
    await expect(act).to_have_count(0)
    cancel = page.get_by_test_id("cancel-lines")
    await cancel.click()
    await expect(cancel).to_have_attribute("data-guard", "ready")
    await cancel.click()
    await expect(lines).to_have_count(0)
    await expect(page.get_by_test_id("rundown")).to_contain_text("No cue is armed")
    finale = tmp_path / "finale.toml"
    finale.write_text(RUNDOWN.replace("Live Show 1", "Finale"))
    server.run("rundown", "load", str(finale), "--due", iso(int((time.time() + 86_400) * 1000)))
    await expect(page.get_by_test_id("rundown-due")).to_contain_text("Finale: 4 cues, due")
    await expect(page.get_by_test_id("state")).to_have_text("Idle")

    await page.get_by_test_id("ruleset").fill("hybrid")
    await page.get_by_test_id("visibility").select_option("screens")
    await keys(page, "Escape", "o")
    slot = page.get_by_test_id("slot")
    await expect(slot).to_have_text("Slot 1 of 75, lines open")
    await expect(page.locator("#total-unit")).to_have_text("votes, not public")
    await deliberately(page, "n", page.get_by_test_id("cue-ADVANCE_SLOT"))
    await expect(slot).to_have_text("Slot 2 of 75, lines open", timeout=20_000)
    assert page.faults == []  # type: ignore[attr-defined]  # set in console_of


async def test_what_one_desk_asks_another_confirms(browser: Browser, start_server: Starter) -> None:
    server = start_server()
    server.cue("SHOW_START", {"showId": "demo", "episode": 1, "rehearsal": True})
    server.cue("VOTING_OPEN", {"duration": 60})
    mira, jonas = await console_of(browser, server), await console_of(browser, server, who="jonas", size=PORTRAIT)
    await expect(mira.get_by_test_id("rehearsal-mark")).to_be_visible()
    await mira.get_by_test_id("extend").fill("600")
    await keys(mira, "Escape", "x")

    own, asked = mira.get_by_test_id("requests"), jonas.get_by_test_id("requests")
    await expect(own).to_contain_text("another person must confirm")
    await expect(own.get_by_role("button", name="Confirm")).to_have_count(0)
    await expect(asked).to_contain_text("Extend by 10:00")
    await expect(asked).to_contain_text("mira1")
    await expect(asked.locator(".togo")).to_have_text(re.compile(r"^(0:[0-5]\d|1:00) left$"))
    await expect(mira.get_by_test_id("cue-VOTING_EXTEND")).to_contain_text("Asked")
    await shot(jonas, "control-portrait")
    assert await findings(jonas) == []
    await confirm(jonas, "Extend by 10:00")
    await expect(mira.get_by_test_id("countdown")).to_have_text(re.compile(r"^1\d:\d\d$"))
    await expect(logged(mira, "Extend").first).to_contain_text("Confirmed")
    for page in (mira, jonas):
        assert page.faults == []  # type: ignore[attr-defined]  # set in console_of


async def test_a_window_with_an_audience_from_its_timecode_to_its_result(
    browser: Browser, start_server: Starter, tmp_path: Path
) -> None:
    server, line = start_server(), SlowLine()
    server.cue("SHOW_START", {"showId": "demo", "episode": 1})
    mira = await console_of(browser, server, line=line)
    jonas = await console_of(browser, server, who="jonas", size=WIDE)
    await keys(mira, "t", "Escape")
    await mira.get_by_test_id("seldom-open").click()
    timecode, label = mira.get_by_test_id("cue-TIMECODE_SET"), mira.get_by_test_id("timecode-label")
    await label.fill("20:41:00:00")
    await timecode.click()
    await expect(timecode).to_contain_text("Set it to 20:41:00:00?")
    await label.fill("20:14:00:00")
    await expect(timecode).to_contain_text("Set timecode")  # what it asked is not what it would do now
    await timecode.focus()
    await deliberately(mira, "Enter", timecode)
    await expect(logged(mira, "Set timecode")).to_contain_text("Taken")
    await keys(mira, "Escape")
    evening = tmp_path / "evening.toml"
    evening.write_text(RUNDOWN)
    server.run("rundown", "load", str(evening))
    await expect(mira.get_by_test_id("item-close")).to_contain_text("20:18:00:00")
    await expect(mira.get_by_test_id("next")).to_contain_text(re.compile(r"3:\d\d\s+Close lines\s+at 20:18:00:00"))

    await mira.get_by_test_id("visibility").select_option("screens")
    await mira.get_by_test_id("song").fill("Champa Battambang")
    await keys(mira, "Escape", "a")
    await expect(mira.locator("#on-stage")).to_contain_text("Champa Battambang")
    await keys(mira, "o")
    await expect(mira.get_by_test_id("state")).to_have_text("Lines open")
    viewers = await audience_of(server, 40)
    total = mira.get_by_test_id("total")
    await expect(total).to_have_text("120")
    await expect(mira.get_by_test_id("acked")).to_have_text("100%", timeout=10_000)
    assert await findings(mira) == []
    await shot(mira, "control-open")

    line.late_s = 9
    closes = await mira.locator("#closes").inner_text()
    await keys(mira, "x")
    await expect(mira.get_by_test_id("notice")).to_contain_text("Extend: not taken. Too late: it was asked 9.")
    await expect(logged(mira, "Extend")).to_contain_text("Too late")
    await expect(mira.get_by_test_id("closes")).to_have_text(closes)
    line.late_s = 0

    await keys(mira, "v")
    await mira.get_by_test_id("void-by").select_option("voters")
    await mira.get_by_test_id("void-ids").fill("u1, u2")
    await mira.get_by_test_id("void-reason").fill("robots")
    await mira.get_by_test_id("cue-VOID").focus()
    await ask(mira, "Enter", "VOID")
    await expect(jonas.get_by_test_id("requests")).to_contain_text("mira1")
    await shot(jonas, "control-wide")
    assert await findings(jonas) == []
    await confirm(jonas, "Void all of 2 voters: robots")
    await expect(total).to_have_text("114")

    await keys(mira, "Escape")
    release = mira.get_by_test_id("cue-RESULTS_RELEASE")
    await expect(release).to_contain_text("Ask to release")
    await deliberately(mira, "c", mira.get_by_test_id("cue-VOTING_CLOSE"))
    await expect(mira.get_by_test_id("state")).to_have_text("Lines closed", timeout=20_000)
    await expect(release).to_contain_text("Release result")
    await deliberately(mira, "r", release)
    result = await viewers[0].expect("RESULTS_READY")
    assert (result["data"]["certified"], result["data"]["totalVotes"]) == (True, 114)
    await expect(release).to_be_hidden()
    await expect(mira.get_by_test_id("acked")).to_have_text("100%", timeout=10_000)
    await shot(mira, "control-result")

    await keys(mira, "o")
    await expect(release).to_contain_text("Ask to release")
    await ask(mira, "r", "RESULTS_RELEASE")
    await confirm(jonas, "Release before certification")
    await expect(release).to_be_hidden()
    await deliberately(mira, "c", mira.get_by_test_id("cue-VOTING_CLOSE"))
    assert (await viewers[0].expect("RESULTS_READY", after=1))["data"]["totalVotes"] == 0
    for viewer in viewers:
        await viewer.close()
    for page in (mira, jonas):
        assert page.faults == []  # type: ignore[attr-defined]  # set in console_of
