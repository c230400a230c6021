"""The pages and their files: what is served, how it is cached, and what it may load."""

from __future__ import annotations

import gzip
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from clients.web.routes import PAGES, SDK, STATIC, kind_of, read, respond, routes


def request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": raw, "query_string": b""})


def test_all_pages_and_their_files_are_routed() -> None:
    assert [route.path for route in routes()] == [*PAGES, "/web/{path:path}"]


def test_a_known_etag_is_answered_with_304_and_no_body() -> None:
    file = read(SDK / "index.js")
    for tag in (file.headers["etag"], f"W/{file.headers['etag']}", f'"other", {file.headers["etag"]}', "*"):
        response = respond(file, request(if_none_match=tag))
        assert (response.status_code, response.body) == (304, b"")
    assert respond(file, request(if_none_match='"other"')).status_code == 200


@pytest.mark.parametrize(("accepts", "packed"), [("gzip, br", True), ("br", False), ("gzip;q=0", False), ("", False)])
def test_compressed_only_for_who_takes_it(accepts: str, packed: bool) -> None:
    file = read(STATIC / "phone.js")
    response = respond(file, request(accept_encoding=accepts))
    assert response.headers.get("content-encoding") == ("gzip" if packed else None)
    assert (gzip.decompress(bytes(response.body)) if packed else response.body) == file.body


@pytest.mark.parametrize("name", PAGES.values())
def test_pages_keep_to_their_own_policy(name: str) -> None:
    html = (STATIC / name).read_text("utf-8")
    assert "content-security-policy" in read(STATIC / name).headers
    assert not re.search(r"<script(?![^>]*\ssrc=)", html), "no inline script"
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=", html), "no inline style, no inline handler"


def test_pages_are_for_their_own_origin_and_what_they_are_made_of_is_for_any() -> None:
    for path in (*STATIC.rglob("*"), *SDK.rglob("*")):
        if path.is_file() and kind_of(path):
            headers = read(path).headers
            assert headers.get("access-control-allow-origin") == (None if path.suffix == ".html" else "*"), path
            assert "access-control-allow-credentials" not in headers, path


@pytest.mark.parametrize(("folder", "framed"), [("graphics", True), ("static", False)])
def test_a_graphics_host_may_frame_a_template_and_nobody_a_page(folder: str, framed: bool, tmp_path: Path) -> None:
    path = tmp_path / folder / "page.html"
    path.parent.mkdir()
    path.write_text("<!doctype html>")
    policy = read(path).headers["content-security-policy"]
    assert ("frame-ancestors" not in policy) == framed
    assert "script-src" not in policy and "object-src 'none'" in policy


def test_an_inline_script_runs_as_it_stands_in_the_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text('<script src="/a.js"></script><script>alert(1)</script>')
    digest = b64encode(sha256(b"alert(1)").digest()).decode()
    assert read(path).headers["content-security-policy"].endswith(f"; script-src 'self' 'sha256-{digest}'")


def test_what_has_no_type_is_not_served(tmp_path: Path) -> None:
    manifest, package = tmp_path / "board.ograf.json", tmp_path / "package.json"
    for path in (manifest, package):
        path.write_text("{}")
    assert read(manifest).headers["content-type"] == "application/json"
    with pytest.raises(KeyError, match=r"package\.json"):
        read(package)


def test_nothing_comes_from_another_host() -> None:
    elsewhere = re.compile(r"""(src|href|url|import|from)\s*[=(]?\s*["'(]*(https?:)?//""")
    for path in (*STATIC.rglob("*"), *SDK.rglob("*")):
        if path.suffix in {".html", ".css", ".js"}:
            assert not elsewhere.search(path.read_text("utf-8")), path


def test_every_file_a_page_names_is_there() -> None:
    named = {
        match
        for path in STATIC.rglob("*")
        if path.suffix in {".html", ".css", ".js"}
        for match in re.findall(r"/web/([a-z0-9./-]+\.[a-z0-9]+)", path.read_text("utf-8"))
    }
    assert "sdk/index.js" in named
    for name in named:
        file = SDK.parent / name if name.startswith("sdk/") else STATIC / name
        assert kind_of(file)
        assert file.is_file(), name


async def test_no_way_out_of_the_folder() -> None:
    app = Starlette(routes=routes())
    for path in ("/web/../routes.py", "/web/sdk/package.json", "/web/", "/web/none.js"):
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, object], sent: list[dict[str, object]] = sent) -> None:
            sent.append(message)

        scope: dict[str, object] = {
            "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "headers": [],
            "query_string": b"", "root_path": "", "http_version": "1.1", "scheme": "http", "server": ("test", 80),
        }
        await app(scope, receive, send)  # type: ignore[arg-type]  # plain dicts are what ASGI's types stand for
        assert sent[0]["status"] == 404, path
