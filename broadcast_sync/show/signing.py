"""Signatures of cues over HTTP: HMAC-SHA256 over `timestamp + "." + body`, good for a short while. Pure.

`X-Signature-Timestamp` holds Unix seconds, `X-Signature` is `sha256=` and the digest in hexadecimal.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from typing import Final

from broadcast_sync.errors import Refusal

TIMESTAMP_HEADER: Final = "X-Signature-Timestamp"
SIGNATURE_HEADER: Final = "X-Signature"


def sign(secret: bytes, timestamp_s: int | str, body: bytes) -> str:
    """The value of `X-Signature`."""
    return "sha256=" + hmac.new(secret, f"{timestamp_s}.".encode() + body, hashlib.sha256).hexdigest()


def check(
    secret: bytes, timestamp: str, signature: str, body: bytes, now_ms: Collection[int], window_s: int
) -> None:
    """Raises Refusal UNAUTHENTICATED unless `signature` is right and `timestamp` within `window_s` of now, by one of
    the clocks that the sender may go by."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise Refusal("UNAUTHENTICATED", f"{TIMESTAMP_HEADER} must be Unix seconds.")
    expected = sign(secret, timestamp, body)
    if not hmac.compare_digest(expected.encode(), signature.strip().lower().encode("utf-8", "replace")):
        raise Refusal("UNAUTHENTICATED", "The signature is not right.")
    if min(abs(int(timestamp) * 1000 - one) for one in now_ms) > window_s * 1000:
        raise Refusal("UNAUTHENTICATED", f"The signature is more than {window_s} s old or ahead; check the clock.")


def cue_id_of(signature: str) -> str:
    """The cueId of a signed request without one: the same request again is the same cue."""
    return "sig-" + signature.strip().lower().removeprefix("sha256=")[:48]
