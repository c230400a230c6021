"""The graphics in their hosts: CasparCG, SPX, OGraf. Each host's calls in the order it makes them, in a real Chromium,
from pages of other origins; and in the order it should not make them."""

from __future__ import annotations

import asyncio
import json
import shutil
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser, FrameLocator, Page, expect

from tests.support.browser import chromium
from tests.support.process import ROOT, ServerProcess
from tests.support.site import site_of
from tests.support.viewer import Viewer

GRAPHICS: Final = ROOT / "clients" / "web" / "static" / "graphics"
HOSTS: Final = Path(__file__).parent / "graphics"
AWKWARD: Final = """Rock & Roll <b>"Live"</b> 'n' C:\\TV"""
pytestmark = [pytest.mark.browser, pytest.mark.timeout(60), pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A host's own web server: its pages, and the template copied into its folder."""
    folder = tmp_path_factory.mktemp("host")
    shutil.copytree(GRAPHICS, folder / "templates")
    shutil.copytree(HOSTS, folder, dirs_exist_ok=True)
    with site_of(folder) as address:
        yield address


class Show:
    """One server for the whole file, on which a show is on."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.url = server.url
        self.screen = server.tokens(1, role="screen")[0]
        self._voter = server.tokens(1)[0]
        server.cue_at_once("SHOW_START", {"showId": "demo", "episode": 1})

    @asynccontextmanager
    async def window(self, **fields: object) -> AsyncIterator[Window]:
        """A voting window of a test's own; when left it is closed, and its votes are counted."""
        await self.cue("VOTING_OPEN", {"duration": 600, "ruleset": "unlimited", **fields})
        window = Window(await self.voter(), self)
        await window.voter.expect("STATE_UPDATE", voting="OPEN")
        try:
            yield window
        finally:
            if not window.closed:
                await window.close()
            await window.voter.close()

    async def cue(self, event: str, data: dict[str, object] | None = None) -> dict[str, Any]:
        # two of a kind in one second are two
        return await asyncio.to_thread(self.server.cue_at_once, event, data, cueId=token_hex(8))

    async def release(self) -> None:
        """Until the result is certified, a release waits for a second person."""
        while (await self.cue("RESULTS_RELEASE")).get("pending"):  # noqa: ASYNC110 - nobody but the server is told
            await asyncio.sleep(0.2)

    async def voter(self) -> Viewer:
        return await Viewer.open(self.url, token=self._voter)


class Window:
    def __init__(self, voter: Viewer, show: Show) -> None:
        self.voter = voter
        self.closed = False
        self._show = show

    async def vote(self, contestant: str, count: int) -> None:
        answer = await self.voter.vote(token_hex(8), contestant, voteCount=count)
        assert answer["type"] == "VOTE_ACK", answer

    async def close(self) -> None:
        self.closed = True
        before = len(self.voter.seen("STATE_UPDATE", voting="CLOSED"))
        await self._show.cue("VOTING_CLOSE")
        await self.voter.expect("STATE_UPDATE", voting="CLOSED", after=before)


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory, site: str) -> Iterator[Show]:
    origins = json.dumps([site, "null", "file://"])
    server = ServerProcess(tmp_path_factory.mktemp("server") / "data", {"hub.allowed_origins": origins})
    server.start()
    yield Show(server)
    server.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def one_browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def page(one_browser: Browser) -> AsyncIterator[Page]:
    """A page that must not have thrown by the end."""
    context = await one_browser.new_context(viewport={"width": 640, "height": 360})
    opened = await context.new_page()
    thrown: list[str] = []
    opened.on("pageerror", lambda error: thrown.append(str(error)))
    yield opened
    await context.close()
    assert thrown == []


async def alpha(page: Page, x: int, y: int) -> int:
    """How opaque the picture is there, 0 to 255, as a mixer that keys it would have it."""
    png = await page.screenshot(omit_background=True, clip={"x": x, "y": y, "width": 1, "height": 1})
    if png[25] != 6:  # the colour type: without an alpha channel
        return 255
    data, at = b"", 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        data += png[at + 8 : at + 8 + length] if png[at + 4 : at + 8] == b"IDAT" else b""
        at += length + 12
    return zlib.decompress(data)[4]


def on(page: Page | FrameLocator, part: str) -> Any:
    return page.get_by_test_id(part)


def template_data(**fields: str) -> str:
    """As CasparCG's clients write it."""
    part = '<componentData id="{}"><data id="text" value="{}"/></componentData>'
    return f"<templateData>{''.join(part.format(*field) for field in fields.items())}</templateData>"


