"""A browser's own EventSource on the event stream, through the death of the server."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Page

from tests.e2e.conftest import Starter

pytestmark = [pytest.mark.browser, pytest.mark.timeout(90)]

FOLLOW = """(query) => {
  window.seen = [];
  window.states = [];
  window.source = new EventSource("/voting/results/stream" + query);
  source.onmessage = (event) => seen.push({ lastEventId: event.lastEventId, ...JSON.parse(event.data) });
  source.onerror = () => states.push(source.readyState);
}"""


async def seen(page: Page, condition: str) -> list[dict[str, Any]]:
    """All messages once one `m` of them fulfils `condition`."""
    await page.wait_for_function(f"seen.some((m) => {condition})", timeout=30_000)
    found: list[dict[str, Any]] = await page.evaluate("seen")
    return found


async def test_a_browser_misses_nothing_while_the_server_dies_and_comes_back(
    browser: Browser, start_server: Starter
) -> None:
    server = start_server()
    page = await browser.new_page()
    await page.goto(f"{server.url}/healthz")  # a page of the same origin that opens no socket of its own
    await page.evaluate(FOLLOW, "?channels=show")
    await seen(page, "m.type === 'STATE_UPDATE'")
    server.cue("SHOW_START", {"showId": "demo", "episode": 1})
    await seen(page, "m.data.show && m.lastEventId")

    server.kill()
    await page.wait_for_function("states.length > 0")
    assert await page.evaluate("states[0]") == 0  # CONNECTING: the browser comes back by itself
    server.start()
    server.cue("PERFORMANCE_START", {"contestantId": "c01", "songName": "Song"})
    messages = await seen(page, "m.data.performance")

    subscribed = [message["data"] for message in messages if message["type"] == "SUBSCRIBED"]
    assert [each["recovered"] for each in subscribed] == [False, True]
    counted = [message for message in messages if "offset" in message]
    assert [message["lastEventId"] for message in counted] == [
        f"{message['epoch']}:{message['offset']}" for message in counted
    ]
    offsets = [message["offset"] for message in counted]
    assert offsets == list(range(subscribed[0]["offset"] + 1, offsets[-1] + 1))
    await page.close()


async def test_what_is_refused_is_final_for_a_browser(browser: Browser, start_server: Starter) -> None:
    server = start_server()
    page = await browser.new_page()
    await page.goto(f"{server.url}/healthz")
    await page.evaluate(FOLLOW, "?channels=control")
    await page.wait_for_function("states.length > 0")
    assert await page.evaluate("[source.readyState, seen.length]") == [2, 0]  # CLOSED
    await page.close()
