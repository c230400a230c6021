"""The studio screen in Chromium: what it says, where it stands, what it keeps to itself."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, WebSocketRoute, expect

from tests.support import browser as pictures
from tests.support.axe import findings
from tests.support.browser import chromium
from tests.support.process import ServerProcess
from tests.support.stage_page import StagePage, board, line_up, result, some_counts, stage_page, stage_server, state
from tests.support.viewer import Viewer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(60), pytest.mark.asyncio(loop_scope="module")]

TWELVE = line_up(12)
COUNTS = [812, 1403, 377, 602, 1290, 233, 1104, 455, 730, 128, 96, 560]
SAFE = (96, 54, 1824, 1026)
"""EBU R 95: graphics within 90 % of a picture of 1920 x 1080."""
ACT = {"contestantId": "c07", "songName": "Half a Monsoon", "startedAt": "2026-11-21T20:15:00.123Z"}

REST = """() => Promise.all(document.getAnimations()
  .filter((one) => one.effect.getComputedTiming().iterations !== Infinity)
  .map((one) => one.finished.catch(() => null)))"""
"""Until all that moves has come to rest."""

ALPHA = """async ([png, points]) => {
  const picture = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
  const drawing = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
  drawing.drawImage(picture, 0, 0);
  return points.map(([x, y]) => drawing.getImageData(x, y, 1, 1).data[3]);
}"""

ROWS = """() => [...document.querySelectorAll(".row")].map((row) => {
  const { x, y, right, bottom } = row.getBoundingClientRect();
  return { id: row.dataset.testid, box: [x, y, right, bottom], text: row.innerText, told: row.dataset.told };
}).sort((a, b) => a.box[0] - b.box[0] || a.box[1] - b.box[1])"""
"""The rows as they stand, column by column."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site() -> AsyncIterator[str]:
    async with stage_server() as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def stage(browser: Browser, site: str) -> AsyncIterator[StagePage]:
    async with stage_page(browser, site) as page:
        yield page


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    running = ServerProcess(tmp_path_factory.mktemp("screen") / "data", {"show.grace_s": 0.2}, "--guests", "all")
    running.start()
    yield running
    running.cleanup()


async def shot(page: Page, name: str) -> None:
    """A picture for docs/img, when they are asked for."""
    if pictures.SHOTS:
        await page.evaluate(REST)
        await pictures.shot(page, name)


async def alpha(page: Page, *points: tuple[int, int]) -> list[int]:
    """How opaque the picture is at these points, 0 to 255."""
    png = await page.screenshot(omit_background=True)
    found: list[int] = await page.evaluate(ALPHA, [base64.b64encode(png).decode(), points])
    return found


async def at_rest(stage: StagePage) -> list[dict[str, Any]]:
    await stage.page.evaluate(REST)
    rows: list[dict[str, Any]] = await stage.page.evaluate(ROWS)
    return rows


async def opened(stage: StagePage, acts: list[dict[str, Any]], counts: list[int], **fields: Any) -> None:
    await stage.say("STATE_UPDATE", state(acts, **{"seconds": 500, "of": 900, **fields}))
    await stage.say("LIVE_RESULTS", board(acts, counts))


async def released(stage: StagePage, acts: list[dict[str, Any]], counts: list[int], *, late: bool = False) -> None:
    await stage.say("STATE_UPDATE", state(acts, "CLOSED", seconds=-9, resultsReleased=late))
    await stage.say("RESULTS_READY", result(acts, counts))


# --- a whole show -------------------------------------------------------------------------------------------------


