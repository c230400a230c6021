"""ActionCable's protocol, `actioncable-v1-json`: what its clients send, what they are sent, and the formats. PURE.

Several subscriptions share a socket. A client names each by an identifier, a JSON text of its own making, and gets it
back, character for character, around every message of that subscription.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from broadcast_sync.wire.codecs import JSON
from broadcast_sync.wire.deflate import Deflate
from broadcast_sync.wire.delivery import Delivery
from broadcast_sync.wire.formats import WORTH_BYTES, Format, Plain
from broadcast_sync.wire.frames import RSV1, TEXT, frame
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import Envelope

SUBPROTOCOL: Final = "actioncable-v1-json"
CHANNEL: Final = "VotingChannel"

# --- what clients send ------------------------------------------------------------------------------------


class Command(Struct, frozen=True):
    """`subscribe`, `unsubscribe`, or `message` with an action (as a JSON text) in `data`."""

    command: str
    identifier: str
    data: str | UnsetType = UNSET


class Params(Struct, frozen=True):
    """What an identifier says: a channel and what of it. Empty is as good as absent; what else it says is nobody's
    business but the client's."""

    channel: str
    episode_id: int | str | None = None
    contestant_id: int | str | None = None


class Action(Struct, frozen=True):
    """What `perform` sends: the action's name beside its own fields."""

    action: str
    episode_id: int | str | None = None


decode_command: Final = msgspec.json.Decoder(Command).decode
decode_params: Final = msgspec.json.Decoder(Params).decode
decode_action: Final = msgspec.json.Decoder(Action).decode

# --- what they are sent -----------------------------------------------------------------------------------


class ContestantVotes(Struct, frozen=True):
    """One contestant of `initial_results` and `results_update`; the figures are null while they may not be told."""

    id: str
    name: str
    khmer_name: str
    photo_url: str
    hometown: str
    votes: int | None
    percentage: float | None
    rank: int | None


class EpisodeResults(Struct, frozen=True):
    """The data of `initial_results` and `results_update`. `voting_end` is null when no window is known, `total_votes`
    while it may not be told; `unique_voters`, an estimate, and `vote_breakdown`, `free_votes` and the like, as long as
    they are not known as well."""

    episode_id: int
    episode_number: int
    total_votes: int | None
    voting_active: bool
    voting_end: str | None
    contestants: list[ContestantVotes]
    last_updated: str
    unique_voters: int | None = None
    vote_breakdown: dict[str, int] | None = None


class VoteUpdate(Struct, frozen=True):
    """The data of `vote_update`."""

    episode_id: int
    votes: int
    percentage: float
    rank: int


class RecentBallot(Struct, frozen=True):
    """A ballot of a moment ago. `user_name` is masked; `time_ago` is in words."""

    user_name: str
    vote_count: int
    vote_type: str
    time_ago: str


class DetailedUpdate(Struct, frozen=True):
    """The data of `detailed_update`. `recent_votes` are the last ballots, newest first; `trending` is `hot`, `rising`,
    `stable` or `falling`."""

    contestant_id: str
    episode_id: int
    total_votes: int
    percentage: float
    recent_votes: list[RecentBallot]
    trending: str


WELCOME: Final = frame(TEXT, b'{"type":"welcome"}')


def confirmation(identifier: str) -> bytes:
    return _frame({"identifier": identifier, "type": "confirm_subscription"})


def rejection(identifier: str) -> bytes:
    return _frame({"identifier": identifier, "type": "reject_subscription"})


def disconnect(reason: str, reconnect: bool) -> bytes:
    """The last message of a connection: these clients take no notice of close codes."""
    return _frame({"type": "disconnect", "reason": reason, "reconnect": reconnect})


def _frame(message: dict[str, Any]) -> bytes:
    return frame(TEXT, msgspec.json.encode(message))


class Broadcast(Prepared):
    """A message for many on the cable: `json` as it is on the connection, or what goes inside of an identifier.

    Always newest-only.
    """

    __slots__ = ()

    def __init__(self, type: str, json: bytes, channel: str | None) -> None:
        self.type = type
        self.delivery = Delivery.NEWEST_ONLY
        self.channel = channel
        self.epoch = None
        self.offset = None
        self.data_json = b""
        self._payloads = {JSON: json}
        self._frames = {}


def message(type: str, data: Struct, channel: str | None = None) -> Broadcast:
    """A message of VotingChannel."""
    return Broadcast(type, b'{"type":"%b","data":%b}' % (type.encode(), msgspec.json.encode(data)), channel)


def ping(now_s: int) -> Broadcast:
    """The heartbeat of every connection; a client that has none for 6 s connects anew."""
    return Broadcast("ping", b'{"type":"ping","message":%d}' % now_s, None)


# --- formats ----------------------------------------------------------------------------------------------


class Cable(Plain):
    """The connection itself: heartbeats. It is told nothing of protocol version 1."""

    __slots__ = ()

    def reply(self, envelope: Envelope) -> bytes:
        return b""


class Addressed(Format):
    """A subscription: its messages with its identifier around them. All subscriptions of all sockets with the same
    identifier have the same one.

    Identifiers are the clients' own making, and there may be as many as there are subscriptions: frames are kept, and
    compressed if the sockets have agreed to it, only while the format is `shared`.
    """

    __slots__ = ("_deflate", "_head", "identifier", "shared")

    def __init__(self, identifier: str, deflate: Deflate | None) -> None:
        super().__init__(JSON)
        self.identifier: Final = identifier
        self.shared = False
        self._head = b'{"identifier":%b,"message":' % msgspec.json.encode(identifier)
        self._deflate = deflate

    def frame(self, prepared: Prepared) -> bytes:
        payload = self._head + prepared.json + b"}"
        if self._deflate is not None and self.shared and len(payload) >= WORTH_BYTES:
            return frame(TEXT | RSV1, self._deflate(payload))
        return frame(TEXT, payload)

    def reply(self, envelope: Envelope) -> bytes:
        return b""


CABLE: Final = Cable(JSON)

SUBPROTOCOLS: Final[dict[str | None, Plain]] = {None: CABLE, SUBPROTOCOL: CABLE}
"""The cable's subprotocol, which older clients do not ask for."""
