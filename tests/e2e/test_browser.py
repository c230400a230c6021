"""A whole show on all three pages in a real Chromium. Screenshots go to SCREENSHOTS (`make screenshots`: docs/img)."""

from __future__ import annotations

import random

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.conftest import Starter
from tests.support.browser import SHOTS, shot
from tests.support.viewer import Viewer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(150)]


async def page_of(browser: Browser, url: str, width: int, height: int, scale: float = 1) -> Page:
    context = await browser.new_context(viewport={"width": width, "height": height}, device_scale_factor=scale)
    page = await context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.faults = faults  # type: ignore[attr-defined]  # read by the test at its end
    await page.goto(url)
    return page


async def press(page: Page, event: str, *, guarded: bool = False) -> None:
    """Gives a cue; a guarded one is pressed again once its guard is up."""
    button = page.get_by_test_id(f"cue-{event}")
    await button.click()
    if guarded:
        await expect(button).to_have_attribute("data-guard", "ready")
        await button.click()


async def test_counts_for_screens_alone_are_on_the_screen_and_on_no_phone(
    browser: Browser, start_server: Starter
) -> None:
    server = start_server(None, "--guests", "all")
    server.cue("SHOW_START", {"showId": "demo", "episode": 1})
    server.cue("VOTING_OPEN", {"duration": 600, "visibility": "hidden"})
    screen = await page_of(browser, f"{server.url}/screen", 1920, 1080)
    await expect(screen.get_by_test_id("row-c07")).to_be_visible()
    await expect(screen.get_by_test_id("total")).to_be_hidden()
    server.cue("VOTING_CLOSE")
    await expect(screen.get_by_test_id("state")).to_contain_text("closed")
    phone = await Viewer.open(server.url, token=server.tokens(1)[0])
    await phone.expect("STATE_UPDATE", voting="CLOSED")
    server.cue("VOTING_OPEN", {"duration": 600, "visibility": "screens"})
    await phone.expect("VOTING_OPEN")
    for number in range(3):
        assert (await phone.vote(number, "c07"))["type"] == "VOTE_ACK"
    await expect(screen.get_by_test_id("total")).to_contain_text("3")  # a guest's token of the role screen
    await expect(screen.get_by_test_id("row-c07")).to_contain_text("100")
    assert not phone.seen("LIVE_RESULTS") and not phone.seen("VOTE_UPDATE")
    assert not screen.faults  # type: ignore[attr-defined]  # what its console said


async def test_a_whole_show_on_all_three_pages(browser: Browser, start_server: Starter) -> None:
    server = start_server({"show.grace_s": 1}, "--guests", "all")
    token = server.run("token", "--role", "control").stdout.strip()
    home = await page_of(browser, server.url, 1280, 800)
    console = await page_of(browser, f"{server.url}/control#token={token}", 1366, 1024)
    screen = await page_of(browser, f"{server.url}/screen?pace=0.2&hold=0.5", 1920, 1080)
    phone = await page_of(browser, f"{server.url}/phone", 390, 844, 2)

    await press(console, "SHOW_START")
    await expect(console.get_by_test_id("cue-VOTING_OPEN")).to_be_enabled()
    await shot(phone, "phone-waiting", 700)
    await console.get_by_test_id("duration").fill("45" if SHOTS else "30")
    await shot(screen, "screen-idle", 700)
    await press(console, "VOTING_OPEN")

    await expect(phone.get_by_test_id("vote-c01")).to_be_enabled()
    voters = [await Viewer.open(server.url, token=each) for each in server.tokens(60)]
    dice = random.Random(20)
    for number, voter in enumerate(voters):
        for ballot in range(5 - number % 3):
            [choice] = dice.choices(range(1, 13), weights=(5, 4, 9, 3, 12, 2, 6, 3, 7, 4, 8, 5))
            await voter.vote(ballot, f"c{choice:02d}")
    await phone.get_by_test_id("vote-c07").click()
    await expect(phone.get_by_test_id("remaining")).to_contain_text("4")
    await expect(screen.get_by_test_id("total")).to_contain_text("241")
    await expect(screen.get_by_test_id("row-c07")).to_be_visible()
    for page, name in ((home, "home"), (phone, "phone-open"), (screen, "screen-open")):
        await shot(page, name, 700)

    for _ in range(4):
        await phone.get_by_test_id("vote-c03").click()
        await phone.wait_for_timeout(250)
    await expect(phone.get_by_test_id("remaining")).to_contain_text("0")
    await expect(phone.get_by_test_id("countdown")).to_have_text("0:09", timeout=60_000)
    await shot(screen, "screen-countdown", 700)
    await shot(phone, "phone-countdown", 700)

    await expect(phone.get_by_test_id("winner")).to_be_visible(timeout=30_000)
    await expect(screen.get_by_test_id("winner")).to_be_visible(timeout=10_000)
    await expect(console.get_by_test_id("cue-SHOW_END")).to_be_enabled()
    results = await voters[0].expect("RESULTS_READY")
    assert (results["data"]["certified"], results["data"]["totalVotes"]) == (True, 245)
    winner = results["data"]["results"][0]["contestantName"]
    await expect(phone.get_by_test_id("winner")).to_contain_text(winner)
    for page, name in ((phone, "phone-result"), (screen, "screen-result")):
        await shot(page, name, 2500)  # the reveal takes its time

    await press(console, "SHOW_END", guarded=True)
    await expect(console.get_by_test_id("cue-SHOW_START")).to_be_enabled()
    for page in (home, console, screen, phone):
        assert page.faults == []  # type: ignore[attr-defined]  # set in page_of
    for voter in voters:
        await voter.close()


async def test_a_phone_in_a_tunnel_and_a_blind_console(browser: Browser, start_server: Starter) -> None:
    server = start_server({"show.grace_s": 1}, "--guests", "all")
    token = server.run("token", "--role", "control").stdout.strip()
    console = await page_of(browser, f"{server.url}/control#token={token}", 1366, 1024)
    phone = await page_of(browser, f"{server.url}/phone", 390, 844, 2)
    server.cue("SHOW_START", {"showId": "demo", "episode": 1})
    server.cue("VOTING_OPEN", {"duration": 120})
    await expect(phone.get_by_test_id("vote-c01")).to_be_enabled()
    server.kill()
    await expect(phone.get_by_text("Reconnecting").first).to_be_visible()
    await phone.get_by_test_id("vote-c05").click()
    await console.wait_for_timeout(2500)
    server.start()
    await expect(phone.get_by_test_id("remaining")).to_contain_text("4", timeout=30_000)
    await expect(console.get_by_test_id("cue-VOTING_CLOSE")).to_be_enabled(timeout=30_000)
    await press(console, "VOTING_CLOSE", guarded=True)
    await expect(phone.get_by_test_id("winner")).to_be_visible(timeout=30_000)
