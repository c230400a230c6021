"""The viewer's phone in a real Chromium: two taps, tunnels, reloads, refusals, languages, a picture that is behind."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, Request, Route, WebSocketRoute, expect

from broadcast_sync.wire.times import parse_iso
from tests.support.axe import findings
from tests.support.browser import chromium, shot
from tests.support.process import ServerProcess
from tests.support.viewer import Viewer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(90), pytest.mark.asyncio(loop_scope="module")]

PHONE, SMALL, SIDEWAYS, TABLET, DESK = (390, 844), (360, 740), (740, 360), (820, 1180), (1280, 800)
BUDGET = 60 * 1024
"""Bytes on the wire of a first visit, photos apart."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One show with one window, open for as long as these tests take; every test brings voters of its own."""
    settings: dict[str, object] = {"show.grace_s": 4, "web.stream_delay_ios_ms": 2_200}
    running = ServerProcess(tmp_path_factory.mktemp("phone") / "data", settings, "--guests", "all")
    running.start()
    running.cue_at_once("SHOW_START", {"showId": "demo", "episode": 1})
    running.cue_at_once("VOTING_OPEN", {"duration": 1800})
    yield running
    running.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


class Tunnel:
    """The way of a page's sockets to the server. While it is `dark` nothing comes through, in no direction."""

    def __init__(self) -> None:
        self.dark = False
        self.deaf_to: str | None = None
        self._sockets: list[WebSocketRoute] = []

    async def lead(self, page: Page) -> None:
        await page.route_web_socket(re.compile("/voting/sync"), self._opened)

    async def enter(self) -> None:
        self.dark = True
        for socket in self._sockets:
            await socket.close(code=4005)
        self._sockets.clear()

    async def _opened(self, socket: WebSocketRoute) -> None:
        if self.dark:
            await socket.close(code=4005)
            return
        self._sockets.append(socket)
        far = socket.connect_to_server()

        def from_server(message: str | bytes) -> None:
            if self.deaf_to is None or f'"{self.deaf_to}"' not in str(message):
                socket.send(message)

        far.on_message(from_server)


async def page_of(
    browser: Browser, size: tuple[int, int] = PHONE, locale: str = "en", tunnel: Tunnel | None = None
) -> Page:
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]}, device_scale_factor=2, locale=locale, reduced_motion="reduce"
    )
    page = await context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.faults = faults  # type: ignore[attr-defined]  # read by the tests at their end
    if tunnel is not None:
        await tunnel.lead(page)
    return page


def act(page: Page, contestant: str) -> Locator:
    return page.locator("#acts .act", has=page.get_by_test_id(f"vote-{contestant}"))


async def cast(server: ServerProcess, token: str) -> list[str]:
    """What the ledger has of a voter, newest first."""
    async with httpx.AsyncClient(base_url=server.url, headers={"authorization": f"Bearer {token}"}) as http:
        answer = await http.get("/api/v1/xfactor/voting/history")
    return [vote["contestant"]["id"] for vote in answer.json()["data"]["votes"]]


async def in_ledger(server: ServerProcess, token: str, wanted: list[str]) -> None:
    """Returns when the ledger has just these votes."""
    for _ in range(50):
        found = await cast(server, token)
        if found == wanted:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"the ledger has {found}, not {wanted}")


async def token_of(page: Page) -> str:
    token: str = await page.evaluate("localStorage.getItem('broadcast-sync.token')")
    return token


async def test_two_taps_and_what_a_phone_then_knows(browser: Browser, server: ServerProcess) -> None:
    page = await page_of(browser)
    await page.goto(f"{server.url}/phone")
    await page.get_by_test_id("vote-c07").click()  # the first tap opened the page
    await expect(act(page, "c07")).to_contain_text("Counted")
    await expect(page.get_by_test_id("announce")).to_have_text("Counted: 1 vote for Nhem Bopha. 4 votes left.")
    await expect(page.get_by_test_id("remaining")).to_have_text("4 of 5 free votes left")
    await expect(act(page, "c07")).to_contain_text("You: 1")
    await expect(page.get_by_test_id("vote-c07")).to_have_text("Vote again")
    await in_ledger(server, await token_of(page), ["c07"])
    await page.get_by_test_id("history").locator("summary").click()
    await expect(page.locator(".past")).to_contain_text("Nhem Bopha")
    assert await findings(page) == []
    await page.reload()
    await expect(act(page, "c07")).to_contain_text("You: 1")
    await expect(page.get_by_test_id("remaining")).to_have_text("4 of 5 free votes left")
    assert page.faults == []  # type: ignore[attr-defined]
    await page.context.close()


