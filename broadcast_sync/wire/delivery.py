"""The delivery class of each message type the server sends: what a slow or returning socket gets of it."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Delivery(IntEnum):
    """MUST_ARRIVE: in order, replayed on reconnect, overflow closes. NEWEST_ONLY: replaced, never queued.
    REPLY: in order, the client asks again with the same id."""

    MUST_ARRIVE = 0
    NEWEST_ONLY = 1
    REPLY = 2


DELIVERY: Final[dict[str, Delivery]] = {
    "WELCOME": Delivery.REPLY,
    "AUTH_OK": Delivery.REPLY,
    "SUBSCRIBED": Delivery.REPLY,
    "UNSUBSCRIBED": Delivery.REPLY,
    "PONG": Delivery.REPLY,
    "VOTE_ACK": Delivery.REPLY,
    "CUE_ACK": Delivery.REPLY,
    "ERROR": Delivery.REPLY,
    "RECONNECT": Delivery.REPLY,
    "STATE_UPDATE": Delivery.MUST_ARRIVE,
    "VOTING_OPEN": Delivery.MUST_ARRIVE,
    "VOTING_CLOSED": Delivery.MUST_ARRIVE,
    "WARNING": Delivery.MUST_ARRIVE,
    "RESULTS_READY": Delivery.MUST_ARRIVE,
    "SLOT_DECIDED": Delivery.MUST_ARRIVE,
    "TIME_UPDATE": Delivery.NEWEST_ONLY,
    "COUNTDOWN": Delivery.NEWEST_ONLY,
    "LIVE_RESULTS": Delivery.NEWEST_ONLY,
    "VOTE_UPDATE": Delivery.NEWEST_ONLY,
    "CONTESTANT_UPDATE": Delivery.NEWEST_ONLY,
    "TALLY": Delivery.NEWEST_ONLY,
}
