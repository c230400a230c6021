"""How smoothly the studio screen moves: frames while every row has a new place each second.

    python -m bench.screen [--rows 200] [--seconds 6] [--rounds 3] [--width 1920]

frames   a second, by requestAnimationFrame; the display asks for 60
95 %     of the frames came within so many ms after the one before
longest  ms between two frames
x floor  frames of the contender / frames of the floor in the same round, median

floor    as many empty divs of the size of the stage's rows, all of them in the picture, moved by a transform

Of a long ranking the stage has a page of 48 rows in the picture, with text and bars. Chromium draws in software here,
on the CPU, beside all else; on a studio's machine a GPU does it. So the ratio says more than the rate. The result is
printed and written to bench/results/screen.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from playwright.async_api import Browser
from rich.console import Console
from rich.table import Table

from tests.support.browser import chromium
from tests.support.stage_page import StagePage, board, line_up, some_counts, stage_page, stage_server, state

RESULT: Final = Path(__file__).parent / "results" / "screen.json"
SETTLE_MS: Final = 1500

WATCH: Final = """(ms) => new Promise((done) => {
  const gaps = [];
  let last = performance.now();
  const end = last + ms;
  const frame = (now) => {
    gaps.push(now - last);
    last = now;
    now < end ? requestAnimationFrame(frame) : done(gaps.slice(1));
  };
  requestAnimationFrame(frame);
})"""
"""Milliseconds between frames, for so long."""

DIVS: Final = """async (rows) => {
  const { arrange } = await import("/web/screen/layout.js");
  const { area, width, height, perPage, at } = arrange(rows);
  const root = document.getElementById("root");
  root.style.background = "#0c1226";
  const divs = Array.from({ length: rows }, () => {
    const div = document.createElement("div");
    div.style.cssText = `position:absolute;top:0;left:0;width:${width}px;height:${height}px;background:#7488d4;`
      + "will-change:transform;transition:transform 900ms";
    root.append(div);
    return div;
  });
  const scale = root.clientWidth / 1920;
  window.move = (order) => order.forEach((place, n) => {
    const { x, y } = at(place % perPage);
    divs[n].style.transform = `translate(${(area.x + x) * scale}px, ${(area.y + y) * scale}px)`;
  });
}"""
"""Empty divs in the places of the stage's own rows."""

Shake = Callable[[random.Random], Awaitable[None]]


class Frames(Struct, rename="camel"):
    """One round of one contender."""

    per_second: float
    p95_ms: float
    longest_ms: float


async def divs(page: StagePage, rows: int) -> Shake:
    await page.page.evaluate(DIVS, rows)

    async def shake(dice: random.Random) -> None:
        await page.page.evaluate("(order) => move(order)", dice.sample(range(rows), rows))

    return shake


async def stage(page: StagePage, rows: int) -> Shake:
    acts = line_up(rows)
    counts = some_counts(rows)
    await page.play(motion="full")
    await page.say("STATE_UPDATE", state(acts, seconds=600, of=900))

    async def shake(dice: random.Random) -> None:
        dice.shuffle(counts)
        await page.page.evaluate("(data) => client.say('LIVE_RESULTS', data)", board(acts, counts))

    return shake


async def measured(page: StagePage, shake: Shake, seconds: float, seed: int) -> Frames:
    """Every row has another place each second, for so many seconds."""
    dice = random.Random(seed)
    await shake(dice)
    await page.page.wait_for_timeout(SETTLE_MS)

    async def shaken() -> None:
        while True:
            await shake(dice)
            await asyncio.sleep(1)

    shaking = asyncio.create_task(shaken())
    gaps = sorted(await page.page.evaluate(WATCH, seconds * 1000))
    shaking.cancel()
    await asyncio.gather(shaking, return_exceptions=True)
    return Frames(
        round(len(gaps) * 1000 / sum(gaps), 1), round(gaps[int(len(gaps) * 0.95)], 1), round(gaps[-1], 1)
    )


async def run(browser: Browser, options: argparse.Namespace) -> dict[str, list[Frames]]:
    """The rounds of each contender; they take turns."""
    contenders: dict[str, Callable[[StagePage], Awaitable[Shake]]] = {
        "floor: empty divs": lambda page: divs(page, options.rows),
        f"stage, {options.rows} rows": lambda page: stage(page, options.rows),
        "stage, 12 rows": lambda page: stage(page, 12),
    }
    found: dict[str, list[Frames]] = {name: [] for name in contenders}
    async with stage_server() as url:
        for number in range(options.rounds):
            for name, prepare in contenders.items():
                async with stage_page(browser, url, width=options.width, height=options.width * 9 // 16) as page:
                    found[name].append(await measured(page, await prepare(page), options.seconds, number))
    return found


def report(found: dict[str, list[Frames]], options: argparse.Namespace) -> None:
    """Prints the table and writes the result."""
    floor = next(iter(found.values()))
    table = Table("", "frames/s", "95 % ms", "longest ms", "x floor", title=f"{options.rows} rows, all of them moving")
    result: dict[str, Any] = {"rows": options.rows, "width": options.width, "seconds": options.seconds}
    for name, rounds in found.items():
        ratio = statistics.median(one.per_second / least.per_second for one, least in zip(rounds, floor, strict=True))
        row = {
            "framesPerSecond": round(statistics.median(one.per_second for one in rounds), 1),
            "p95Ms": round(statistics.median(one.p95_ms for one in rounds), 1),
            "longestMs": max(one.longest_ms for one in rounds),
            "xFloor": round(ratio, 2),
        }
        result[name] = row
        table.add_row(name, *(str(value) for value in row.values()))
    Console().print(table)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


async def measure(options: argparse.Namespace) -> None:
    async with chromium() as browser:
        report(await run(browser, options), options)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="bench.screen", description="How smoothly the studio screen moves.")
    parser.add_argument("--rows", type=int, default=200, help="1 to 200")
    parser.add_argument("--seconds", type=float, default=6, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--width", type=int, default=1920, help="of the picture, pixels")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
