from __future__ import annotations

import asyncio
import http.client
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from clients.load.target import parse_target
from clients.load.tokens import GuestTokens, NoTokens
from clients.python.control import ControlDesk, sign
from clients.python.errors import ClientError, Refused, Unconfirmed
from clients.python.post import post

SECRET = b"0123456789abcdef0123456789abcdef"
ACK = b'{"cueId":"c","revision":4,"executedAt":"t","latenessMs":0,"replayed":false}'


def answer(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, len(body), body)


class Door:
    """An HTTP server that answers each request with the next of `answers`; None cuts the connection."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in head[1:] if line)
        self.requests.append((fields, await reader.readexactly(int(fields["Content-Length"]))))
        writer.write(self.answers.pop(0) or b"")
        writer.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Door]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self


async def test_a_cue_is_signed() -> None:
    async with Door(answer(200, ACK)).open() as door:
        ack = await ControlDesk(door.url, SECRET + b"\n").cue("VOTING_OPEN", {"duration": 9}, expected_revision=3)
        assert ack.revision == 4
        [(fields, body)] = door.requests
        timestamp = int(fields["X-Signature-Timestamp"])
        assert sign(SECRET, timestamp, body)["X-Signature"] == fields["X-Signature"]
        cue = msgspec.json.decode(body)
        assert (cue["event"], cue["data"], cue["expectedRevision"]) == ("VOTING_OPEN", {"duration": 9}, 3)
        assert len(cue["cueId"]) == 32


async def test_a_cut_connection_and_a_busy_server_get_the_same_cue_again() -> None:
    busy = answer(503, b'{"code":"TRY_AGAIN","message":"m","retryable":true}')
    async with Door(None, busy, answer(200, ACK)).open() as door:
        await ControlDesk(door.url, SECRET).cue("SHOW_END", cue_id="mine")
        assert len({body for _, body in door.requests}) == 1 and len(door.requests) == 3


async def test_a_refusal_says_why() -> None:
    stale = answer(409, b'{"code":"STALE_REVISION","message":"moved on","retryable":false,"revision":7}')
    async with Door(stale).open() as door:
        with pytest.raises(Refused) as refused:
            await ControlDesk(door.url, SECRET).cue("SHOW_END")
    assert (refused.value.code, refused.value.revision) == ("STALE_REVISION", 7)


async def test_whoever_is_no_server_of_ours() -> None:
    async with Door(answer(200, b"<html>")).open() as door:
        with pytest.raises(ClientError, match="answered 200"):
            await ControlDesk(door.url, SECRET).cue("SHOW_END")


@pytest.mark.parametrize(("url", "sent"), [("http://127.0.0.1:1", False)])
async def test_nobody_answers(url: str, sent: bool) -> None:
    with pytest.raises(Unconfirmed) as unconfirmed:
        await ControlDesk(url, SECRET).cue("SHOW_END", within_s=0.0)
    assert unconfirmed.value.sent is sent


async def test_post_reads_what_http_may_send() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    async with Door(chunked, b"nonsense\r\n\r\n").open() as door:
        assert (await post(door.url, b"", {})).body == b"abc"
        with pytest.raises(http.client.HTTPException):
            await post(door.url, b"", {})


@pytest.mark.parametrize("broken", [
    lambda: post("ftp://x", b"", {}), lambda: post("http://127.0.0.1:1", b"", {"X": "a\r\nY: b"}),
])
async def test_post_refuses(broken: Callable[[], AsyncIterator[None]]) -> None:
    with pytest.raises(ValueError, match=r"expected http|line break"):
        await broken()  # type: ignore[misc]  # a lambda of a coroutine function


async def test_guests() -> None:
    two = answer(200, b'{"tokens":["a","b"],"userIds":[]}')
    async with Door(answer(429, b""), two, answer(403, b"")).open() as door:
        guests = GuestTokens(parse_target(door.url))
        assert await guests.take(2) == ["a", "b"]
        assert msgspec.json.decode(door.requests[0][1]) == {"role": "user", "count": 2}
        with pytest.raises(NoTokens, match="403"):
            await guests.take(1)
