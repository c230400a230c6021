"""Debian's Chromium (or another one that is installed) under playwright."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from playwright.async_api import Browser, async_playwright

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM: Final = next((path for name in BROWSERS if (path := shutil.which(name))), "")
ARGUMENTS: Final = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--force-color-profile=srgb",
]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser until left."""
    assert CHROMIUM, "no Chromium: `make test` installs it"
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        await running.close()
