"""One HTTP POST on asyncio streams, with the standard library alone: small JSON in, small JSON out."""

from __future__ import annotations

import asyncio
import http.client
import io
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

ANSWER_BYTES: Final = 4 * 1024 * 1024


class Answer(Struct, frozen=True):
    """Status, and the body as it came."""

    status: int
    body: bytes


class _Received:
    """Looks enough like a socket for http.client to parse what has arrived."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._content)


async def post(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float = 10.0) -> Answer:
    """Posts `body` as JSON on a connection of its own; can be cancelled at any moment.

    Raises OSError when there is no connection (TimeoutError after `timeout_s`), http.client.HTTPException for an
    answer that is no HTTP, ValueError for an URL that is not http or https.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.hostname is None:
        raise ValueError(f"{url}: expected http:// or https://")
    secure = ssl.create_default_context() if parts.scheme == "https" else None
    port = parts.port or (443 if secure else 80)
    fields = {
        "Host": parts.netloc.rpartition("@")[2], "Content-Type": "application/json",
        "Content-Length": str(len(body)), "Connection": "close", **headers,
    }
    if any(character in text for pair in fields.items() for text in pair for character in "\r\n"):
        raise ValueError("a header cannot hold a line break")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=secure)
        try:
            writer.write(f"POST {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
            content = await _read(reader)
        finally:
            writer.close()
    response = http.client.HTTPResponse(_Received(content))  # type: ignore[arg-type]  # only makefile is used
    with response:
        response.begin()
        return Answer(response.status, response.read())


async def _read(reader: asyncio.StreamReader) -> bytes:
    content = bytearray()
    while chunk := await reader.read(65536):
        content += chunk
        if len(content) > ANSWER_BYTES:
            raise http.client.HTTPException(f"the answer is longer than {ANSWER_BYTES} bytes")
    return bytes(content)
