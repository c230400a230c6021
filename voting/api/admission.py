"""Who is let in over HTTP: the token, then the user's requests a minute, then the address's.

A whole town may share one address behind its carrier's NAT. So every request counts for its address, but an address
that is over its limit costs only those who prove nobody: a voter with a valid token is held to the user's limit alone.
"""

from __future__ import annotations

from time import monotonic
from typing import Final

from starlette.requests import Request

from broadcast_sync.bearer import REFUSES, Bearer
from broadcast_sync.errors import Refusal
from broadcast_sync.settings import Api
from broadcast_sync.tokens import Identity
from voting.api.limits import Buckets, network_of


class Admission:
    """A guard of the table of routes. The address is the connection's, or that of a proxy which uvicorn trusts."""

    schemes: Final = ("bearer",)
    refuses: Final = (*REFUSES, "RATE_LIMIT")

    def __init__(self, bearer: Bearer, settings: Api) -> None:
        self._bearer = bearer
        self._users = Buckets(settings.user_requests_per_minute, settings.remembered_max)
        self._addresses = Buckets(settings.address_requests_per_minute, settings.remembered_max)

    def admit(self, request: Request) -> Identity:
        """Whose request it is. Raises Refusal UNAUTHENTICATED, TOKEN_EXPIRED, FORBIDDEN or RATE_LIMIT."""
        now_s = monotonic()
        wait_s = self._addresses.take(network_of(request.client.host if request.client else ""), now_s)
        try:
            identity = self._bearer.admit(request)
        except Refusal:
            if wait_s > 0:
                raise Refusal("RATE_LIMIT", retry_after=wait_s) from None
            raise
        wait_s = self._users.take(identity.user_id, now_s)
        if wait_s > 0:
            raise Refusal("RATE_LIMIT", retry_after=wait_s)
        return identity