async def test_a_show_with_a_lost_link_a_director_and_a_late_screen(browser: Browser, server: ServerProcess) -> None:
    sockets: list[WebSocketRoute] = []
    dark = False

    async def lead(socket: WebSocketRoute) -> None:
        if dark:
            await socket.close(code=4005)
            return
        sockets.append(socket)
        socket.connect_to_server()

    server.cue_at_once("SHOW_START", {"showId": "demo", "episode": 1})
    page = await browser.new_page(viewport={"width": 1920, "height": 1080})
    await page.route_web_socket(re.compile("/voting/results"), lead)
    await page.goto(f"{server.url}/screen?director=1")
    await expect(page.get_by_text("Voices of the Mekong").first).to_be_visible()
    server.cue_at_once("VOTING_OPEN", {"duration": 600})
    voter = await Viewer.open(server.url, token=server.tokens(1)[0])
    assert (await voter.vote(1, "c05"))["type"] == "VOTE_ACK"
    await expect(page.get_by_test_id("total")).to_have_text("1")

    dark = True  # the link is gone: nobody in front of a television may see it
    await sockets.pop().close(code=4005)
    said = await page.locator(".ranking").inner_text()
    shown = await page.get_by_test_id("countdown").inner_text()
    await voter.vote(2, "c05")
    await expect(page.get_by_test_id("countdown")).not_to_have_text(shown)
    now = await page.locator(".ranking").inner_text()
    assert said.replace(shown, "") == now.replace(await page.get_by_test_id("countdown").inner_text(), "")
    dark = False
    await expect(page.get_by_test_id("total")).to_have_text("2", timeout=10_000)

    server.cue_at_once("VOTING_CLOSE")
    await expect(page.get_by_test_id("state")).to_have_text("The result", timeout=15_000)
    await expect(page.get_by_test_id("winner")).to_be_hidden()
    assert await page.locator(".ranking").get_by_text("Meas Pisey").count() == 0
    await page.keyboard.press("PageDown")  # eleven without a vote share the second place
    await expect(page.get_by_test_id("countdown")).to_have_text("And the winner is")
    await page.keyboard.press(" ")
    await expect(page.get_by_test_id("winner")).to_be_visible()
    await expect(page.get_by_test_id("seal")).to_contain_text("Certified")
    late = await browser.new_page()
    await late.goto(f"{server.url}/screen")
    await expect(late.get_by_test_id("winner")).to_have_text(await page.get_by_test_id("winner").inner_text())
    await voter.close()
    await page.close()
    await late.close()


# --- rows -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "pages"), [(2, 1), (5, 1), (12, 1), (20, 1), (200, 5)])
async def test_every_row_has_its_place_in_the_safe_area(stage: StagePage, count: int, pages: int) -> None:
    acts, counts = line_up(count), some_counts(count)
    await stage.play(motion="full" if count == 12 else "none")
    await opened(stage, acts, counts[::-1])
    await opened(stage, acts, counts)  # all of them move
    seen = []
    for _ in range(pages):
        rows = await at_rest(stage)
        for row in rows:
            left, top, right, bottom = row["box"]
            assert SAFE[0] - 1 <= left < right <= SAFE[2] + 1 and SAFE[1] - 1 <= top < bottom <= SAFE[3] + 1
        assert len({tuple(row["box"][:2]) for row in rows}) == len(rows)
        seen += [row["id"] for row in rows]
        await stage.call("next")
    assert seen == [f"row-{row['contestantId']}" for row in board(acts, counts)["results"]]
    if count == 200:
        await shot(stage.page, "screen-200")
    assert stage.faults == []


@pytest.mark.parametrize("count", [2, 12, 200])
async def test_a_result_is_told_to_its_winner(stage: StagePage, count: int) -> None:
    acts, counts = line_up(count), some_counts(count)
    await stage.play(director=True, motion="none")
    await released(stage, acts, counts)
    ranking = board(acts, counts)["results"]
    assert all(row["told"] == "false" and row["text"].isdigit() for row in await at_rest(stage))
    steps = await stage.page.evaluate("stage.stepsLeft")
    for left in range(steps - 1, 0, -1):
        assert await stage.call("next") is True
        told = [row["id"] for row in await at_rest(stage) if row["told"] == "true"]
        assert f"row-{ranking[left]['contestantId']}" in told
        assert f"row-{ranking[0]['contestantId']}" not in told
        if (count, left) == (12, 5):
            await shot(stage.page, "screen-reveal")
    assert await stage.call("next") is True
    await expect(stage.page.get_by_test_id("winner")).to_have_text(ranking[0]["contestantName"])
    assert await stage.call("next") is False


async def test_by_itself_a_result_takes_the_pace_of_the_address(stage: StagePage) -> None:
    await stage.play(pace="0.02", hold="0.05", lang="km")
    await released(stage, TWELVE, COUNTS)
    await expect(stage.page.get_by_test_id("winner")).to_have_text("Chan Sreymom")
    await expect(stage.page.get_by_text("អ្នកឈ្នះ").last).to_be_visible()


async def test_the_last_ten_seconds_are_the_clocks(stage: StagePage) -> None:
    await stage.play()
    await opened(stage, TWELVE, COUNTS, seconds=9.8)
    await expect(stage.page.get_by_test_id("countdown")).to_have_text("9")
    box = await stage.page.get_by_test_id("countdown").bounding_box()
    assert box is not None and box["height"] > 400
    await stage.say("STATE_UPDATE", state(TWELVE, "CLOSING", seconds=-1))
    await expect(stage.page.get_by_test_id("state")).to_have_text("Lines closed")
    await expect(stage.page.get_by_test_id("total")).to_have_text("7,790")


