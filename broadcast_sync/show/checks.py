"""What the machine's parts ask of a stage before they change it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from broadcast_sync.errors import Refusal
from broadcast_sync.show.model import Show, Stage, Window
from broadcast_sync.show.rounds import refuse
from broadcast_sync.wire.server import Data
from broadcast_sync.wire.times import iso

MAX_WINDOW_S: Final = 86_400
"""No window is longer than a day, extensions included."""

Events = Callable[[Stage], tuple[Data, ...]]
"""The events of a change, made from the changed stage once its revision is known."""


def silent(stage: Stage) -> tuple[Data, ...]:
    return ()


def clock_time(ms: int) -> str:
    return f"{iso(ms)[11:19]} UTC"


def on_air(stage: Stage) -> Show:
    if stage.show is None:
        raise refuse("No show is on air.")
    return stage.show


def whole_seconds(value: object, name: str) -> int:
    """`value` as whole seconds; `type() is int` because True is an int and 1.5 must not become 1."""
    if type(value) is not int or not 1 <= value <= MAX_WINDOW_S:
        shown = str(value)[:32]
        raise refuse(f"{name} must be a whole number of seconds from 1 to {MAX_WINDOW_S}, not {shown}.")
    return value


def no_window(stage: Stage) -> Refusal:
    """Why there is no open window to act on."""
    if stage.voting == "CLOSING" and stage.window:
        return refuse(f"Voting has closed at {clock_time(stage.window.closes_ms)} and is being counted.")
    if stage.voting == "CLOSED" and stage.window:
        return refuse(f"Voting has closed at {clock_time(stage.window.closes_ms)}.")
    return refuse("Voting is not open.")


def open_window(stage: Stage, now_ms: int) -> Window:
    window = stage.window
    if stage.voting != "OPEN" or window is None:
        raise no_window(stage)
    return window


def advancing(stage: Stage) -> bool:
    return stage.season is not None and stage.season.advance is not None


def not_advancing(stage: Stage) -> None:
    if stage.season is not None and stage.season.advance is not None:
        raise refuse(f"Slot {stage.season.slot} is being advanced; the next window opens by itself.")
