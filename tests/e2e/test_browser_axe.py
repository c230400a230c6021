"""The eye that the pages are tested with sees: a page with faults has them found, and one without has none."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from tests.support.axe import findings

pytestmark = pytest.mark.browser

GOOD = """<!doctype html><html lang="en"><title>A page</title><main><h1>A page</h1><button>Vote</button>
<p style="color: #333; background: #fff">Dark on light</p></main>"""
BAD = GOOD.replace(">Vote<", "><").replace("#333", "#ccc")


async def test_what_is_wrong_is_found_and_nothing_else(browser: Browser) -> None:
    page = await browser.new_page()
    await page.set_content(GOOD)
    assert await findings(page) == []
    await page.set_content(BAD)
    found = await findings(page)
    assert [line.split(":")[0] for line in found] == ["critical button-name", "serious color-contrast"]
    assert await findings(page, without=("button", "p")) == []
