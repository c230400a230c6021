"""`POST /auth/guest`: tokens for the pages that we serve, so that a newcomer can press a button at once.

Off by default. With `auth.guests = "users"` anybody may have a token of role `user` or `screen`; with "all" of
role `control` too, which is refused at the start unless the server is bound to loopback.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from broadcast_sync.clock import Clock
from broadcast_sync.errors import Refusal, StartError
from broadcast_sync.http import json_response, read_body, refusal_response
from broadcast_sync.hub.limits import Limit
from broadcast_sync.ids import uuid7
from broadcast_sync.settings import Settings
from broadcast_sync.tokens import Tokens
from broadcast_sync.wire.times import iso

PER_SECOND: Final = 200.0
BURST: Final = 2_000
MOST: Final = 1_000
"""Tokens one request may ask for; a rehearsal needs a few hundred."""


class GuestRequest(Struct, frozen=True, forbid_unknown_fields=True):
    role: Literal["user", "screen", "control"] = "user"
    count: Annotated[int, Meta(ge=1, le=MOST)] | None = None


def check_guests(settings: Settings) -> None:
    """Raises StartError when guests could get the control room from another machine."""
    if settings.auth.guests == "all" and not settings.loopback:
        raise StartError(
            f'auth.guests = "all" gives away the control room and {settings.server.host} is not loopback; '
            'set auth.guests to "users" or "none"'
        )


class Guests:
    """Signs guest tokens, at most `PER_SECOND` of them a second over the whole process."""

    def __init__(self, settings: Settings, tokens: Tokens, clock: Clock) -> None:
        self._settings = settings
        self._tokens = tokens
        self._clock = clock
        self._limit = Limit(PER_SECOND, BURST)
        self._level = 0.0

    def routes(self) -> list[Route]:
        return [Route("/auth/guest", self._answer, methods=["POST"])]

    async def _answer(self, request: Request) -> Response:
        try:
            body = await read_body(request, 1024)
            try:
                asked = msgspec.json.decode(body or b"{}", type=GuestRequest)
            except msgspec.DecodeError as error:
                raise Refusal("BAD_MESSAGE", str(error)) from None
            return json_response(self._grant(asked))
        except Refusal as refusal:
            return refusal_response(refusal)

    def _grant(self, asked: GuestRequest) -> dict[str, object]:
        allowed = self._settings.auth.guests
        if allowed == "none" or (allowed == "users" and asked.role == "control"):
            raise Refusal("FORBIDDEN", "Guests get no token here; sign in with the app's own account.")
        now = self._clock.now_ms()
        level = self._limit.spend(self._level, now / 1000, asked.count or 1)
        excess = self._limit.excess(level, now / 1000)
        if excess > 0:
            raise Refusal("RATE_LIMIT", retry_after=excess)
        self._level = level
        expires_s = now // 1000 + self._settings.auth.token_ttl_s
        names = [f"guest-{uuid7()}" for _ in range(asked.count or 1)]
        organisation = self._settings.show.organisation
        made = [self._tokens.sign(name, organisation, [asked.role], expires_s) for name in names]
        shared = {"roles": [asked.role], "expiresAt": iso(expires_s * 1000)}
        if asked.count is None:
            return {"token": made[0], "userId": names[0], **shared}
        return {"tokens": made, "userIds": names, **shared}
