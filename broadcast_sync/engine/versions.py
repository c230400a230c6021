"""Version numbers and errors of engines, in the few words that fit one line."""

from __future__ import annotations

import re


def parse(version: str) -> tuple[int, int]:
    """Major and minor of a version text, (0, 0) if it has none: "7.2.4" -> (7, 2), "16beta1" -> (16, 0)."""
    found = re.match(r"\s*(\d+)(?:\.(\d+))?", version)
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)


def told(error: BaseException) -> str:
    """What an error says, in one line, or its type if it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
