"""Signed cues over HTTP: what a Companion button, an automation or a script sends.

`X-Signature: sha256=HEX` is HMAC-SHA256 over `X-Signature-Timestamp` (Unix seconds), a full stop and the body.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import http.client
import time
from typing import Any, Final
from uuid import uuid4

import msgspec
from msgspec import Struct

from broadcast_sync.wire.server import CueAck
from clients.python.errors import ClientError, Refused, Unconfirmed
from clients.python.post import post

PATH: Final = "/control/cues"
ATTEMPT_S: Final = 2.0
PAUSE_S: Final = 0.3


def sign(secret: bytes, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that prove `body` to have been sent by who holds `secret`, at `timestamp` (Unix seconds). Pure."""
    digest = hmac.new(secret, str(timestamp).encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"X-Signature-Timestamp": str(timestamp), "X-Signature": f"sha256={digest}"}


class _Refusal(Struct, frozen=True, rename="camel"):
    code: str
    message: str = ""
    retryable: bool = False
    retry_after: float | None = None
    revision: int | None = None


class ControlDesk:
    """Gives cues to the server at `url` (http:// or https://) with the control secret, as its file has it."""

    def __init__(self, url: str, secret: bytes) -> None:
        self._url = url.rstrip("/") + PATH
        self._secret = secret.strip()

    async def cue(
        self, event: str, data: dict[str, Any] | None = None, *, cue_id: str | None = None,
        expected_revision: int | None = None, within_s: float = 5.0,
    ) -> CueAck:
        """Gives one cue, again with the same cueId while there is no answer, for at most `within_s`.

        Raises Refused with the protocol's code (nothing was changed), Unconfirmed when no answer came in time,
        ClientError when whoever answers is no broadcast-sync server.
        """
        cue_id = cue_id or uuid4().hex
        cue: dict[str, Any] = {"cueId": cue_id, "event": event, "data": data or {}}
        if expected_revision is not None:
            cue["expectedRevision"] = expected_revision
        body = msgspec.json.encode(cue)
        until = time.monotonic() + within_s
        sent = False
        while True:
            try:
                return await self._ask(body)
            except ConnectionRefusedError:
                pass  # nobody listens: it was not sent
            except (OSError, http.client.HTTPException):
                sent = True
            except Refused as refused:
                if not refused.retryable:
                    raise
                sent = True
            if time.monotonic() + PAUSE_S > until:
                raise Unconfirmed(cue_id, sent=sent)
            await asyncio.sleep(PAUSE_S)

    async def _ask(self, body: bytes) -> CueAck:
        headers = sign(self._secret, int(time.time()), body)
        answer = await post(self._url, body, headers, ATTEMPT_S)
        try:
            if answer.status == 200:
                return msgspec.json.decode(answer.body, type=CueAck)
            refusal = msgspec.json.decode(answer.body, type=_Refusal)
        except msgspec.DecodeError:
            raise ClientError(f"{self._url} answered {answer.status} and nothing a cue is answered with") from None
        raise Refused(
            refusal.code, refusal.message, retryable=refusal.retryable, retry_after=refusal.retry_after,
            revision=refusal.revision,
        )
