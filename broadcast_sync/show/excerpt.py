"""PURE: how much of a long list a message carries. The rest is read over HTTP, by page.

A show may have 5,000 contestants: their line-up is a megabyte, and every change of the show would send it twice to
every socket. A message says with `contestantCount` how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from broadcast_sync.signatures import canonical
from broadcast_sync.wire.server import ResultsReady

MOST: Final = 200
"""Contestants that a message lists at most: the first of a line-up, the best of a result."""
MOST_BYTES: Final = 65_536
"""Bytes of JSON that such a list may have, and a certificate: names and photos may be long."""

SUMMARY: Final = "broadcast-sync/certificate-summary/1"
SUMMED: Final = (
    "windowId", "recount", "tallyTotal", "ledgerTotal", "voidedTotal", "refusedTotal", "voters", "certifiedAt", "keyId",
)
"""What a summary says of its certificate, in the same words."""

T = TypeVar("T", bound=Struct)


def excerpt(items: Sequence[T]) -> list[T]:
    """The first of `items`, as many as a message may list. None is left out of one that fits."""
    listed = list(items[:MOST])
    if len(msgspec.json.encode(listed)) <= MOST_BYTES:
        return listed
    size = 2
    for count, item in enumerate(listed):
        size += len(msgspec.json.encode(item)) + 1
        if size > MOST_BYTES:
            return listed[:count]
    return listed


def results_told(results: ResultsReady) -> ResultsReady:
    """A result as a message has it: the best of its rows, and instead of a large certificate a summary that says where
    the certificate is and what the SHA-256 of its bytes there is."""
    return replace(
        results, results=excerpt(results.results), contestant_count=len(results.results),
        certificate=_told(results.window_id, results.certificate),
    )


def _told(window_id: str, certificate: dict[str, Any]) -> dict[str, Any]:
    if len(msgspec.json.encode(certificate)) <= MOST_BYTES:
        return certificate
    return {
        "format": SUMMARY,
        **{key: certificate[key] for key in SUMMED if key in certificate},
        "at": f"/api/v1/results/{window_id}/certificate",
        "sha256": sha256(canonical(certificate)).hexdigest(),
    }
