"""Debian's Chromium (or another one that is installed) under playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, Page, async_playwright

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM: Final = next((path for name in BROWSERS if (path := shutil.which(name))), "")
ARGUMENTS: Final = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--force-color-profile=srgb",
]

SHOTS: Final = os.environ.get("SCREENSHOTS")
"""Where pictures go; None while nobody asks for them (`make screenshots`: docs/img)."""


async def shot(page: Page, name: str, rest_ms: float = 0) -> None:
    """A picture, if they are asked for, once the motion has come to rest."""
    if SHOTS:
        await page.wait_for_timeout(rest_ms)
        await page.screenshot(path=Path(SHOTS) / f"{name}.jpg", type="jpeg", quality=82)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser until left."""
    assert CHROMIUM, "no Chromium: `make test` installs it"
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        await running.close()
