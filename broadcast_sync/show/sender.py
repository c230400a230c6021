"""Signed requests to a server's control room, from a terminal or a script; blocking, and with the standard library
alone."""

from __future__ import annotations

import time
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import msgspec
from msgspec import Struct

from broadcast_sync.settings import Settings
from broadcast_sync.show.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

TIMEOUT_S: Final = 10.0
ANSWER_BYTES: Final = 1_048_576


class Unreachable(Exception):
    """No server answered, or something that is not ours did."""


class Answer(Struct, frozen=True):
    """What the server said: `body` is the data of CUE_ACK with status 200, an error otherwise."""

    status: int
    body: dict[str, Any]

    @property
    def accepted(self) -> bool:
        return self.status == 200


def base_url(settings: Settings) -> str:
    """Where the server of these settings is reached from its own machine."""
    host = settings.server.host
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.server.port}"


def send(url: str, secret: bytes, cue: dict[str, Any]) -> Answer:
    """Signs `cue` and posts it to the server at `url`. Raises Unreachable; the cue may then have been taken, and
    sending the same cueId again is safe."""
    return ask(url, secret, "POST", "/control/cues", cue)


def ask(url: str, secret: bytes, method: str, path: str, content: dict[str, Any] | None = None) -> Answer:
    """Signs a request to `path` of the server at `url` and sends it, `content` as JSON. Raises Unreachable; what was
    asked may then have been done."""
    body = b"" if content is None else msgspec.json.encode(content)
    timestamp = int(time.time())
    headers = {
        "Content-Type": "application/json",
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: sign(secret, timestamp, body),
    }
    try:
        request = Request(f"{url.rstrip('/')}{path}", body or None, headers, method=method)
        # no proxy: the control room's own network, and the environment's proxy would not know it
        with build_opener(ProxyHandler({})).open(request, timeout=TIMEOUT_S) as response:
            return Answer(response.status, _object(response.read(ANSWER_BYTES)))
    except HTTPError as error:
        with error:
            return Answer(error.code, _object(error.read(ANSWER_BYTES)))
    except (OSError, HTTPException, ValueError) as error:
        raise Unreachable(f"{url}: {error}") from None


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        raise ValueError("the answer is not that of a broadcast-sync server") from None
    if found.keys().isdisjoint(("code", "cueId", "rundown", "state")):
        raise ValueError("the answer is not that of a broadcast-sync server")
    return found