async def test_a_vote_in_a_tunnel_is_counted_once_afterwards(browser: Browser, server: ServerProcess) -> None:
    tunnel = Tunnel()
    page = await page_of(browser, tunnel=tunnel)
    [token] = server.tokens(1, sub="tunnel")
    await page.goto(f"{server.url}/phone#token={token}")
    await expect(page.get_by_test_id("remaining")).to_have_text("5 of 5 free votes left")
    tunnel.deaf_to = "VOTE_ACK"  # it arrives, and its answer is lost
    await page.get_by_test_id("vote-c02").click()
    await in_ledger(server, token, ["c02"])
    await tunnel.enter()
    await expect(page.get_by_test_id("offline")).to_contain_text("Your vote is kept")
    await page.get_by_test_id("vote-c05").click()
    for contestant in ("c02", "c05"):
        await expect(act(page, contestant)).to_contain_text("It counts once")
        await expect(page.get_by_test_id(f"vote-{contestant}")).to_have_text("Retrying")
    await expect(page.get_by_test_id("remaining")).to_have_text("3 of 5 free votes left")
    assert await findings(page) == []
    await shot(page, "phone-kept")

    await page.reload()  # in mid-vote, still in the tunnel
    tunnel.deaf_to, tunnel.dark = None, False
    for contestant in ("c02", "c05"):
        await expect(act(page, contestant)).to_contain_text("You: 1", timeout=15_000)
    await expect(page.get_by_test_id("remaining")).to_have_text("3 of 5 free votes left")
    await in_ledger(server, token, ["c05", "c02"])
    assert await page.evaluate("localStorage.getItem('broadcast-sync.waiting')") is None
    assert page.faults == []  # type: ignore[attr-defined]
    await page.context.close()


async def test_a_reload_without_any_network_shows_the_page_and_the_vote(
    browser: Browser, server: ServerProcess
) -> None:
    tunnel = Tunnel()
    page = await page_of(browser, tunnel=tunnel)
    [token] = server.tokens(1, sub="offline")
    await page.goto(f"{server.url}/phone#token={token}")
    await page.evaluate("""new Promise((taken) => navigator.serviceWorker.controller ? taken()
        : navigator.serviceWorker.addEventListener("controllerchange", () => taken()))""")
    await tunnel.enter()
    await page.context.set_offline(True)
    await page.get_by_test_id("vote-c09").click()
    await expect(page.get_by_test_id("vote-c09")).to_have_text("Retrying")
    await page.reload()
    await expect(page.get_by_test_id("offline")).to_have_text(re.compile("Your vote is kept"))
    tunnel.dark = False
    await page.context.set_offline(False)
    await expect(act(page, "c09")).to_contain_text("You: 1", timeout=15_000)
    await in_ledger(server, token, ["c09"])
    await page.context.close()


async def test_every_refusal_is_said_in_both_languages(browser: Browser, server: ServerProcess) -> None:
    from broadcast_sync.errors import CODES

    answer: dict[str, Any] = {}

    async def opened(socket: WebSocketRoute) -> None:
        far = socket.connect_to_server()

        def from_page(message: str | bytes) -> None:
            asked = json.loads(message)
            if asked["type"] == "VOTE":
                refusal = {"id": asked["id"], "message": "in the server's words", **answer}
                socket.send(json.dumps({"type": "ERROR", "data": refusal, "timestamp": "2026-11-21T13:00:00.000Z"}))
            else:
                far.send(message)

        socket.on_message(from_page)

    final = [code for code, entry in CODES.items() if not entry.retryable and entry.status not in (404, 405, 415)]
    final = [code for code in final if code not in {"STALE_REVISION", "CUE_REJECTED", "TIMECODE_INVALID"}]
    page = await page_of(browser)
    await page.route_web_socket(re.compile("/voting/sync"), opened)
    [token] = server.tokens(1, sub="refused")
    seen = set()
    for language, refused in (("en", "Not counted"), ("km", "មិនបានរាប់")):
        await page.goto(f"{server.url}/phone?lang={language}#token={token}")
        for number, code in enumerate(final, 1):
            answer |= {"code": code, "retryable": False}
            # whom one has voted for already is not asked about again
            contestant = "c12" if code == "ALREADY_VOTED" else f"c{number % 11 + 1:02d}"
            await page.get_by_test_id(f"vote-{contestant}").dispatch_event("click")
            await expect(page.get_by_test_id(f"vote-{contestant}")).to_have_text(refused)
            note = await act(page, contestant).locator(".note").inner_text()
            assert note, code
            assert "server's words" not in note, code
            seen.add((language, note))
        await expect(page.get_by_test_id("remaining")).to_contain_text("5")  # a refusal costs nothing
        await page.evaluate("localStorage.clear()")
    assert len(seen) == 2 * len(final)
    await page.context.close()


