"""What an OSC packet asks, and what it is answered. Pure.

    /broadcast-sync/cue/EVENT    [take number] [key value]...          take it
    /broadcast-sync/arm/EVENT    take number, label, [key value]...    take it at that timecode
    /broadcast-sync/cancel/EVENT take number                           take back what is armed

The keys are those of the cue's data. In a bundle with a time tag to come, `cue` is armed for that instant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isfinite
from typing import Any, Final, Literal

from msgspec import Struct
from pythonosc.osc_message import OscMessage, ParseError
from pythonosc.osc_message_builder import OscMessageBuilder
from pythonosc.parsing import osc_types

from broadcast_sync.control.osc_frames import PACKET_BYTES
from broadcast_sync.errors import Refusal
from broadcast_sync.show.cues import take_id
from broadcast_sync.wire.client import CueMessage
from broadcast_sync.wire.server import CueAck
from broadcast_sync.wire.times import iso

ROOT: Final = "/broadcast-sync"
BUNDLE: Final = b"#bundle\0"
DEPTH: Final = 8
"""Bundles within bundles."""
MESSAGES: Final = 32
"""Messages in one packet."""
TAGS: Final = frozenset("ifhdsTF[]")
"""Type tags whose arguments a cue can use."""
AT_ONCE: Final = 1
"""The time tag that means now."""
EPOCH_S: Final = 2_208_988_800
"""From the NTP epoch, 1900, to the Unix epoch."""
TAKE_MOST: Final = 999_999

_address: Final = re.compile(r"/broadcast-sync/(cue|arm|cancel)/([A-Z][A-Z_]{0,47})")


class BadPacket(Exception):
    """It cannot be read; nobody is answered."""


class Asked(Struct, frozen=True):
    """One message: the cue it asks for, or why not. `name` is what a refusal calls it."""

    name: str
    cue: CueMessage | None
    refusal: Refusal | None = None


def read(packet: bytes, now_ms: int) -> list[Asked]:
    """What a packet asks, in order. Raises BadPacket."""
    if len(packet) > PACKET_BYTES:
        raise BadPacket(f"{len(packet)} bytes; {PACKET_BYTES} are taken")
    found: list[Asked] = []
    for message, tag in _messages(packet, AT_ONCE, DEPTH):
        if len(found) == MESSAGES:
            raise BadPacket(f"more than {MESSAGES} messages")
        found.append(_asked(message, tag, now_ms))
    return found


def acknowledged(cue: CueMessage, ack: CueAck) -> bytes:
    """`/broadcast-sync/ack`: cueId, what has become of it (taken, armed, pending, cancelled), the show's revision, the
    lateness in ms, 1 if it is the first answer again."""
    became = "cancelled" if cue.mode == "cancel" else "taken"
    became = "armed" if ack.armed is True else "pending" if ack.pending is True else became
    lateness_ms = max(-(2**31), min(2**31 - 1, ack.lateness_ms))
    return _packet("ack", ack.cue_id, became, ack.revision & 0x7FFFFFFF, lateness_ms, int(ack.replayed))


def refused(name: str, refusal: Refusal) -> bytes:
    """`/broadcast-sync/error`: cueId (EVENT alone without a take number; the address if that is wrong), code,
    message."""
    return _packet("error", name, refusal.code, refusal.message)


def _packet(kind: Literal["ack", "error"], *values: str | int) -> bytes:
    builder = OscMessageBuilder(f"{ROOT}/{kind}")
    for value in values:
        builder.add_arg(value.replace("\0", " ") if isinstance(value, str) else value)
    return bytes(builder.build().dgram)


def _messages(packet: bytes, tag: int, depth: int) -> Iterator[tuple[OscMessage, int]]:
    """The messages of a packet, each with the time tag of its bundle."""
    if not packet.startswith(BUNDLE):
        yield _message(packet), tag
        return
    if depth == 0:
        raise BadPacket(f"bundles more than {DEPTH} deep")
    if len(packet) < 16:
        raise BadPacket("a bundle without a time tag")
    tag, at = int.from_bytes(packet[8:16], "big"), 16
    while at < len(packet):
        size = int.from_bytes(packet[at : at + 4], "big")
        at += 4
        if size == 0 or size % 4 or at + size > len(packet):
            raise BadPacket("an element whose size is wrong")
        yield from _messages(packet[at : at + size], tag, depth - 1)
        at += size


def _message(packet: bytes) -> OscMessage:
    if not packet.startswith(b"/"):
        raise BadPacket("neither a message nor a bundle")
    if len(packet) % 4:
        raise BadPacket("a size that is no multiple of 4")
    try:
        _, at = osc_types.get_string(packet, 0)
        tags, at = osc_types.get_string(packet, at) if at < len(packet) else (",", at)
        # the library would pass over what it does not know, and shift what follows
        if not tags.startswith(",") or not TAGS.issuperset(tags[1:]):
            raise BadPacket("arguments that a cue cannot have; numbers, strings, true, false and arrays are taken")
        return OscMessage(packet)
    except (ParseError, osc_types.ParseError, UnicodeDecodeError) as error:
        raise BadPacket(f"no OSC message: {error}") from None


def _asked(message: OscMessage, tag: int, now_ms: int) -> Asked:
    name = message.address[:128]
    try:
        found = _address.fullmatch(message.address)
        if found is None:
            raise Refusal("UNSUPPORTED", f"There is {ROOT}/cue/EVENT, {ROOT}/arm/EVENT and {ROOT}/cancel/EVENT.")
        mode, event = found[1], found[2]
        values = [_plain(value) for value in message.params]
        number = values.pop(0) if values and type(values[0]) in (int, float) else None
        if number is not None and not (type(number) is int and 0 <= number <= TAKE_MOST):
            raise Refusal("BAD_MESSAGE", f"A take number is a whole number from 0 to {TAKE_MOST}.")
        cue_id = name = event if number is None else take_id(event, number)
        if number is None and (mode != "cue" or tag != AT_ONCE):
            raise Refusal("BAD_MESSAGE", "What is to be taken later needs a take number, or nobody can cancel it.")
        cue = _cue(mode, event, None if number is None else cue_id, values)
        return Asked(name, _timed(cue, tag, now_ms))
    except Refusal as refusal:
        return Asked(name, None, refusal)


def _cue(mode: str, event: str, cue_id: str | None, values: list[Any]) -> CueMessage:
    if mode == "cancel":
        if values:
            raise Refusal("BAD_MESSAGE", "A cancellation has a take number and nothing else.")
        return CueMessage(event, cue_id=cue_id, mode="cancel")
    label = values.pop(0) if mode == "arm" and values else None
    if mode == "arm" and not (isinstance(label, str) and 0 < len(label) <= 32):
        raise Refusal("BAD_MESSAGE", "Behind the take number comes the timecode, as a string.")
    keys = values[::2]
    if len(values) % 2 or not all(isinstance(key, str) for key in keys) or len(set(keys)) < len(keys):
        raise Refusal("BAD_MESSAGE", "Arguments are pairs of a key and a value, each key once.")
    data = dict(zip(keys, values[1::2], strict=True))
    return CueMessage(event, cue_id=cue_id, timecode=label, data=data, mode="arm" if mode == "arm" else "take")


def _timed(cue: CueMessage, tag: int, now_ms: int) -> CueMessage:
    """The cue at the time tag of its bundle. What was due before now is taken now, and its lateness says so."""
    if tag == AT_ONCE:
        return cue
    at_ms = (tag * 1000 >> 32) - EPOCH_S * 1000
    later = at_ms > now_ms
    if cue.mode != "take" and later:
        raise Refusal("BAD_MESSAGE", "Only cue can be timed by its bundle; send arm and cancel for now.")
    if cue.mode != "take" or at_ms <= 0:
        return cue
    return CueMessage(
        cue.event, cue_id=cue.cue_id, timestamp=iso(at_ms), data=cue.data, mode="arm" if later else "take"
    )


def _plain(value: Any) -> Any:
    """Numbers that are whole are integers: many controllers know floats only. Raises Refusal for what is no number."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, float):
        return value
    if not isfinite(value):
        raise Refusal("BAD_MESSAGE", "An argument is not a number.")
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
