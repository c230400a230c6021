"""Where voters get their tokens: from the server, as guests, or out of a file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from clients.load.target import Target
from clients.python.post import post

GUESTS_A_REQUEST: Final = 500
AGAIN_S: Final = 1.0


class NoTokens(Exception):
    """The server gives guests no tokens; the text says what to do."""


class _Guests(Struct):
    tokens: list[str]


class GuestTokens:
    """Fresh voters of `POST /auth/guest`."""

    def __init__(self, target: Target) -> None:
        self._url = target.http("/auth/guest")

    async def take(self, count: int) -> list[str]:
        """`count` tokens of voters who have never voted. Waits while the server asks to. Raises NoTokens, OSError,
        http.client.HTTPException."""
        tokens: list[str] = []
        while len(tokens) < count:
            body = msgspec.json.encode({"role": "user", "count": min(GUESTS_A_REQUEST, count - len(tokens))})
            answer = await post(self._url, body, {})
            if answer.status in (429, 503):
                await asyncio.sleep(AGAIN_S)
                continue
            if answer.status != 200:
                raise NoTokens(f"guests get no tokens here ({answer.status}); set [auth] guests, or give --tokens FILE")
            tokens += msgspec.json.decode(answer.body, type=_Guests).tokens
        return tokens


class _Line(Struct):
    token: str


class TokenFile:
    """Voters out of a file of AUTH messages: the next ones each time, from the beginning when it is at its end."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as lines:
            self._tokens = [msgspec.json.decode(line, type=_Line).token for line in lines if line.strip()]
        if not self._tokens:
            raise ValueError(f"{path}: no tokens in it")
        self._next = 0

    async def take(self, count: int) -> list[str]:
        """The next `count` tokens, or all there are."""
        taken = [self._tokens[(self._next + i) % len(self._tokens)] for i in range(min(count, len(self._tokens)))]
        self._next += len(taken)
        return taken
