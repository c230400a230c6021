"""Every code a socket is closed with: what it means, and whether the client should come back.

4000-4499 mean reconnect (with jitter), 4500-4999 do not. Nothing is closed with a code that is not in this table.
"""

from __future__ import annotations

from typing import Final, NamedTuple

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
UNSUPPORTED_DATA: Final = 1003
NO_STATUS: Final = 1005
ABNORMAL: Final = 1006
INVALID_DATA: Final = 1007
TOO_BIG: Final = 1009
DRAINING: Final = 4000
SLOW_CONSUMER: Final = 4001
NO_PONG: Final = 4002
EXPIRED: Final = 4003
LOST_POSITION: Final = 4004
SERVER_ERROR: Final = 4005
INVALID_TOKEN: Final = 4500
TOO_MANY_BAD: Final = 4501
FORBIDDEN: Final = 4502
CONNECTION_LIMIT: Final = 4503
AUTH_TIMEOUT: Final = 4504
REMOVED: Final = 4505


class Close(NamedTuple):
    """`reason` goes over the wire; `reconnect` is the advice to the client; `expected` ends are not news."""

    reason: str
    reconnect: bool
    expected: bool = False


CLOSES: Final[dict[int, Close]] = {
    NORMAL: Close("normal", False, expected=True),
    GOING_AWAY: Close("going away", True, expected=True),
    PROTOCOL_ERROR: Close("protocol error", False),
    UNSUPPORTED_DATA: Close("unsupported data", False),
    NO_STATUS: Close("no status", True, expected=True),
    ABNORMAL: Close("connection lost", True, expected=True),
    INVALID_DATA: Close("invalid UTF-8", False),
    TOO_BIG: Close("frame too big", False),
    DRAINING: Close("draining", True, expected=True),
    SLOW_CONSUMER: Close("slow consumer", True),
    NO_PONG: Close("no pong", True),
    EXPIRED: Close("token expired", True),
    LOST_POSITION: Close("lost position", True),
    SERVER_ERROR: Close("server error", True),
    INVALID_TOKEN: Close("invalid token", False),
    TOO_MANY_BAD: Close("too many bad messages", False),
    FORBIDDEN: Close("forbidden", False),
    CONNECTION_LIMIT: Close("connection limit", False),
    AUTH_TIMEOUT: Close("authentication timeout", False),
    REMOVED: Close("removed by an operator", False),
}


def advice(code: int) -> bool:
    """True if a client closed with `code` should reconnect. Unknown codes follow their range: 4500-4999 do not."""
    known = CLOSES.get(code)
    return known.reconnect if known is not None else not 4500 <= code <= 4999


def expected(code: int) -> bool:
    """True for ends that need no attention: people leave, phones lose their network, servers drain."""
    known = CLOSES.get(code)
    return known is not None and known.expected
