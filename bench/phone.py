"""The phone page on a phone of 2016 over 3G: how long from opening it until one can vote, and until a vote is counted.

    python -m bench.phone [--rounds 5] [--line 3g|slow-3g|none] [--cpu 6]

A real server with a window of 12 acts open, and Chromium with its processor slowed down and its line made narrow (CDP:
`Emulation.setCPUThrottlingRate`, `Network.emulateNetworkConditions`). By turns, each in a context of its own:

floor   an empty page whose one script, 400 bytes, opens the same socket and waits for the window
first   the phone page with nothing kept
again   the phone page a second time, with what the browser kept of the first

`votable` is from the navigation until the button can be pressed (the floor: until the window is known), `counted` from
the press until the page says so, joining as a guest included. `x floor` is the median of the rounds' ratios. The line's
latency is added to each request by the browser and not to the frames of a socket that is open.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Final

from msgspec import Struct
from playwright.async_api import Browser, BrowserContext, ViewportSize
from rich.console import Console
from rich.table import Table

from tests.support.browser import chromium
from tests.support.process import ServerProcess

RESULT: Final = Path(__file__).parent / "results" / "phone.json"
LIMIT_MS: Final = 60_000
VIEWPORT: Final[ViewportSize] = {"width": 360, "height": 640}

WATCH: Final = """new MutationObserver(() => {
  if (window.votableAt === undefined && document.body?.dataset.view === "open" && document.querySelector("#acts .vote"))
    window.votableAt = performance.now();
  if (window.countedAt === undefined && document.querySelector('#acts [data-phase="counted"]'))
    window.countedAt = performance.now();
}).observe(document, { subtree: true, childList: true, attributes: true });"""

EMPTY: Final = """<!doctype html><title>floor</title><body><script>
const socket = new WebSocket("ADDRESS");
socket.onopen = () => socket.send('{"type":"SUBSCRIBE","channels":["show"]}');
socket.onmessage = ({ data }) => {
  const { type, data: now } = JSON.parse(data);
  if (type === "STATE_UPDATE" && now.voting === "OPEN") window.votableAt ??= performance.now();
};
</script>"""


class Line(Struct, frozen=True):
    """What is between the phone and the server: latency of a round trip, bits a second down and up."""

    latency_ms: int
    down: int
    up: int


LINES: Final = {
    "3g": Line(300, 1_600_000, 750_000),
    "slow-3g": Line(400, 400_000, 400_000),
    "none": Line(0, 0, 0),
}


class Visit(Struct, frozen=True):
    """One visit, in milliseconds; `bytes` came over the line, photos included."""

    votable: float
    counted: float | None
    bytes: int


def floor_server(address: str) -> ThreadingHTTPServer:
    """Serves the empty page on a port of its own."""
    page = EMPTY.replace("ADDRESS", address).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=made.serve_forever, daemon=True).start()
    return made


async def visit(context: BrowserContext, url: str, line: Line, cpu: float, vote: bool) -> Visit:
    """Opens `url` in a new page, and casts a vote if asked to."""
    page = await context.new_page()
    await page.add_init_script(WATCH)
    wire = await context.new_cdp_session(page)
    await wire.send("Network.enable")
    if line.down:
        await wire.send("Network.emulateNetworkConditions", {
            "offline": False, "latency": line.latency_ms, "downloadThroughput": line.down / 8,
            "uploadThroughput": line.up / 8, "connectionType": "cellular3g",
        })  # fmt: skip
    await wire.send("Emulation.setCPUThrottlingRate", {"rate": cpu})
    sizes: list[float] = []
    wire.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    await page.goto(url, wait_until="commit")
    await page.wait_for_function("window.votableAt !== undefined", timeout=LIMIT_MS, polling=100)
    counted = None
    if vote:
        pressed: float = await page.evaluate(
            "(() => { const at = performance.now(); document.querySelector('#acts .vote').click(); return at; })()"
        )
        await page.wait_for_function("window.countedAt !== undefined", timeout=LIMIT_MS, polling=100)
        counted = await page.evaluate("window.countedAt") - pressed
    await page.wait_for_load_state("networkidle")
    votable: float = await page.evaluate("window.votableAt")
    await page.close()
    return Visit(votable, counted, int(sum(sizes)))


async def one_round(browser: Browser, server: str, floor: str, line: Line, cpu: float) -> dict[str, Visit]:
    """The three visits, one after the other."""
    # without the page's policy, which playwright's own waiting breaks; it takes no time
    empty = await browser.new_context(viewport=VIEWPORT, bypass_csp=True)
    phone = await browser.new_context(viewport=VIEWPORT, bypass_csp=True)
    found = {
        "floor": await visit(empty, floor, line, cpu, False),
        "first": await visit(phone, f"{server}/phone", line, cpu, True),
        "again": await visit(phone, f"{server}/phone", line, cpu, True),
    }
    await empty.close()
    await phone.close()
    return found


async def measured(server: str, line: Line, cpu: float, rounds: int) -> list[dict[str, Visit]]:
    """All rounds, after one that warms the server and the browser up."""
    floor = floor_server(server.replace("http", "ws", 1) + "/voting/sync")
    try:
        async with chromium() as browser:
            address = f"http://127.0.0.1:{floor.server_port}/"
            taken = [await one_round(browser, server, address, line, cpu) for _ in range(rounds + 1)]
    finally:
        floor.shutdown()
    return taken[1:]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="bench.phone", description="The phone page on a slow phone and a slow line.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--line", choices=LINES, default="3g")
    parser.add_argument("--cpu", type=float, default=6.0, help="times slower than this machine")
    options = parser.parse_args()
    line = LINES[options.line]
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(Path(folder) / "data", {"hub.allowed_origins": '["*"]'}, "--guests", "users")
        server.start()
        try:
            server.cue_at_once("SHOW_START", {"showId": "demo", "episode": 1})
            server.cue_at_once("VOTING_OPEN", {"duration": 3_600})
            taken = asyncio.run(measured(server.url, line, options.cpu, options.rounds))
        finally:
            server.cleanup()
    title = f"{options.line}: {line.latency_ms} ms, {line.down / 1e6:g} Mbit/s; processor {options.cpu:g} times slower"
    table = Table("", "votable ms", "x floor", "counted ms", "bytes", title=title)
    result: dict[str, dict[str, float | None]] = {}
    for name in taken[0]:
        counted = [one[name].counted for one in taken]
        result[name] = {
            "votableMs": round(statistics.median(one[name].votable for one in taken)),
            "timesFloor": round(statistics.median(one[name].votable / one["floor"].votable for one in taken), 2),
            "countedMs": round(statistics.median(ms for ms in counted if ms)) if any(counted) else None,
            "bytes": round(statistics.median(one[name].bytes for one in taken)),
        }
        table.add_row(name, *("-" if value is None else f"{value:,}" for value in result[name].values()))
    Console().print(table)
    RESULT.write_text(json.dumps({"line": options.line, "cpu": options.cpu, **result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
