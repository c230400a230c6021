"""Who an HTTP request to the control room is by: a token with the role `control`, or a signature of the shared secret
(see signing.py). What is refused before it comes to the cue log has its line in the server's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic_ns
from typing import Final, NamedTuple

import structlog
from starlette.requests import Request

from broadcast_sync.bearer import Bearer
from broadcast_sync.clock import EngineClock
from broadcast_sync.errors import Refusal
from broadcast_sync.settings import Settings
from broadcast_sync.show.pace import Pace
from broadcast_sync.show.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, check, cue_id_of
from broadcast_sync.tokens import Tokens

log = structlog.get_logger()

SCHEMES: Final = ("bearer", "signature")
LINES_PER_SECOND: Final = 5.0
"""Refusals that get a line; of a flood the rest is only answered."""
SIGNED_BY: Final = "signature"
"""Who a signed cue is by, in the cue log: the holder of the secret."""


class Operator(NamedTuple):
    """Who asks, with what roles, and the cueId that a signature stands for. The holder of the secret is no person, so
    has no role to confirm with."""

    by: str
    roles: frozenset[str]
    cue_id: str | None


class Operators:
    """Lets operators in, at every door the same way."""

    def __init__(self, tokens: Tokens, secret: bytes, clock: EngineClock, settings: Settings) -> None:
        self._bearer = Bearer(tokens, settings.show.organisation, "control")
        self._secret = secret
        self._clock = clock
        self._window_s = settings.control.signature_window_s
        self._lines = Pace(LINES_PER_SECOND)

    def admit(self, request: Request, body: bytes = b"") -> Operator:
        """Who asks. Raises Refusal UNAUTHENTICATED, TOKEN_EXPIRED or FORBIDDEN, each with its line."""
        with self.noting(request, ""):
            return self._admit(request, body)

    @contextmanager
    def noting(self, request: Request, by: str) -> Iterator[None]:
        """A line in the log for a Refusal that leaves the block; `by` is empty for whoever has proved nothing."""
        try:
            yield
        except Refusal as refusal:
            if self._worth_a_line():
                log.warning(
                    "control_request_refused", path=request.url.path, by=by, code=refusal.code, reason=refusal.message,
                    address=request.client.host if request.client else "",
                )
            raise

    def _worth_a_line(self) -> bool:
        try:
            self._lines.take("", monotonic_ns() // 1_000_000)
        except Refusal:
            return False
        return True

    def _admit(self, request: Request, body: bytes) -> Operator:
        signature = request.headers.get(SIGNATURE_HEADER)
        if signature is None:
            identity = self._bearer.admit(request)
            return Operator(identity.user_id, identity.roles, None)
        timestamp = request.headers.get(TIMESTAMP_HEADER, "")
        now_ms = self._clock.now_ms()
        # while a step of the engine's clock is held off, the sender's may be on either side of it
        times = {now_ms, now_ms - self._clock.held_ms}
        check(self._secret, timestamp, signature, body, times, self._window_s)
        return Operator(SIGNED_BY, frozenset(), cue_id_of(signature))