async def caspar(page: Page, command: str, data: str = "") -> None:
    """The script that CasparCG runs for an AMCP command (html_cg_proxy.cpp)."""
    quoted = data.strip(' "').replace('"', '\\"')
    scripts = {
        "CG ADD": f'update("{quoted}")', "CG UPDATE": f'update("{quoted}")', "CG PLAY": "play()", "CG NEXT": "next()",
        "CG STOP": "stop()", "CG REMOVE": "remove()",
    }
    await page.evaluate(f"() => {{ {scripts[command]}; }}")


async def test_casparcg_from_a_file(page: Page, show: Show, tmp_path: Path) -> None:
    folder = shutil.copytree(GRAPHICS, tmp_path / "template-path")
    await page.add_init_script("window.removed = 0; window.remove = () => { removed += 1; };")
    async with show.window() as window:
        await page.goto((folder / "spx.html").as_uri())
        await caspar(page, "CG ADD", template_data(server=show.url, title="Finale &amp; Finish"))
        await expect(page.locator(".stage")).to_be_attached()
        await expect(page.locator(".stage")).to_be_hidden()
        await caspar(page, "CG PLAY")
        await expect(on(page, "countdown")).to_contain_text("9:")
        await expect(page.locator(".stage")).to_contain_text("Finale & Finish")
        await window.vote("c07", 3)
        await expect(on(page, "row-c07")).to_contain_text("3")
        await caspar(page, "CG NEXT")
        await caspar(page, "CG UPDATE", json.dumps({"title": "The Last Round"}))
        await expect(page.locator(".stage")).to_contain_text("The Last Round")
        await caspar(page, "CG UPDATE", json.dumps({"title": "undefined"}))  # SPX's word for an empty field
        await expect(page.locator(".stage")).to_contain_text("Voices of the Mekong")
        await expect(on(page, "row-c07")).to_contain_text("3")
        await caspar(page, "CG STOP")
        await expect(page.locator(".stage")).to_be_hidden()
        await caspar(page, "CG PLAY")
        await expect(on(page, "row-c07")).to_be_visible()
        await caspar(page, "CG REMOVE")
        await expect(page.locator(".stage")).to_have_count(0)
        assert await page.evaluate("removed") == 1


async def test_spx_plays_updates_continues_and_stops(page: Page, show: Show, site: str) -> None:
    await page.goto(f"{site}/spx.html")
    layer = page.frame_locator("#layer3")
    fields = {"title": AWKWARD, "subtitle": "", "server": show.url, "token": "", "director": "1"}
    async with show.window() as window:
        await page.evaluate("(fields) => playTemplate(fields)", fields)
        await expect(on(layer, "countdown")).to_contain_text("9:")
        await expect(layer.locator(".stage")).to_contain_text(AWKWARD)
        assert await alpha(page, 1, 1) == 0
        await window.vote("c03", 5)
        await window.vote("c07", 4)
        await expect(on(layer, "row-c03")).to_contain_text("5")
        await page.evaluate("(fields) => updateTemplate(fields)", {**fields, "title": f"{AWKWARD}!"})
        await expect(layer.locator(".stage")).to_contain_text(f"{AWKWARD}!")
        await expect(on(layer, "row-c03")).to_contain_text("5")
        await page.evaluate("() => nextTemplate()")  # there is nothing to go on with yet
        await expect(on(layer, "row-c03")).to_be_visible()
        await window.close()
        await expect(layer.locator(".stage")).to_have_attribute("data-view", "reveal", timeout=20_000)
        for _ in range(14):  # more than there are places
            await page.evaluate("() => nextTemplate()")
        await expect(on(layer, "winner")).to_be_visible()
        await page.evaluate("(fields) => playTemplate(fields)", fields)  # for the result alone: loaded when that is out
        await expect(layer.locator(".stage")).to_have_attribute("data-view", "reveal")
        await expect(on(layer, "row-c03")).to_have_count(0)
        await page.evaluate("() => { for (let place = 0; place < 14; place += 1) nextTemplate(); }")
        await expect(on(layer, "winner")).to_be_visible()
        await page.evaluate("() => stopTemplate()")
        await expect(layer.locator(".stage")).to_be_hidden()