async def test_khmer_and_english(browser: Browser, server: ServerProcess) -> None:
    page = await page_of(browser, SMALL, "km-KH")
    await page.goto(f"{server.url}/phone")
    await expect(page.locator("html")).to_have_attribute("lang", "km")
    await expect(page).to_have_title("បោះឆ្នោត")
    await expect(act(page, "c01").locator(".act-name")).to_have_text("សុខ តារា")
    await page.get_by_test_id("vote-c01").click()
    await expect(page.get_by_test_id("remaining")).to_have_text("នៅសល់ 4/5 សំឡេងឥតគិតថ្លៃ")
    await shot(page, "phone-khmer")
    assert await findings(page) == []
    await page.get_by_test_id("language").click()
    await expect(page.get_by_test_id("remaining")).to_have_text("4 of 5 free votes left")
    await expect(act(page, "c01").locator(".act-name")).to_have_text("Sok Dara")
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.get_by_test_id("vote-c01")).to_have_text("Vote again")
    await page.context.close()


async def test_bought_votes_are_asked_about_by_keyboard_alone(browser: Browser, server: ServerProcess) -> None:
    [token] = server.tokens(1, sub="rich")
    server.run("wallet", "credit", "--voter", "rich1", "--votes", "12", "--key", "order-1")
    page = await page_of(browser)
    await page.goto(f"{server.url}/phone#token={token}")
    await expect(page.get_by_test_id("wallet")).to_have_text("and 12 votes bought")
    button = page.get_by_test_id("vote-c03")
    for _ in range(12):  # language, then act by act: a vote and its other ways
        await page.keyboard.press("Tab")
        if await button.evaluate("element => element === document.activeElement"):
            break
    for left in range(4, -1, -1):  # a free vote goes at once
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("remaining")).to_have_text(f"{left} of 5 free votes left")
    await expect(button).to_have_text("Use a vote")
    await page.keyboard.press("Enter")
    sheet = page.get_by_test_id("sheet")
    await expect(sheet).to_be_visible()
    assert await findings(page) == []
    await shot(page, "phone-sheet")
    await page.keyboard.press("Escape")
    await expect(sheet).to_be_hidden()
    await expect(button).to_be_focused()
    await expect(page.get_by_test_id("wallet")).to_have_text("and 12 votes bought")  # asking spends nothing
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")  # from one bought vote to five
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("wallet")).to_have_text("and 7 votes bought")
    await expect(act(page, "c03")).to_contain_text("You: 10")
    await expect(button).to_be_focused()
    assert page.faults == []  # type: ignore[attr-defined]
    await page.context.close()


async def picture_behind(page: Page, server: ServerProcess, seconds: float) -> None:
    """Serves the page a playlist whose players are that far behind."""

    async def playlist(route: Route) -> None:
        edge = datetime.now(UTC) - timedelta(seconds=seconds - 6)  # and players hold 6 s back
        dated = f"#EXT-X-PROGRAM-DATE-TIME:{edge.isoformat()}"
        lines = ("#EXTM3U", "#EXT-X-TARGETDURATION:2", dated, "#EXTINF:0,", "x.ts")
        await route.fulfill(body="\n".join(lines), content_type="application/vnd.apple.mpegurl")

    await page.route(f"{server.url}/live.m3u8", playlist)


async def test_the_clock_is_that_of_the_picture_as_far_as_votes_count(browser: Browser, server: ServerProcess) -> None:
    plain, behind = await page_of(browser), await page_of(browser)
    await picture_behind(behind, server, 20.2)  # whichever way the last milliseconds fall
    await plain.goto(f"{server.url}/phone")
    await behind.goto(f"{server.url}/phone?hls=/live.m3u8")
    said = behind.get_by_test_id("behind")
    await expect(said).to_contain_text("Your picture is 20 seconds behind the studio.")
    # four seconds of grace, less what a vote needs on its way, are followed; of the rest it is honest
    await expect(said).to_contain_text("The lines close here 18 seconds before you see it.")
    await shot(behind, "phone-behind")
    await expect(plain.get_by_test_id("behind")).to_be_hidden()
    shown = [await page.get_by_test_id("countdown").inner_text() for page in (plain, behind)]
    minutes, seconds = zip(*(map(int, text.split(":")) for text in shown), strict=True)
    assert minutes[1] * 60 + seconds[1] - minutes[0] * 60 - seconds[0] in (1, 2, 3)
    assert await findings(behind) == []
    for page in (plain, behind):
        assert page.faults == []  # type: ignore[attr-defined]
        await page.context.close()
    phone = await browser.new_page(user_agent="Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)", locale="en")
    await phone.goto(f"{server.url}/phone")  # what is configured for its kind, and the grace covers it
    await expect(phone.get_by_test_id("behind")).to_have_text(
        "Timed to your picture, which is 2 seconds behind the studio."
    )
    await phone.close()


