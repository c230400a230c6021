"""`POST /auth/guest`: tokens for the pages that we serve, so that a newcomer can press a button at once.

Off by default. With `auth.guests = "users"` anybody may have a token of role `user`; with "all" of the roles `screen`
and `control` too, which see counts that are not public: that is refused at the start unless the server is bound to
loopback.
"""

from __future__ import annotations

from time import monotonic
from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.requests import Request

from broadcast_sync.api import Answer, Endpoint, endpoint
from broadcast_sync.clock import Clock
from broadcast_sync.errors import Refusal, StartError
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


class Granted(Struct, frozen=True, rename="camel"):
    """`token` and `userId`, or `tokens` and `userIds` when a `count` was asked for."""

    roles: list[str]
    expires_at: str
    token: str | UnsetType = UNSET
    user_id: str | UnsetType = UNSET
    tokens: list[str] | UnsetType = UNSET
    user_ids: list[str] | UnsetType = UNSET


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

    def endpoints(self) -> list[Endpoint]:
        return [endpoint(
            "POST", "/auth/guest", "Tokens for the pages, where auth.guests allows it", self._answer, tag="auth",
            body=GuestRequest, body_bytes=1024, body_required=False, example=GuestRequest(),
            answers={200: Answer(Granted, "Signed with the server's own key.")}, refuses=("FORBIDDEN", "RATE_LIMIT"),
        )]

    async def _answer(self, request: Request, body: GuestRequest) -> Granted:
        return self._grant(body)

    def _grant(self, asked: GuestRequest) -> Granted:
        allowed = self._settings.auth.guests
        if allowed == "none" or (allowed == "users" and asked.role != "user"):
            raise Refusal("FORBIDDEN", "Guests get no token here; sign in with the app's own account.")
        now = monotonic()
        level = self._limit.spend(self._level, now, asked.count or 1)
        excess = self._limit.excess(level, now)
        if excess > 0:
            raise Refusal("RATE_LIMIT", retry_after=excess)
        self._level = level
        expires_s = self._clock.now_ms() // 1000 + self._settings.auth.token_ttl_s
        names = [f"guest-{uuid7()}" for _ in range(asked.count or 1)]
        organisation = self._settings.show.organisation
        made = [self._tokens.sign(name, organisation, [asked.role], expires_s) for name in names]
        roles: list[str] = [asked.role]
        expires_at = iso(expires_s * 1000)
        if asked.count is None:
            return Granted(roles, expires_at, token=made[0], user_id=names[0])
        return Granted(roles, expires_at, tokens=made, user_ids=names)