async def test_a_template_outlives_its_server(page: Page, show: Show, site: str) -> None:
    """Played while the server is away it comes on when that is back; cut off, it shows the last board and no word."""
    away = [True]
    await page.route("**/graphic.js*", lambda route: route.abort() if away[0] else route.continue_())
    await page.goto(f"{site}/spx.html")
    layer = page.frame_locator("#layer3")
    async with page.expect_event("requestfailed"):
        await page.evaluate("(server) => playTemplate({ server })", show.url)
    await expect(layer.locator(".stage")).to_have_count(0)
    away[0] = False
    async with show.window() as window:
        await window.vote("c05", 2)
        await expect(on(layer, "row-c05")).to_contain_text("2")
        rows = await layer.locator(".rows").inner_text()
        async with page.expect_event("websocket"):  # it tries again
            await asyncio.to_thread(show.server.kill)
        assert await layer.locator(".rows").inner_text() == rows
        assert "onnection" not in await layer.locator(".stage").inner_text()
        await asyncio.to_thread(show.server.start)
        window.voter = await show.voter()
        await window.vote("c05", 3)
        await expect(on(layer, "row-c05")).to_contain_text("5", timeout=20_000)


WRONG: Final[list[tuple[str, Any]]] = [
    ("stop", None), ("next", None), ("remove", None), ("update", ""), ("update", None), ("play", None),
    ("update", "<templateData><componentData"), ("update", "{no json"), ("update", "[1, 2]"), ("update", 7),
    ("update", {"server": "http://[nonsense"}), ("update", {"server": "http://127.0.0.1:1"}), ("next", None),
    ("play", None), ("play", None), ("stop", None), ("stop", None), ("remove", None), ("remove", None), ("next", None),
]


async def test_no_call_of_spx_or_casparcg_throws(page: Page, show: Show, site: str) -> None:
    """In the wrong order, with data that are none, and without a server; afterwards it plays as if nothing had been."""
    await page.goto(f"{site}/templates/spx.html")
    for name, given in WRONG:
        await page.evaluate("([name, given]) => { window[name](given); }", [name, given])
    await expect(page.locator(".stage")).to_have_count(0)
    async with show.window():
        await page.evaluate("(server) => { update({ server }); play(); stop(); next(); play(); }", show.url)
        await expect(on(page, "countdown")).to_contain_text("9:")
        await page.evaluate("() => { update('<'); stop(); }")
        await expect(page.locator(".stage")).to_be_hidden()
        await page.goto(f"{show.url}/web/graphics/spx.html")  # by its address, it knows where it is from
        await page.evaluate("() => { update(''); play(); stop(); }")
        await expect(page.locator(".stage")).to_be_hidden()
        await page.evaluate("() => play()")
        await expect(on(page, "countdown")).to_contain_text("9:")


async def test_spx_reads_the_definition_without_running_anything_else(page: Page, site: str) -> None:
    """SPX imports a template in a DOM that loads no file beside it: the definition must stand in the page."""
    await page.route("**/spx.js", lambda route: route.abort())
    await page.goto(f"{site}/templates/spx.html")
    definition = await page.evaluate("() => window.SPXGCTemplateDefinition")
    assert {"description", "playserver", "playchannel", "playlayer", "webplayout", "out"} <= set(definition)
    assert definition["dataformat"] == "json"
    assert int(definition["webplayout"]) <= 5 and int(definition["steps"]) >= 2
    for field in definition["DataFields"]:
        assert field["ftype"] in {"textfield", "dropdown", "divider", "instruction"}
        if "items" in field:
            assert field["value"] in [item["value"] for item in field["items"]]


async def ograf(page: Page, method: str, **params: object) -> tuple[int, Any]:
    """The status and the step that the Graphic answers; a step is only told of by playAction."""
    answer = await page.evaluate("([method, params]) => call(method, params)", [method, params])
    assert answer["hasStep"] == (method == "playAction")
    if params.get("skipAnimation"):
        assert answer["moving"] == 0
    return answer["statusCode"], answer.get("currentStep")


