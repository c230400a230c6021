"""Sections of SCTE 35: the samples of the standard (ANSI/SCTE 35, section 14), and others made to order."""

from __future__ import annotations

from broadcast_sync.control.scte35 import crc32

OPPORTUNITY_START = "/DA0AAAAAAAA///wBQb+cr0AUAAeAhxDVUVJSAAAjn/PAAGlmbAICAAAAAAsoKGKNAIAmsnRfg=="
SPLICE_INSERT = "/DAvAAAAAAAA///wFAVIAACPf+/+c2nALv4AUsz1AAAAAAAKAAhDVUVJAAABNWLbowo="
OPPORTUNITY_END = "/DAvAAAAAAAA///wBQb+dGKQoAAZAhdDVUVJSAAAjn+fCAgAAAAALKChijUCAKnMZ1g="
PROGRAM_START_END = (
    "/DBIAAAAAAAA///wBQb+ek2ItgAyAhdDVUVJSAAAGH+fCAgAAAAALMvDRBEAAAIXQ1VFSUgAABl/nwgIAAAAACyk26AQAACZcuND"
)


def made(command: bytes, kind: int, *, descriptors: bytes = b"", size: int | None = None, **changed: int) -> bytes:
    """A section with a right CRC."""
    head = changed.get("adjustment", 0) | changed.get("encrypted", 0) << 39
    body = (
        bytes([changed.get("version", 0)]) + head.to_bytes(5, "big") + b"\xff"
        + (0xFFF << 12 | (len(command) if size is None else size)).to_bytes(3, "big") + bytes([kind]) + command
        + len(descriptors).to_bytes(2, "big") + descriptors
    )
    section = bytes([changed.get("table", 0xFC)]) + (0x3000 | len(body) + 4).to_bytes(2, "big") + body
    return section + crc32(section).to_bytes(4, "big")


def at(pts: int) -> bytes:
    """A splice_time."""
    return (0xFE << 32 | pts).to_bytes(5, "big")
