"""Values that may be a little old: made once for all who ask at the same time, and kept for a moment."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Kept(NamedTuple, Generic[V]):
    made_ms: int
    making: asyncio.Task[V]


class Fresh(Generic[K, V]):
    """At most `size` values, each made by `make` and good for `fresh_ms`; beyond that the longest unasked is forgotten.

    Whoever asks while a value is being made waits for that one, and who stops waiting does not stop it. A failure is
    raised to all of them and not kept.
    """

    def __init__(
        self, make: Callable[[K], Awaitable[V]], now_ms: Callable[[], int], *, fresh_ms: int, size: int
    ) -> None:
        self.made: int = 0
        """How often a value was made."""
        self._make = make
        self._now_ms = now_ms
        self._fresh_ms: Final = fresh_ms
        self._size: Final = size
        self._kept: OrderedDict[K, _Kept[V]] = OrderedDict()

    async def get(self, key: K) -> V:
        """The value for `key`, at most `fresh_ms` old. Raises what `make` raises."""
        kept, now_ms = self._kept.get(key), self._now_ms()
        if kept is None or (kept.making.done() and not 0 <= now_ms - kept.made_ms < self._fresh_ms):
            kept = _Kept(now_ms, asyncio.ensure_future(self._made(key)))
            kept.making.add_done_callback(_retrieved)
            self._kept[key] = kept
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        try:
            return await asyncio.shield(kept.making)
        except BaseException:
            if kept.making.done() and self._kept.get(key) is kept:
                del self._kept[key]
            raise

    async def _made(self, key: K) -> V:
        self.made += 1
        return await self._make(key)


def _retrieved(making: asyncio.Task[V]) -> None:
    """A failure that nobody waits for any more is nobody's."""
    if not making.cancelled():
        making.exception()
