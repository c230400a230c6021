"""Who an HTTP request is by: the Bearer token, its role and its organisation."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

from broadcast_sync.errors import Refusal
from broadcast_sync.tokens import Identity, Tokens

REFUSES: Final = ("UNAUTHENTICATED", "TOKEN_EXPIRED", "FORBIDDEN")


class Bearer:
    """Lets in who holds `role` (or `admin`) in `organisation`. A guard of the table of routes."""

    schemes: Final = ("bearer",)
    refuses: Final = REFUSES

    def __init__(self, tokens: Tokens, organisation: str, role: str) -> None:
        self._tokens = tokens
        self._organisation = organisation
        self._role = role

    def admit(self, request: Request) -> Identity:
        """The identity of the token. Raises Refusal UNAUTHENTICATED, TOKEN_EXPIRED or FORBIDDEN."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refusal("UNAUTHENTICATED", f"Send a token with the role {self._role}.")
        identity = self._tokens.check(token.strip())
        if not identity.has(self._role):
            raise Refusal("FORBIDDEN", f"This needs the role {self._role}.")
        if identity.organisation != self._organisation:
            raise Refusal("FORBIDDEN", "The token is of another organisation.")
        return identity
