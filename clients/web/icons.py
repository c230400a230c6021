"""The phone page's icons, drawn anew: `python -m clients.web.icons` writes `static/phone/icon-*.png`.

A tick on a disc in the house's two colours, with room enough around it for any mask that a launcher cuts it with (the
disc stays within the middle 80 %). Sixteen shades between the two colours are the whole palette, so a file is 1-4 KB.
"""

from __future__ import annotations

import struct
import zlib
from math import hypot
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "static" / "phone"
SIZES: Final = (192, 512)
STAGE: Final = (0x07, 0x09, 0x0F)
KEY: Final = (0xFF, 0xC4, 0x4D)
SHADES: Final = 16
RADIUS: Final = 0.36
TICK: Final = ((0.345, 0.515), (0.455, 0.625), (0.665, 0.395))
PEN: Final = 0.046
"""Half the width of the tick's stroke, as all lengths here in parts of the icon's side."""


def _to_segment(x: float, y: float, start: tuple[float, float], end: tuple[float, float]) -> float:
    """The distance of a point to a segment."""
    run, rise = end[0] - start[0], end[1] - start[1]
    along = ((x - start[0]) * run + (y - start[1]) * rise) / (run * run + rise * rise)
    along = min(1.0, max(0.0, along))
    return hypot(x - start[0] - along * run, y - start[1] - along * rise)


def shade(x: float, y: float, pixel: float) -> int:
    """How much of the key colour is at a point, 0 to 15; edges are one `pixel` wide."""
    disc = RADIUS - hypot(x - 0.5, y - 0.5)
    tick = min(_to_segment(x, y, TICK[0], TICK[1]), _to_segment(x, y, TICK[1], TICK[2])) - PEN
    inside = min(disc, tick) / pixel + 0.5
    return round(min(1.0, max(0.0, inside)) * (SHADES - 1))


def rows(size: int) -> bytes:
    """The picture's lines as PNG stores them: no filter, two pixels a byte."""
    lines = bytearray()
    for line in range(size):
        y = (line + 0.5) / size
        shades = [shade((column + 0.5) / size, y, 1 / size) for column in range(size)]
        lines.append(0)
        lines += bytes(shades[at] << 4 | shades[at + 1] for at in range(0, size, 2))
    return bytes(lines)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(size: int) -> bytes:
    """The icon as a PNG file of `size` pixels a side, which must be even."""
    palette = b"".join(
        bytes(round(dark + (light - dark) * level / (SHADES - 1)) for dark, light in zip(STAGE, KEY, strict=True))
        for level in range(SHADES)
    )
    head = struct.pack(">IIBBBBB", size, size, 4, 3, 0, 0, 0)
    parts = (
        _chunk(b"IHDR", head), _chunk(b"PLTE", palette), _chunk(b"IDAT", zlib.compress(rows(size), 9)),
        _chunk(b"IEND", b""),
    )  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


if __name__ == "__main__":
    for side in SIZES:
        (FOLDER / f"icon-{side}.png").write_bytes(png(side))