# --- what may come --------------------------------------------------------------------------------------------------


async def test_names_that_would_break_a_page_and_counts_that_javascript_would_round(stage: StagePage) -> None:
    names = [
        "<b>Bold</b><img src=x onerror=alert(1)>", "\u202eevil\u202c", "👩‍👩‍👧‍👦🎤", "W" * 200, "שלום עולם", "",
        "ញឹម Bopha", "line\nbreak",
    ]
    photos = ["javascript:alert(1)", "", "http://elsewhere.example/x.png", "data:text/html,x", "", "", "", ""]
    acts = [
        {**who, "name": name, "photoUrl": photo} for who, name, photo in zip(TWELVE[:8], names, photos, strict=True)
    ]
    await stage.play()
    message = board(acts, [9_007_199_254_740_993, 8, 7, 6, 5, 4, 3, 2])
    for row in message["results"]:
        row["voteCount"] = str(row["voteCount"])
    message["totalVotes"] = str(message["totalVotes"])
    await stage.say("STATE_UPDATE", state(acts, seconds=500, of=900))
    await stage.say("LIVE_RESULTS", message)
    await stage.say("SOMETHING_NEW", {"of": "a later server"})
    rows = {row["id"]: row for row in await at_rest(stage)}
    assert "<img src=x" in rows["row-c01"]["text"] and "9,007.2T" in rows["row-c01"]["text"]
    assert await stage.page.locator(".row img").count() == 0
    assert "ញឹម" in rows["row-c06"]["text"]  # who has no Latin name has a Khmer one
    await expect(stage.page.get_by_test_id("total")).to_have_text("9,007,199,254,741,028")
    lines = await stage.page.evaluate(
        "[...document.querySelectorAll('.row')].map((row) => [row.querySelector('.names').scrollHeight <= 60,"
        " row.querySelector('.name').getBoundingClientRect().right <= row.getBoundingClientRect().right])"
    )
    assert lines == [[True, True]] * 8
    await released(stage, acts, [1, 1, 1, 900, 1, 1, 1, 1], late=True)
    box = await stage.page.get_by_test_id("winner").bounding_box()
    assert box is not None and box["x"] + box["width"] <= SAFE[2] + 1
    assert stage.faults == []


async def test_a_photo_that_does_not_load_leaves_the_monogram(stage: StagePage) -> None:
    await stage.page.route("**/photos/**", lambda route: route.abort())
    await stage.play()
    await opened(stage, TWELVE, COUNTS)
    await expect(stage.page.locator(".row img")).to_have_count(0)
    await expect(stage.page.get_by_test_id("row-c02").locator(".portrait")).to_have_attribute("data-monogram", "CS")


async def test_an_embargo_is_kept_whatever_comes(stage: StagePage) -> None:
    await stage.play()
    await opened(stage, TWELVE, COUNTS, visibility="hidden")
    said = await stage.page.locator("#root").inner_html()
    for secret in ("1403", "1,403", "18.0", "7,790", "In the lead"):
        assert secret not in said
    assert "scaleX(0)" in said and "scaleX(0." not in await stage.page.locator(".rows").inner_html()
    assert [row["id"] for row in await at_rest(stage)] == [f"row-{who['id']}" for who in TWELVE]
    await expect(stage.page.get_by_test_id("total")).to_be_hidden()


# --- on air ---------------------------------------------------------------------------------------------------------


async def test_a_transparent_picture_can_be_keyed(stage: StagePage) -> None:
    nothing, column = (20, 20), (1500, 1000)
    await stage.play(transparent="1", motion="none")
    assert await alpha(stage.page, nothing, column) == [0, 0]  # no show: nothing at all
    await opened(stage, TWELVE, COUNTS)
    empty, full = await alpha(stage.page, nothing, column)
    assert (empty, full) == (0, 255)
    await stage.call("update", {"layout": "lower"})
    assert await alpha(stage.page, (960, 300), (300, 1000)) == [0, 255]
    await stage.call("update", {"layout": "side"})
    assert await alpha(stage.page, (960, 300), (1360, 70)) == [0, 255]
    await stage.call("stop")
    assert await alpha(stage.page, column, (1360, 70)) == [0, 0]
    await stage.call("play")
    await stage.call("update", {"transparent": False})
    assert await alpha(stage.page, nothing) == [255]


