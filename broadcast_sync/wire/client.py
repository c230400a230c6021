"""Messages that clients send. Each is accepted flat or with its fields under `data`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

ClientId = Annotated[str, Meta(min_length=1, max_length=64)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]


class ClientMessage(Struct, frozen=True, rename="camel"):
    """Base of all messages to the server; `TYPE` is the wire's type."""

    TYPE: ClassVar[str]


class Auth(ClientMessage, frozen=True):
    """AUTH: a JWT; answered by AUTH_OK or ERROR."""

    TYPE: ClassVar[str] = "AUTH"
    token: Annotated[str, Meta(min_length=1, max_length=4096)]


class Position(Struct, frozen=True, rename="camel"):
    """Where a client last was in a channel."""

    epoch: Annotated[str, Meta(max_length=64)]
    offset: Annotated[int, Meta(ge=0, lt=2**53)]


class Subscribe(ClientMessage, frozen=True):
    """SUBSCRIBE: 1 to 64 channels, with the last known position of each where there is one."""

    TYPE: ClassVar[str] = "SUBSCRIBE"
    channels: Annotated[list[Name], Meta(min_length=1, max_length=64)]
    since: Annotated[dict[str, Position], Meta(max_length=64)] = {}


class Unsubscribe(ClientMessage, frozen=True):
    """UNSUBSCRIBE: answered by UNSUBSCRIBED for each channel."""

    TYPE: ClassVar[str] = "UNSUBSCRIBE"
    channels: Annotated[list[Name], Meta(min_length=1, max_length=64)]


class Vote(ClientMessage, frozen=True):
    """VOTE: one ballot. `id` is the client's own and makes a retry safe; `receipt` asks for a signed one in the answer.

    The upper bound of `voteCount` belongs to the ruleset, so that its refusal has the right code.
    """

    TYPE: ClassVar[str] = "VOTE"
    id: ClientId
    contestant_id: str
    vote_type: str = "free"
    vote_count: int = 1
    metadata: Raw | UnsetType = UNSET
    receipt: bool | UnsetType = UNSET


class Ping(ClientMessage, frozen=True):
    """PING: `t0` is the client's clock in milliseconds and comes back untouched."""

    TYPE: ClassVar[str] = "PING"
    t0: int | float


class RequestUpdate(ClientMessage, frozen=True):
    """REQUEST_UPDATE: the current STATE_UPDATE and LIVE_RESULTS, please."""

    TYPE: ClassVar[str] = "REQUEST_UPDATE"


class CueMessage(ClientMessage, frozen=True):
    """CUE: one signal of the control room. `data` is checked by the event it names.

    `take` takes it now, or at its label if that is to come; `arm` at its label, else at `timestamp`. Both, `cancel` (of
    an armed or a pending cue) and `confirm` (a pending one, by another person) mean the cue with this `cueId`. A cue
    that names a `showId` is for that show only.
    """

    TYPE: ClassVar[str] = "CUE"
    event: Annotated[str, Meta(min_length=1, max_length=64)]
    cue_id: ClientId | None = None
    timestamp: Annotated[str, Meta(max_length=64)] | None = None
    timecode: Annotated[str, Meta(max_length=32)] | None = None
    data: dict[str, Any] | None = None
    expected_revision: Annotated[int, Meta(ge=0, lt=2**53)] | None = None
    mode: Literal["take", "arm", "cancel", "confirm"] = "take"
    show_id: Annotated[str, Meta(max_length=64)] | None = None


class Head(Struct, frozen=True):
    """What is read first of any message: its type, its nested fields if it has them, and `ack`: how far the client has
    got in its channels, which any message may take along."""

    type: Annotated[str, Meta(min_length=1, max_length=64)]
    data: Raw | UnsetType = UNSET
    ack: Annotated[dict[str, Position], Meta(max_length=64)] | UnsetType = UNSET


def convert_data(data: dict[str, Any] | None, to: type[Any]) -> Any:
    """A cue's `data` as the Struct of its event; msgspec.ValidationError says what is wrong and where."""
    return msgspec.convert(data or {}, to)