async def test_live_regions_do_not_chatter(browser: Browser, server: ServerProcess) -> None:
    page = await page_of(browser)
    await page.goto(f"{server.url}/phone")
    await expect(page.get_by_test_id("vote-c01")).to_be_visible()
    assert await page.evaluate("""async () => {
        let said = 0, ticks = 0;
        const options = { childList: true, characterData: true, subtree: true };
        new MutationObserver((all) => (said += all.length)).observe(document.getElementById("announce"), options);
        await new Promise((enough) => new MutationObserver(() => ++ticks === 3 && enough())
          .observe(document.getElementById("countdown"), options));
        return [said, document.querySelectorAll("[aria-live]:not([aria-live=off])").length];
    }""") == [0, 1]
    await page.context.close()


@pytest.mark.parametrize(
    ("size", "locale"),
    [(SMALL, "km"), (SIDEWAYS, "en"), (TABLET, "km"), (DESK, "en"), ((195, 422), "km"), ((180, 370), "en")],
)
async def test_nothing_is_wider_than_the_screen_and_targets_are_large(
    browser: Browser, server: ServerProcess, size: tuple[int, int], locale: str
) -> None:
    """The last two are phones at 200 % zoom."""
    page = await page_of(browser, size, locale)
    await page.goto(f"{server.url}/phone")
    await expect(page.get_by_test_id("vote-c01")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    small = await page.evaluate("""[...document.querySelectorAll("button, summary, input, textarea")]
        .map((one) => [one.dataset.testid ?? one.tagName, one.getBoundingClientRect()])
        .filter(([, box]) => box.width && (box.width < 44 || box.height < 44)).map(([name]) => name)""")
    assert small == []
    assert await findings(page) == []
    await page.context.close()


HOSTILE = [
    "<img src=x onerror=window.pwned=1>", "\u202eevol ruoy", "\U0001f469\u200d\U0001f3a4 Star", "N" * 128,
    "O'Brien & \"Sons\"", "សុខ\u200bតារា",
]  # fmt: skip


def big_show(file: Path) -> Path:
    """230 contestants, the first of them with names that pages have tripped over."""
    acts = [
        {
            "id": f"c{number}", "number": number, "name": f"Act Number {number}", "khmer_name": f"បេក្ខជន {number}",
            "photo": f"/photos/demo/c01.svg?{number}", "category": ("Solo", "Group", "Dance")[number % 3],
        }
        for number in range(1, 231)
    ]  # fmt: skip
    acts[: len(HOSTILE)] = [
        {**one, "name": name, "khmer_name": "", "photo": ""} for one, name in zip(acts, HOSTILE, strict=False)
    ]
    episode = {"number": 1, "title": "Many Voices: Round 1"}
    named = {"season": {"id": "s", "title": "S"}, "show": {"id": "big", "title": "Many"}, "episode": episode}
    file.write_text(json.dumps({**named, "contestants": acts}))
    return file


async def test_more_than_two_hundred_acts_to_the_result(
    browser: Browser, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings: dict[str, object] = {"show.grace_s": 0.2, "show.drain_s": 0.2}
    server = ServerProcess(tmp_path_factory.mktemp("big") / "data", settings, "--guests", "all")
    server.start()
    try:
        server.run("show", "load", str(big_show(tmp_path / "big.json")))
        server.cue_at_once("SHOW_START", {"showId": "big", "episode": 1})
        server.cue_at_once("VOTING_OPEN", {"duration": 600, "visibility": "hidden"})
        tunnel = Tunnel()
        page = await page_of(browser, tunnel=tunnel)
        photos: list[str] = []
        page.on("request", lambda request: photos.append(request.url) if "/photos/" in request.url else None)
        await page.goto(f"{server.url}/phone")
        rows = page.locator("#acts .act")
        await expect(rows).to_have_count(200)
        await expect(page.get_by_test_id("secret")).to_be_visible()
        await expect(rows.nth(0).locator(".act-name")).to_have_text(HOSTILE[0])
        assert await page.evaluate("window.pwned") is None
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert len(photos) < 60  # the rest when they come near
        await expect(page.get_by_text("30 more can be found by name.")).to_be_visible()
        shown = page.locator("#acts .act:visible")
        wanted = {
            "137": 1, "act number 19": 12, "number 229": 1, "បេក្ខជន 45": 2, "%": 0, "សុខតារា": 1, "": 200,
        }  # fmt: skip
        for query, found in wanted.items():
            await page.get_by_test_id("find").fill(query)
            await expect(shown).to_have_count(found)
        await page.get_by_role("button", name="Dance").click()
        await expect(page.get_by_text("77 acts")).to_be_visible()
        await shot(page, "phone-many")
        await page.get_by_role("button", name="All").click()
        await page.get_by_test_id("find").fill("number 229")  # one that no message lists
        await page.get_by_test_id("vote-c229").click()
        await expect(act(page, "c229")).to_contain_text("You: 1")
        await page.get_by_test_id("find").fill("137")
        await page.get_by_test_id("vote-c137").click()
        await expect(act(page, "c137")).to_contain_text("You: 1")
        await page.get_by_test_id("find").fill("150")
        tunnel.deaf_to = "VOTE_ACK"
        await page.get_by_test_id("vote-c150").click()
        await in_ledger(server, await token_of(page), ["c150", "c137", "c229"])
        await tunnel.enter()  # until the lines have closed
        watcher = await Viewer.open(server.url, token=server.tokens(1)[0])
        server.cue_at_once("VOTING_CLOSE")
        await watcher.expect("STATE_UPDATE", voting="CLOSED")  # certified: a release takes one person from now on
        tunnel.deaf_to, tunnel.dark = None, False
        await expect(page.get_by_test_id("state")).to_have_text("Counting", timeout=15_000)
        await expect(page.locator("#closing-mine")).to_contain_text("Act Number 150 (1)")
        assert await findings(page) == []
        late = await page_of(browser)
        await picture_behind(late, server, 3)
        await late.goto(f"{server.url}/phone?hls=/live.m3u8")
        await expect(late.get_by_test_id("state")).to_have_text("Counting")
        await late.evaluate("""() => new MutationObserver(() => {
            if (document.body.dataset.view === "result") window.shownAt ??= Date.now();
        }).observe(document.body, { attributes: true, attributeFilter: ["data-view"] })""")
        server.cue_at_once("RESULTS_RELEASE")
        await expect(page.get_by_test_id("winner")).to_have_text("Act Number 137, Act Number 150 and Act Number 229")
        await expect(page.locator(".place")).to_have_count(200)
        released = parse_iso((await watcher.expect("RESULTS_READY"))["timestamp"])
        await watcher.close()
        await expect(late.get_by_test_id("winner")).to_be_visible(timeout=15_000)
        assert await late.evaluate("window.shownAt") >= released + 2_800  # not before the picture has it
        assert await findings(page) == []
        await expect(page.locator("#mine")).to_have_text(re.compile(r"Act Number 137 \(1\), Act Number 150 \(1\)"))
        assert page.faults == []  # type: ignore[attr-defined]
    finally:
        server.cleanup()


async def test_a_first_visit_weighs_less_than_sixty_kilobytes(browser: Browser, server: ServerProcess) -> None:
    page = await page_of(browser, locale="km")
    done: list[Request] = []
    page.context.on("requestfinished", lambda request: done.append(request))  # those of the service worker as well
    await page.goto(f"{server.url}/phone", wait_until="networkidle")
    await expect(page.get_by_test_id("vote-c01")).to_be_visible()
    await page.evaluate("navigator.serviceWorker.ready")
    weighed: dict[str, int] = {}
    for request in done:
        path, sizes = request.url.removeprefix(server.url), await request.sizes()
        if not path.startswith("/photos/"):
            name = f"worker {path}" if request.service_worker else path
            weighed[name] = sizes["responseBodySize"] + sizes["responseHeadersSize"]
    async with httpx.AsyncClient(base_url=server.url) as http:  # what is loaded once somebody installs it
        manifest = await http.get("/web/phone/manifest.webmanifest")
        for path in {"/web/phone/manifest.webmanifest", *(icon["src"] for icon in manifest.json()["icons"])}:
            if path not in weighed:
                answer = await http.get(path, headers={"accept-encoding": "gzip"})
                weighed[path] = int(answer.headers["content-length"]) + sum(map(len, sum(answer.headers.raw, ())))
    print(f"{sum(weighed.values()):,} bytes", json.dumps(weighed, indent=1))  # noqa: T201  # shown when it fails
    assert {"/phone", "/web/phone.js", "worker /web/phone.js"} <= weighed.keys()
    assert sum(weighed.values()) < BUDGET
    await page.context.close()
