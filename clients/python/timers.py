"""Timers by name on the running loop: setting one again moves it, and all of an owner's can be let go of together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timers:
    """Of one owner. Must be used inside the loop."""

    def __init__(self) -> None:
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def after(self, name: str, seconds: float, call: Callable[[], object]) -> None:
        """Calls `call` in `seconds`, in the place of the one that was to come under this name."""
        self.cancel(name)
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, self._run, name, call)

    def __contains__(self, name: str) -> bool:
        return name in self._timers

    def cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def cancel_all(self) -> None:
        for name in list(self._timers):
            self.cancel(name)

    def _run(self, name: str, call: Callable[[], object]) -> None:
        del self._timers[name]
        call()
