"""What makes the phone page installable, and what the server tells it."""

from __future__ import annotations

import json
import re
import struct
import zlib

import pytest

from clients.web.icons import FOLDER, SIZES, rows
from clients.web.routes import STATIC, TYPES, made, phone, read, styles, worker


def chunks(png: bytes) -> dict[bytes, bytes]:
    found, at = {}, 8
    while at < len(png):
        [length] = struct.unpack_from(">I", png, at)
        found[png[at + 4 : at + 8]] = png[at + 8 : at + 8 + length]
        at += 12 + length
    return found


@pytest.mark.parametrize("size", SIZES)
def test_icons_are_what_the_command_draws_and_small(size: int) -> None:
    icon = (FOLDER / f"icon-{size}.png").read_bytes()
    assert zlib.decompress(chunks(icon)[b"IDAT"]) == rows(size)
    assert len(icon) < 5_000


def test_the_manifest_names_icons_of_the_size_it_says() -> None:
    manifest = json.loads((STATIC / "phone" / "manifest.webmanifest").read_text("utf-8"))
    for icon in manifest["icons"]:
        head = chunks((STATIC / icon["src"].removeprefix("/web/")).read_bytes())[b"IHDR"]
        width, height = struct.unpack(">II", head[:8])
        assert icon["sizes"] == f"{width}x{height}"
    assert {icon["purpose"] for icon in manifest["icons"]} == {"any", "maskable"}
    assert ".webmanifest" in TYPES


def test_the_page_is_told_delays_and_the_hosts_of_playlists() -> None:
    plain = read(STATIC / "phone.html")
    told = phone(plain, {"ios": 28_000, "android": 0, "web": 0}, ["https://cdn.example"])
    assert b'<meta name="stream-delay-ms" content="ios=28000 android=0 web=0">' in told.body
    assert "connect-src 'self' https://cdn.example ws: wss:" in told.headers["content-security-policy"]
    assert "cdn.example" not in plain.headers["content-security-policy"]
    assert told.headers["etag"] != plain.headers["etag"]
    with pytest.raises(ValueError, match="expected one"):
        phone(told, {}, [])


def test_the_worker_is_another_one_when_a_file_that_it_keeps_is() -> None:
    plain = {name: read(STATIC / name) for name in
             ("phone.html", "phone.css", "phone.js", "fonts/archivo-phone.woff2", "phone/worker.js")}
    first = worker(plain["phone/worker.js"], plain)
    assert b'"phone-version"' not in first.body
    assert first.headers["service-worker-allowed"] == "/phone"
    assert worker(plain["phone/worker.js"], plain).body == first.body
    plain["phone.css"] = made(b"body {}", plain["phone.css"].headers)
    assert worker(plain["phone/worker.js"], plain).body != first.body
    listed = re.search(rb"FILES = (\[[^]]*\])", first.body)
    assert listed is not None
    assert json.loads(listed[1]) == [
        "/phone", "/web/phone.css", "/web/phone.js", "/web/fonts/archivo-phone.woff2",
    ]  # fmt: skip


def test_the_phones_styles_are_the_houses_without_its_fonts() -> None:
    sheet = styles(read(STATIC / "theme.css"), read(STATIC / "phone.css")).body.decode()
    assert re.findall(r'url\("([^"]+)"\)', sheet) == ["/web/fonts/archivo-phone.woff2"]
    assert sheet.index("--key: ") < sheet.index(".timer {")
    assert sheet.count("{") == sheet.count("}")
