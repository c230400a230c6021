"""The stage in a page of its own, without a server behind it: a test says the messages, and looks at the picture."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import uvicorn
from playwright.async_api import Browser, Page
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from clients.web.routes import routes

REHEARSAL: Final = Path(__file__).with_name("rehearsal.js").read_text()
PHOTOS: Final = Path(__file__).parents[2] / "broadcast_sync" / "show" / "demo" / "photos"
BLANK: Final = """<!doctype html><html lang="en"><head><title>Stage</title><link rel="icon" href="data:,"><style>
html, body, #root { position: relative; width: 100%; height: 100%; margin: 0; overflow: hidden; background: none }
</style></head><body><main id="root"></main></body></html>"""

NAMES: Final = (
    ("Sok Dara", "សុខ តារា"), ("Chan Sreymom", "ចាន់ ស្រីមុំ"), ("Keo Rithy", "កែវ រិទ្ធី"),
    ("Long Visal", "ឡុង វិសាល"), ("Meas Chanthou", "មាស ចាន់ធូ"), ("Nhem Bopha", "ញឹម បុប្ផា"),
    ("Prak Sothea", "ប្រាក់ សុធា"), ("Ros Kunthea", "រស់ គន្ធា"), ("The Riverside Four", "ក្រុមមាត់ទន្លេ"),
    ("Tep Rathana", "ទេព រតនា"), ("Ung Sovann", "អ៊ុង សុវណ្ណ"), ("Vann Pisey", "វណ្ណ ពិសី"),
)


def iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def line_up(count: int) -> list[dict[str, Any]]:
    """`count` contestants; twelve have photos, the others none."""
    made = []
    for number in range(1, count + 1):
        name, khmer = NAMES[(number - 1) % 12]
        again = f" {number // 12 + 1}" if count > 12 else ""
        made.append({
            "id": f"c{number:02d}", "number": number, "name": name + again, "khmerName": khmer, "status": "active",
            "photoUrl": f"/photos/demo/c{number:02d}.svg" if number <= 12 else "", "hometown": "Kampot",
        })
    return made


def state(
    contestants: Sequence[dict[str, Any]], voting: str = "OPEN", *, seconds: float = 45, of: float = 60, **fields: Any
) -> dict[str, Any]:
    """STATE_UPDATE with a window that closes in `seconds`, unless `voting` is IDLE."""
    now = datetime.now(UTC)
    window = None if voting == "IDLE" else {
        "windowId": "w1", "state": voting, "opensAt": iso(now - timedelta(seconds=of - seconds)),
        "closesAt": iso(now + timedelta(seconds=seconds)), "hardClosesAt": iso(now + timedelta(seconds=seconds + 5)),
        "episode": 1, "rulesHash": "h", "rules": {}, "contestants": list(contestants), "rehearsal": False,
        "visibility": fields.pop("visibility", "public"),
    }
    show = {"showId": "demo", "episode": 1, "title": "Voices of the Mekong: Live Show 1", "rehearsal": False}
    return {
        "show": show, "performance": None, "voting": voting, "window": window, "revision": 1, "degraded": False,
        "resultsReleased": False, "contestants": list(contestants), **fields,
    }


def board(contestants: Sequence[dict[str, Any]], counts: Sequence[int]) -> dict[str, Any]:
    """LIVE_RESULTS of these counts; equal counts share a rank."""
    total = sum(counts)
    ordered = sorted(zip(contestants, counts, strict=True), key=lambda pair: (-pair[1], pair[0]["number"]))
    rows = [
        {
            "contestantId": who["id"], "contestantName": who["name"], "contestantPhoto": who["photoUrl"],
            "voteCount": votes, "formattedCount": str(votes), "rank": 1 + sum(other > votes for other in counts),
            "percentage": round(100 * votes / total, 1) if total else 0.0, "change": (who["number"] * 7) % 5 - 2,
            "trend": ("stable", "rising_fast", "rising", "falling", "stable")[who["number"] % 5],
        }
        for who, votes in ordered
    ]
    return {"results": rows, "totalVotes": total, "lastUpdated": iso(datetime.now(UTC)), "timeRemaining": 45}


def result(
    contestants: Sequence[dict[str, Any]], counts: Sequence[int], *, certified: bool = True
) -> dict[str, Any]:
    """RESULTS_READY of these counts."""
    found = board(contestants, counts)
    return {
        "windowId": "w1", "results": found["results"], "totalVotes": found["totalVotes"], "certified": certified,
        "ledgerTotal": found["totalVotes"], "certificate": {},
    }


def some_counts(count: int, seed: int = 1) -> list[int]:
    """Counts that look like a vote: a few far ahead, the others close together."""
    dice = random.Random(seed)
    return sorted((int(40 + 9000 * dice.random() ** 3) for _ in range(count)), reverse=True)


class StagePage:
    """`page` shows a stage; what it says on its console is in `faults`."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: self.faults.append(message.text) if message.type == "error" else None)

    async def play(self, **options: Any) -> None:
        """A stage with these options comes on."""
        await self.page.evaluate(REHEARSAL, options)

    async def say(self, kind: str, data: dict[str, Any], timestamp: str | None = None) -> None:
        """The stage's client gets a message, and the next frame is drawn."""
        await self.page.evaluate(
            "([kind, data, at]) => { client.say(kind, data, at ?? undefined);"
            " return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))); }",
            [kind, data, timestamp],
        )

    async def call(self, method: str, *arguments: Any) -> Any:
        """A method of the stage, and the next frame."""
        return await self.page.evaluate(
            "async ([method, given]) => { const found = await stage[method](...given);"
            " await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))); return found; }",
            [method, list(arguments)],
        )


@asynccontextmanager
async def stage_server() -> AsyncIterator[str]:
    """Serves the pages' files, the rehearsal show's photos and a blank page; its address."""
    async def blank(request: object) -> HTMLResponse:
        return HTMLResponse(BLANK)

    app = Starlette(routes=[Route("/stage", blank), Mount("/photos/demo", StaticFiles(directory=PHOTOS)), *routes()])
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await serving


@asynccontextmanager
async def stage_page(
    browser: Browser, url: str, *, width: int = 1920, height: int = 1080, **options: Any
) -> AsyncIterator[StagePage]:
    """A page of `stage_server` in a context of its own; `options` are the context's."""
    context = await browser.new_context(viewport={"width": width, "height": height}, **options)
    page = StagePage(await context.new_page())
    await page.page.goto(f"{url}/stage")
    yield page
    await context.close()
