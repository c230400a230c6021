"""The pages and their files as Starlette routes.

The files are few and small, so they are read once, hashed and compressed at start; a request touches no disk.
"""

from __future__ import annotations

import gzip
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clients.web.bundle import bundle

STATIC: Final = Path(__file__).parent / "static"
SDK: Final = Path(__file__).parent / "sdk"

PAGES: Final = {"/": "home.html", "/phone": "phone.html", "/screen": "screen.html", "/control": "control.html"}

TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".ograf.json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json; charset=utf-8",
    ".woff2": "font/woff2",
}
"""What is served, and as what, by how its name ends; a file of another kind is not served."""

SECURITY: Final = {
    # Photos are the one thing that may come from elsewhere: a show file names them by URL.
    "content-security-policy": "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: https:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cross-origin-opener-policy": "same-origin",
}

FOR_ANY_PAGE: Final = {
    # A graphics host imports modules, styles and fonts into a page of its own origin. They are the same bytes for
    # everybody and are asked for without cookies: nothing of the API's is opened by this.
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
}

GRAPHICS: Final = "graphics"
"""The folder whose pages a graphics host may put into a frame of its own: they hold nothing that can be pressed."""

INLINE: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)

REVALIDATE: Final = "no-cache"
"""Kept, but asked about each time: names carry no version, and a page must never meet the script of another deploy."""
FONT_CACHE: Final = "public, max-age=2592000"


FONT_FACE: Final = re.compile(rb"@font-face \{[^}]*\}\n+")


class File(Struct, frozen=True):
    """One file as it goes out. `packed` is its gzip form, or None where that would save nothing."""

    body: bytes
    packed: bytes | None
    headers: dict[str, str]


def kind_of(path: Path) -> str | None:
    """What `path` is served as; None when it is not served."""
    return next((kind for ending, kind in TYPES.items() if path.name.endswith(ending)), None)


def security(path: Path, body: bytes) -> dict[str, str]:
    """The headers that say what the page at `path` may do and who may use the file: pages are for this origin alone,
    what they are made of is for any. An inline script runs only as it stands in the file, by its hash."""
    if path.suffix != ".html":
        return {**SECURITY, **FOR_ANY_PAGE}
    policy = SECURITY["content-security-policy"]
    if path.parent.name == GRAPHICS:
        policy = policy.replace("; frame-ancestors 'self'", "")
    hashes = [f"'sha256-{b64encode(sha256(script).digest()).decode()}'" for script in INLINE.findall(body)]
    if hashes:
        policy += f"; script-src 'self' {' '.join(hashes)}"
    return {**SECURITY, "content-security-policy": policy}


def read(path: Path) -> File:
    """The file at `path`, ready to be served; its ETag is a hash of its bytes. Raises KeyError for a kind that is not
    served."""
    kind = kind_of(path)
    if kind is None:
        raise KeyError(path.name)
    body = path.read_bytes()
    return made(body, {
        "content-type": kind,
        "cache-control": FONT_CACHE if path.suffix == ".woff2" else REVALIDATE,
        "vary": "accept-encoding",
        **security(path, body),
    })


def made(body: bytes, headers: Mapping[str, str]) -> File:
    """A file of these bytes, packed where that is smaller."""
    packed = gzip.compress(body, 9, mtime=0)
    etag = f'"{sha256(body).hexdigest()[:20]}"'
    return File(body, packed if len(packed) < len(body) else None, {**headers, "etag": etag})


def respond(file: File, request: Request) -> Response:
    """`file`, or 304 when the client has it already; compressed when the client takes gzip."""
    tags = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if file.headers["etag"] in tags or "*" in tags:
        kept = {name: value for name, value in file.headers.items() if name != "content-type"}
        return Response(status_code=304, headers=kept)
    encodings = [part.partition(";") for part in request.headers.get("accept-encoding", "").lower().split(",")]
    takes_gzip = any(name.strip() == "gzip" and weight.strip() not in ("q=0", "q=0.0") for name, _, weight in encodings)
    if file.packed is not None and takes_gzip:
        # An ETag names the bytes of one encoding; the weak form says: the same page, packed.
        headers = {**file.headers, "etag": f"W/{file.headers['etag']}", "content-encoding": "gzip"}
        return Response(file.packed, headers=headers)
    return Response(file.body, headers=file.headers)


