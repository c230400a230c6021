"""The shape of a timecode label, `HH:MM:SS:FF` or `HH:MM:SS;FF` (drop-frame). Pure."""

from __future__ import annotations

import re
from typing import Final

from broadcast_sync.errors import Refusal

_LABEL: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9][:;][0-5][0-9]")


def check_timecode(label: str) -> None:
    """Raises Refusal TIMECODE_INVALID unless `label` can be a label at some frame rate up to 60."""
    if not _LABEL.fullmatch(label):
        raise Refusal("TIMECODE_INVALID", "A timecode is HH:MM:SS:FF or HH:MM:SS;FF, such as 20:15:00:12.")
