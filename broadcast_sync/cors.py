"""Which pages of other origins may use the HTTP API: those that may open sockets, `[hub] allowed_origins`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from broadcast_sync.errors import Refusal
from broadcast_sync.http import refusal_response

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
SENT: Final = (
    "Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "X-App-Version", "X-Device-ID",
)
"""Headers that a page may send beside those that any may."""
SHOWN: Final = ("Allow", "ETag", "Retry-After")
"""Headers of an answer that a page may read beside those that any may."""


class Cors(CORSMiddleware):
    """Starlette's, with refusals as everywhere else. No cookie is ever asked for or believed: who asks says who they
    are by a token."""

    def preflight_response(self, request_headers: Headers) -> Response:
        response = super().preflight_response(request_headers)
        if response.status_code == 200:
            return response
        refusal = refusal_response(Refusal("FORBIDDEN", bytes(response.body).decode()))
        refusal.headers["Vary"] = response.headers["Vary"]
        return refusal


def named_origins(allowed: Sequence[str]) -> list[str]:
    """The origins of a setting as browsers say them: in lower case, without a slash at the end ("file://" has two)."""
    return [form for one in map(str.lower, allowed) for form in (one, one.removesuffix("/"))]


def cors(origins: Sequence[str]) -> list[Middleware]:
    """What lets pages of `origins` in, "*" for any; nothing where none is named."""
    if not origins:
        return []
    return [Middleware(
        Cors, allow_origins=named_origins(origins), allow_methods=METHODS, allow_headers=SENT, expose_headers=SHOWN,
    )]