def phone(file: File, delays_ms: Mapping[str, int], playlist_origins: Sequence[str]) -> File:
    """The phone page with what the settings say of its viewers' streams: their delay by platform in its
    `<meta name="stream-delay-ms">`, and the hosts it may read HLS playlists from in its policy. Raises ValueError when
    the page has no such element, or more than one."""
    empty = b'<meta name="stream-delay-ms" content="">'
    if file.body.count(empty) != 1:
        raise ValueError("phone.html: expected one " + empty.decode())
    told = " ".join(f"{platform}={int(ms)}" for platform, ms in delays_ms.items())
    policy = file.headers["content-security-policy"].replace(
        "connect-src 'self'", " ".join(["connect-src 'self'", *playlist_origins])
    )
    body = file.body.replace(empty, empty.replace(b'content=""', f'content="{told}"'.encode()))
    return made(body, {**file.headers, "content-security-policy": policy})


def styles(theme: File, own: File) -> File:
    """The phone page's one stylesheet: the house look without its fonts, which weigh more than all, and its own."""
    return made(FONT_FACE.sub(b"", theme.body) + own.body, own.headers)


def worker(file: File, files: Mapping[str, File]) -> File:
    """The phone page's service worker, which is another one whenever a file that it keeps is."""
    kept = ("phone.html", "phone.css", "phone.js", "fonts/archivo-phone.woff2")
    version = sha256("".join(files[name].headers["etag"] for name in kept).encode()).hexdigest()[:12]
    body = file.body.replace(b'"phone-version"', f'"phone-{version}"'.encode())
    return made(body, {**file.headers, "service-worker-allowed": "/phone"})


def _page(file: File) -> Callable[[Request], Awaitable[Response]]:
    async def page(request: Request) -> Response:
        return respond(file, request)

    return page


def _read_all(folder: Path) -> dict[str, File]:
    """Every file of `folder` that is of a kind we serve, by its path in it."""
    return {
        path.relative_to(folder).as_posix(): read(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and kind_of(path)
    }


def routes(delays_ms: Mapping[str, int] | None = None, playlist_origins: Sequence[str] = ()) -> list[Route]:
    """`/`, `/phone`, `/screen`, `/control` and everything they need under `/web/`, the SDK under `/web/sdk/`.
    `delays_ms` and `playlist_origins` are told to the phone page, see `phone`; its script is one (`bundle`).

    Reads all files; raises OSError or KeyError if the package is incomplete, ValueError if the phone page cannot be
    made. Each answer carries an ETag, a strict Content-Security-Policy (no inline style, no inline script but one that
    is named by its hash) and nosniff. What is no page may be loaded by pages of any origin.
    """
    files = {**_read_all(STATIC), **{f"sdk/{name}": file for name, file in _read_all(SDK).items()}}
    files["phone.js"] = made(bundle("phone.js", lambda name: files[name].body), files["phone.js"].headers)
    files["phone.css"] = styles(files["theme.css"], files["phone.css"])
    files["phone.html"] = phone(files["phone.html"], delays_ms or {}, playlist_origins)
    files["phone/worker.js"] = worker(files["phone/worker.js"], files)
    pages = [Route(path, _page(files[name]), methods=["GET"]) for path, name in PAGES.items()]

    async def static(request: Request) -> Response:
        file = files.get(request.path_params["path"])
        if file is None:
            return Response("Not found.\n", 404, media_type="text/plain")
        return respond(file, request)

    return [*pages, Route("/web/{path:path}", static, methods=["GET"])]
