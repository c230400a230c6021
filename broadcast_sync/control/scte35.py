"""SCTE 35 splice information sections: the two commands that a cue can be made of, splice_insert and time_signal.

Field names are the standard's (ANSI/SCTE 35, sections 9 and 10). Nothing of a section is believed before its CRC-32 is
right; what is encrypted, or of another version, is refused rather than guessed. Pure.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from msgspec import Struct

SECTION_BYTES: Final = 4_096
"""The largest section there can be: section_length has 12 bits and may be at most 4093."""
TABLE_ID: Final = 0xFC
SPLICE_INSERT: Final = 0x05
TIME_SIGNAL: Final = 0x06
COMMANDS: Final = {
    0x00: "splice_null", 0x04: "splice_schedule", SPLICE_INSERT: "splice_insert", TIME_SIGNAL: "time_signal",
    0x07: "bandwidth_reservation", 0xFF: "private_command",
}
SEGMENTATION: Final = 0x02
CUEI: Final = 0x43554549
PTS_BITS: Final = 33
_POLYNOMIAL: Final = 0x04C11DB7


class BadSection(Exception):
    """It is no section that can be used; says why."""


class Segmentation(Struct, frozen=True):
    """A segmentation_descriptor. A cancelled one has no type: -1."""

    event_id: int
    cancel: bool
    type_id: int = -1


class Splice(Struct, frozen=True):
    """A command with what a cue needs of it. `pts` is its splice time in ticks of 90 kHz, pts_adjustment included; None
    where it names none. `event_id`, `cancel`, `out` and `immediate` are splice_insert's."""

    command: str
    pts: int | None = None
    event_id: int | None = None
    cancel: bool = False
    out: bool = False
    immediate: bool = False
    segmentations: tuple[Segmentation, ...] = ()


def decode(text: str) -> bytes:
    """The bytes of a section in base64, or in hexadecimal with or without 0x before it. Raises BadSection."""
    text = text.strip()
    digits = text[2:] if text[:2].lower() == "0x" else text
    try:
        if digits[:2].lower() == "fc":  # in base64 that would be another table
            return bytes.fromhex(digits)
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise BadSection("neither base64 nor hexadecimal") from None


def crc32(data: bytes) -> int:
    """CRC-32 of ISO/IEC 13818-1 (MPEG-2); over a section with its own CRC it is 0."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ _POLYNOMIAL if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc


def parse(section: bytes) -> Splice:
    """The command of a whole section. Raises BadSection."""
    if len(section) < 3 or section[0] != TABLE_ID:
        raise BadSection("it does not begin with table_id 0xFC")
    if section[1] & 0xC0:
        raise BadSection("section_syntax_indicator and private_indicator must be 0")
    length = int.from_bytes(section[1:3], "big") & 0x0FFF
    if len(section) != length + 3 or len(section) > SECTION_BYTES:
        raise BadSection(f"it says that it has {length + 3} bytes and has {len(section)}")
    if len(section) < 20:
        raise BadSection("it is too short")
    if crc32(section) != 0:
        raise BadSection("its CRC-32 is wrong")
    bits = _Bits(section[3:-4])
    if (version := bits.take(8)) != 0:
        raise BadSection(f"protocol_version is {version}, not 0")
    if bits.take(1):
        raise BadSection("it is encrypted")
    bits.take(6)
    adjustment = bits.take(PTS_BITS)
    bits.take(8 + 12)
    size, kind = bits.take(12), bits.take(8)
    begin = bits.at
    splice = _command(kind, bits)
    # 0xFFF says that the size is not told, which older encoders do
    if size != 0xFFF and bits.at - begin != size * 8:
        raise BadSection(f"splice_command_length is {size} and the command has {(bits.at - begin) // 8} bytes")
    pts = None if splice.pts is None else (splice.pts + adjustment) % (1 << PTS_BITS)
    return Splice(
        splice.command, pts, splice.event_id, splice.cancel, splice.out, splice.immediate, _segmentations(bits)
    )


class _Bits:
    """Reads from the front. Raises BadSection at the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._size = len(data) * 8
        self.at = 0

    @property
    def left(self) -> int:
        return self._size - self.at

    def take(self, count: int) -> int:
        if count > self.left:
            raise BadSection("it ends too soon")
        self.at += count
        return self._value >> (self._size - self.at) & ((1 << count) - 1)

    def part(self, size: int) -> _Bits:
        """The next `size` bytes."""
        return _Bits(self.take(size * 8).to_bytes(size, "big"))


def _command(kind: int, bits: _Bits) -> Splice:
    if kind == TIME_SIGNAL:
        return Splice("time_signal", _splice_time(bits))
    if kind == SPLICE_INSERT:
        return _splice_insert(bits)
    raise BadSection(f"no cue can be made of {COMMANDS.get(kind, f'command 0x{kind:02X}')}")


def _splice_insert(bits: _Bits) -> Splice:
    event_id, cancel = bits.take(32), bool(bits.take(1))
    bits.take(7)
    if cancel:
        return Splice("splice_insert", event_id=event_id, cancel=True)
    out, whole, timed, immediate = (bool(bits.take(1)) for _ in range(4))
    bits.take(4)
    pts = _splice_time(bits) if whole and not immediate else None
    if not whole:
        for _ in range(bits.take(8)):
            bits.take(8)
            at = None if immediate else _splice_time(bits)
            pts = at if pts is None else pts
    bits.take((40 if timed else 0) + 32)  # break_duration, unique_program_id, avail_num, avails_expected
    return Splice("splice_insert", pts, event_id, out=out, immediate=immediate)


def _splice_time(bits: _Bits) -> int | None:
    if not bits.take(1):
        bits.take(7)
        return None
    bits.take(6)
    return bits.take(PTS_BITS)


def _segmentations(bits: _Bits) -> tuple[Segmentation, ...]:
    """The segmentation_descriptors of the loop; others are passed over."""
    loop = bits.part(bits.take(16))
    found = []
    while loop.left:
        tag, descriptor = loop.take(8), loop.part(loop.take(8))
        if descriptor.take(32) == CUEI and tag == SEGMENTATION:
            found.append(_segmentation(descriptor))
    return tuple(found)


def _segmentation(bits: _Bits) -> Segmentation:
    event_id, cancel = bits.take(32), bool(bits.take(1))
    bits.take(7)
    if cancel:
        return Segmentation(event_id, True)
    whole, timed = bits.take(1), bits.take(1)
    bits.take(6)
    if not whole:
        bits.part(bits.take(8) * 6)
    bits.take((40 if timed else 0) + 8)  # segmentation_duration, segmentation_upid_type
    bits.part(bits.take(8))
    return Segmentation(event_id, False, bits.take(8))
