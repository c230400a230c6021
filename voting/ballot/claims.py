"""Claims: what a ballot wants to use up. The script takes every claim of a ballot or none."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

COUNTER: Final = 1
"""A fixed counter: what was used before plus `cost` may not exceed `limit`."""
RATE: Final = 2
"""A rate (GCRA): `limit` a period, all of it at once after a rest, then one every `period_ms / limit`."""


class Claim(Struct, frozen=True, gc=False):
    """`cost` out of `limit` of one voter's counter `counter` within `scope`; one `scope` is one book of the voter.

    `expiry_ms` (Unix milliseconds) is until when it must be remembered; `period_ms` is a RATE's. `code` is the
    refusal when the claim fails; `shows`, if not empty, the name under which an answer tells what is left of it.
    """

    kind: int
    counter: str
    scope: str
    cost: int
    limit: int
    expiry_ms: int
    code: str
    shows: str = ""
    period_ms: int = 0
