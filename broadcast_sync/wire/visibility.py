"""Who may see the counts of a window before its result is released. PURE.

What only screens and the control room may see goes out on a channel of its own beside the public one. It is the same
message, which says `results` of itself as ever; only who is subscribed differs.
"""

from __future__ import annotations

from typing import Final, Literal

Visibility = Literal["public", "screens", "hidden"]
"""Everybody; who shows a token with one of `SEERS`; nobody at all, the control room included."""

SEERS: Final = ("screen", "control")
"""The roles that see the counts of a window with `screens`; `admin` is as good as either."""

_BESIDE: Final = "screens:"


def beside(channel: str) -> str:
    """The channel for screens beside `channel`. No client can name it: it is not public."""
    return _BESIDE + channel


def public(channel: str) -> str:
    """The channel that `channel` stands beside; itself, if it is public."""
    return channel.removeprefix(_BESIDE)


def is_beside(channel: str) -> bool:
    return channel.startswith(_BESIDE)
