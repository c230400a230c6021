"""`GET /api/v1/keys`: the public half of the key that signs tokens, certificates and receipts, as a JWKS (RFC 7517)."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from broadcast_sync.api import Answer, Endpoint, endpoint
from broadcast_sync.signatures import Signer

CACHE_S: Final = 300
MEDIA: Final = "application/jwk-set+json"


class KeySet(Struct, frozen=True):
    """JSON Web Keys (RFC 8037: OKP, Ed25519); `kid` is the RFC 7638 thumbprint."""

    keys: list[dict[str, Any]]


class Keys:
    """The same answer for everybody, needing no engine. Keep a copy before a key is replaced: what the old one signed
    is checked with it."""

    def __init__(self, signer: Signer) -> None:
        self._body = msgspec.json.encode(signer.jwks())

    def endpoints(self) -> list[Endpoint]:
        return [
            endpoint(
                "GET", "/api/v1/keys", "The server's public keys", self._keys, tag="operations",
                answers={200: Answer(KeySet, "What certificates and receipts are checked with.", media=MEDIA)},
            )
        ]

    async def _keys(self, request: Request) -> Response:
        return Response(self._body, headers={"Cache-Control": f"public, max-age={CACHE_S}"}, media_type=MEDIA)
