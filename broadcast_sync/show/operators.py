"""Who an HTTP request to the control room is by: a token with the role `control`, or a signature of the shared secret
(see signing.py)."""

from __future__ import annotations

from typing import Final, NamedTuple

from starlette.requests import Request

from broadcast_sync.bearer import Bearer
from broadcast_sync.clock import EngineClock
from broadcast_sync.settings import Settings
from broadcast_sync.show.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, check, cue_id_of
from broadcast_sync.tokens import Tokens

SCHEMES: Final = ("bearer", "signature")
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

    def admit(self, request: Request, body: bytes = b"") -> Operator:
        """Who asks. Raises Refusal UNAUTHENTICATED, TOKEN_EXPIRED or FORBIDDEN."""
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