async def test_before_play_nothing_is_painted_and_in_a_shadow_root_it_looks_the_same(
    browser: Browser, site: str
) -> None:
    async with stage_page(browser, site, width=1280, height=720) as page:
        await page.page.evaluate(
            "async () => { const { Stage } = await import('/web/screen/stage.js');"
            " window.stage = new Stage(document.getElementById('root').attachShadow({ mode: 'open' }),"
            " { title: 'A Night', subtitle: 'Final', motion: 'none' }); await stage.ready; }"
        )
        assert await alpha(page.page, (640, 360)) == [0]
        await page.call("play")
        assert await alpha(page.page, (640, 360)) == [255]
        title = page.page.locator(".card-title")
        await expect(title).to_have_text("A Night")
        family, width = await title.evaluate(
            "(one) => [getComputedStyle(one).fontFamily, one.closest('.stage').getBoundingClientRect().width]"
        )
        assert "Archivo" in family and width == 1280
        await page.call("dispose")
        assert await page.page.evaluate("document.getElementById('root').shadowRoot.childElementCount") == 0


async def test_hours_of_boards_leave_nothing_behind(stage: StagePage) -> None:
    await stage.page.set_viewport_size({"width": 640, "height": 360})
    acts = line_up(60)
    await stage.play(motion="full")
    await stage.say("STATE_UPDATE", state(acts, seconds=500, of=900))
    counts = [board(acts, some_counts(60, seed)[:: 1 if seed % 2 else -1]) for seed in range(8)]
    measure = """async ([boards, times]) => {
      for (let n = 0; n < times; n += 1) {
        client.say("LIVE_RESULTS", boards[n % boards.length]);
        if (n % 9 === 0) stage.next();
        await new Promise((done) => requestAnimationFrame(done));
      }
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      return [document.querySelectorAll("*").length, client.listeners, document.querySelectorAll(".row").length];
    }"""
    first = await stage.page.evaluate(measure, [counts, 20])
    assert await stage.page.evaluate(measure, [counts, 90]) == first
    animations = await stage.page.evaluate("document.getAnimations().length")
    assert animations <= 3 * first[2] + 12  # a row's place, bar and coming in; the column's
    await stage.call("dispose")
    assert await stage.page.evaluate("[document.getElementById('root').childElementCount, client.listeners]") == [0, 0]
    assert await stage.page.evaluate("document.getAnimations().length") == 0


async def test_who_wants_no_motion_has_none(browser: Browser, site: str) -> None:
    async with stage_page(browser, site, reduced_motion="reduce") as page:
        await page.play()
        await opened(page, TWELVE, COUNTS[::-1])
        await opened(page, TWELVE, COUNTS)
        assert await page.page.evaluate("document.getAnimations().length") == 0
        await page.call("update", {"motion": "full"})  # a studio's machine may have its system's animations off
        await opened(page, TWELVE, COUNTS[::-1])
        assert await page.page.evaluate("document.getAnimations().length") > 0


async def test_a_host_sets_colours_and_a_rehearsal_is_marked(stage: StagePage) -> None:
    await stage.page.add_style_tag(content="#root { --stage-key: rgb(1 200 3) }")
    show = {"showId": "demo", "episode": 1, "title": "Voices of the Mekong: Live Show 1", "rehearsal": True}
    await stage.play(theme="light", title="Another Night", safe="1")
    await opened(stage, TWELVE, COUNTS, show=show)
    await expect(stage.page.get_by_test_id("rehearsal")).to_be_visible()
    await expect(stage.page.locator(".heading-title")).to_have_text("Another Night")
    bar = stage.page.get_by_test_id("row-c02").locator(".bar i")
    await expect(bar).to_have_css("background-color", "rgb(1, 200, 3)")
    assert await stage.page.locator(".safe.graphics").bounding_box() == {"x": 96, "y": 54, "width": 1728, "height": 972}


@pytest.mark.parametrize("theme", ["night", "light", "plain"])
async def test_nothing_stands_in_the_way_of_those_who_read_it_otherwise(stage: StagePage, theme: str) -> None:
    await stage.play(theme=theme, motion="none", director=True)
    await stage.say("STATE_UPDATE", state(TWELVE, "IDLE"))
    found = await findings(stage.page)
    await stage.say("STATE_UPDATE", state(TWELVE, "IDLE", performance=ACT))
    found += await findings(stage.page)
    await opened(stage, TWELVE, COUNTS)
    found += await findings(stage.page)
    if theme == "light":
        await shot(stage.page, "screen-light")
    await released(stage, TWELVE, COUNTS)
    for _ in range(12):
        await stage.call("next")
    found += await findings(stage.page)
    assert found == []