async def test_ograf_from_load_to_dispose(page: Page, show: Show, site: str) -> None:
    await page.goto(f"{site}/ograf.html")
    manifest = await page.evaluate("(url) => prepare(url)", f"{show.url}/web/graphics/board.ograf.json")
    assert manifest["stepCount"] == -1
    data = {"title": "Grand final", "director": True}
    for method in ("playAction", "stopAction", "updateAction"):
        assert await ograf(page, method, data=data) == (409, None)  # before load
    assert await ograf(page, "load", data=data, renderType="non-realtime") == (400, None)
    async with show.window() as window:
        assert await ograf(page, "load", data=data, renderType="realtime") == (200, None)
        await expect(page.locator(".stage")).to_be_hidden()
        assert await ograf(page, "playAction") == (200, 0)
        await expect(on(page, "countdown")).to_contain_text("9:")
        await window.vote("c01", 4)
        await window.vote("c02", 3)
        await expect(on(page, "row-c01")).to_contain_text("4")
        live = {"title": "Grand final, live", "layout": "side"}
        assert await ograf(page, "updateAction", data=live, skipAnimation=True) == (200, None)
        await expect(page.locator(".stage")).to_contain_text("Grand final, live")
        assert await ograf(page, "updateAction", data="garbage") == (400, None)
        assert await ograf(page, "customAction", id="unknown", payload={}) == (404, None)
        await window.close()
        await expect(page.locator(".stage")).to_have_attribute("data-view", "reveal", timeout=20_000)
        assert await ograf(page, "playAction") == (200, 1)
        assert await ograf(page, "playAction", goto=0) == (409, 1)  # what is told is told
        code, step = await ograf(page, "playAction", goto=30, skipAnimation=True)
        assert code == 200 and 1 < step < 30
        await expect(page.locator(".stage")).to_have_attribute("data-view", "final")
        assert await ograf(page, "stopAction", skipAnimation=True) == (200, None)
        await expect(page.locator(".stage")).to_be_hidden()
        assert await page.evaluate("() => unload()") == {"statusCode": 200, "statusMessage": "OK"}


async def test_ograf_packed_into_the_renderers_folder(page: Page, show: Show, site: str) -> None:
    await page.goto(f"{site}/ograf.html")
    await page.evaluate("(url) => prepare(url)", f"{site}/templates/board.ograf.json")
    for data, code in ((None, 400), ({}, 400), ({"server": "http://127.0.0.1:1"}, 503), ({"server": "nonsense"}, 400)):
        assert await ograf(page, "load", data=data) == (code, None)
    assert await ograf(page, "playAction") == (409, None)
    here = {"server": show.url, "view": "title", "title": "Packed"}
    await page.route("**/graphic.js*", lambda route: route.abort(), times=1)
    assert await ograf(page, "load", data=here) == (503, None)  # and then it is there
    assert await page.evaluate("(data) => check(data)", here) == [200] * 5
    assert await ograf(page, "load", data=here) == (200, None)
    assert await ograf(page, "playAction", data=here) == (200, 0)  # SPX gives the data again
    await expect(page.locator(".stage")).to_contain_text("Packed")
    await page.evaluate("() => unload()")
    await expect(page.locator(".stage")).to_have_count(0)


@pytest.mark.parametrize("visibility", ["screens", "hidden"])
async def test_no_count_before_its_release(page: Page, show: Show, site: str, visibility: str) -> None:
    """Counts for screens alone need a token of that role, which the host gives; hidden ones are shown to nobody."""
    await page.goto(f"{site}/spx.html")
    layer = page.frame_locator("#layer3")
    async with show.window(visibility=visibility) as window:
        await page.evaluate("(server) => playTemplate({ server, director: '0' })", show.url)
        await expect(on(layer, "row-c08")).to_be_visible()
        await window.vote("c08", 4711)
        await page.evaluate("(token) => updateTemplate({ token })", show.screen)
        if visibility == "screens":
            await expect(on(layer, "row-c08")).to_contain_text("4,711")
        await window.close()
        if visibility == "hidden":
            await expect(on(layer, "state")).to_contain_text("closed")
            assert "4,711" not in await layer.locator(".stage").inner_html()
        await show.release()
        await expect(layer.locator(".stage")).to_contain_text("4,711", timeout=20_000)


async def test_a_browser_source_of_obs(page: Page, show: Show) -> None:
    """It plays by itself, keyed, and is the same after OBS has refreshed it: that reloads the address it has then."""
    async with show.window(visibility="screens") as window:
        await page.goto(f"{show.url}/screen?transparent=1&layout=lower#token={show.screen}")
        await window.vote("c08", 4711)
        for _ in range(2):
            await expect(on(page, "row-c08")).to_contain_text("100.0%")
            await expect(on(page, "countdown")).to_be_visible()
            assert await alpha(page, 320, 100) == 0
            await page.reload()
        await page.goto(f"{show.url}/screen?layout=lower#token={show.screen}")
        await expect(on(page, "row-c08")).to_contain_text("100.0%")
        assert await alpha(page, 320, 100) == 255
