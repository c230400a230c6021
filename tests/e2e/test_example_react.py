"""The React example under StrictMode in a real Chromium: live votes, countdown, votes by click, a reconnect."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.conftest import Starter
from tests.support.bundle import bundle
from tests.support.process import ROOT, ServerProcess
from tests.support.site import site_of
from tests.support.viewer import Viewer

EXAMPLE = ROOT / "docs" / "examples" / "react"
pytestmark = [pytest.mark.browser, pytest.mark.timeout(90)]

# A page that takes the component out and puts another hook in: what an app does that changes its view.
HARNESS = """
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { useBroadcastSync } from "EXAMPLE/useBroadcastSync.js";

const root = createRoot(document.getElementById("root"));
window.renders = 0;

function Probe({ url, token }) {
  const { client, state, connection } = useBroadcastSync(url, { token });
  window.client = client;
  window.renders += 1;
  return <p data-testid="probe">{connection} {state.identity?.userId ?? "nobody"}</p>;
}

window.show = (props) => root.render(<StrictMode><Probe {...props} /></StrictMode>);
window.leave = () => root.render(null);
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The example as an app's own web server has it, on another origin than the show's server."""
    folder = tmp_path / "site"
    folder.mkdir()
    for name in ("index.html", "style.css"):
        shutil.copy(EXAMPLE / name, folder)
    bundle(EXAMPLE / "main.jsx", folder / "dist" / "main.js")
    harness = tmp_path / "harness.jsx"
    harness.write_text(HARNESS.replace("EXAMPLE", str(EXAMPLE)))
    bundle(harness, folder / "dist" / "harness.js")
    (folder / "harness.html").write_text(
        '<!doctype html><link rel="icon" href="data:,"><div id="root"></div>'
        '<script type="module" src="dist/harness.js"></script>'
    )
    with site_of(folder) as address:
        yield address


async def opened(browser: Browser, url: str) -> tuple[Page, list[str]]:
    """A page, and what its console says is wrong with it."""
    page = await (await browser.new_context(viewport={"width": 420, "height": 900})).new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
    await page.goto(url)
    return page, faults


async def sockets(server: ServerProcess, wanted: int) -> None:
    """Until the server has just so many."""
    while (await asyncio.to_thread(server.get, "/api/v1/status"))["sockets"] != wanted:  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.05)


async def one_socket_and_none_left(server: ServerProcess, page: Page, first: str, second: str) -> None:
    """The hook in a component that comes, gets a token, goes, and comes again."""
    url = f"{server.url.replace('http', 'ws', 1)}/voting/sync"
    probe = page.get_by_test_id("probe")
    await page.evaluate("(props) => show(props)", {"url": url, "token": None})
    await expect(probe).to_have_text("live nobody")
    await page.evaluate("(props) => show(props)", {"url": url, "token": first})  # signed in on the same socket
    await expect(probe).to_have_text("live u1")
    await sockets(server, 1)
    before = await page.evaluate("renders")
    await page.evaluate("(props) => show(props)", {"url": url, "token": first})
    assert (await page.evaluate("renders")) - before == 2  # StrictMode's two of one, and none that the hook asks for

    await page.evaluate("leave()")
    await sockets(server, 0)
    assert await page.evaluate("client.connection") == "closed"
    await page.evaluate("(props) => show(props)", {"url": url, "token": second})
    await expect(probe).to_have_text("live u2")
    await sockets(server, 1)
    await page.evaluate("leave()")
    await sockets(server, 0)


async def a_show_as_a_viewer_sees_it(server: ServerProcess, page: Page, faults: list[str], other: str) -> None:
    server.cue_at_once("SHOW_START", {"showId": "demo", "episode": 1})
    card, rival = page.get_by_test_id("card-c07"), page.get_by_test_id("card-c03")
    await expect(card).to_contain_text("Nhem Bopha")
    await expect(page.get_by_role("button")).to_have_count(0)  # nothing to press before the lines are open
    server.cue_at_once("VOTING_OPEN", {"duration": 600})
    await expect(page.get_by_role("timer")).to_contain_text("9:5")

    voter = await Viewer.open(server.url, token=other)
    for ballot in range(3):
        await voter.vote(ballot, "c03")
    await expect(rival).to_contain_text("3 votes")
    await expect(rival).to_contain_text("100.0%")
    button = page.get_by_role("button", name="Vote for Nhem Bopha")
    for _ in range(5):
        await button.click()
        await expect(card.get_by_role("status")).to_have_text("Counted.")
    await expect(card).to_contain_text("5 votes")
    await expect(page.locator("li").first).to_have_attribute("data-testid", "card-c07")
    await button.click()
    await expect(card.get_by_role("status")).to_contain_text("all your free votes")
    assert faults == []

    server.kill()
    await expect(page.get_by_text("The lines are open.")).to_be_hidden()
    await expect(card).to_contain_text("5 votes")  # the last ranking stays
    server.start()
    await expect(page.get_by_text("The lines are open.")).to_be_visible(timeout=30_000)
    again = await Viewer.open(server.url, token=other)
    await again.vote("after", "c03")
    await expect(rival).to_contain_text("4 votes")
    await expect(page.get_by_role("timer")).to_contain_text("9:")

    server.cue_at_once("VOTING_CLOSE")
    await expect(page.get_by_text("The certified result")).to_be_visible(timeout=20_000)
    await expect(page.get_by_role("button")).to_have_count(0)
    for viewer in (voter, again):
        await viewer.close()


async def test_the_example_in_a_browser(browser: Browser, start_server: Starter, site: str) -> None:
    server = start_server({"hub.allowed_origins": f'["{site}"]'})
    first, second, other = server.tokens(3)
    page, faults = await opened(browser, f"{site}/harness.html")
    await one_socket_and_none_left(server, page, first, second)
    assert faults == []
    await page.close()

    socket = server.url.replace("http", "ws", 1)
    page, faults = await opened(browser, f"{site}/?server={socket}#token={first}")
    await expect(page.get_by_text("The lines are not open yet.")).to_be_visible()
    await sockets(server, 1)  # one, though StrictMode runs every effect twice
    await a_show_as_a_viewer_sees_it(server, page, faults, other)
