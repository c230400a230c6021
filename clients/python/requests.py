"""Votes and cues that wait for their answer.

Each keeps the id it was born with, so sending it again after a lost answer can never count twice: the server gives
its first answer again. It is sent again when the connection comes back, when no answer came in time, and when
the server said TRY_AGAIN, BUSY or RATE_LIMIT. After its deadline it is not sent any more; an answer under way is
still waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from broadcast_sync.wire.server import Error
from clients.python.connection import Backoff
from clients.python.errors import RETRY_CODES, ClientError, Overloaded, Refused, Unconfirmed


class Patience(Struct, frozen=True):
    """How long an answer may take before the message goes out again (seconds), and how many may wait at once. AUTH and
    SUBSCRIBE go out again as votes do."""

    answer_s: float = 4.0
    most: int = 64
    backoff: Backoff = Backoff(base_s=0.4, cap_s=5.0)


PATIENCE: Final = Patience()
"""For clients that say nothing else."""
CUE_PATIENCE: Final = Patience(answer_s=1.5, most=8)
"""For cues: a late one is dangerous, so it is asked for again soon."""


class _Request(Struct, eq=False):
    text: str
    answer: asyncio.Future[Any]
    deadline_ms: Callable[[], float]
    attempt: int = 0
    timer: asyncio.TimerHandle | None = None


class Requests:
    """`send` takes the text of a frame and returns False when there is no connection for it now; `now_ms` is the
    server's time, as deadlines are; `random` is uniform in [0, 1)."""

    def __init__(
        self, send: Callable[[str], bool], now_ms: Callable[[], float], random: Callable[[], float],
        patience: Patience,
    ) -> None:
        self._send_text = send
        self._now_ms = now_ms
        self._random = random
        self._patience = patience
        self._waiting: dict[str, _Request] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, id: str, text: str, deadline_ms: Callable[[], float]) -> asyncio.Future[Any]:
        """Sends `text` now or as soon as it can be. The future has the answer's data, or raises Refused,
        Unconfirmed or ConnectionEnded; cancelling it gives the request up. Raises Overloaded."""
        if len(self._waiting) >= self._patience.most:
            raise Overloaded(f"{len(self._waiting)} votes and cues wait for an answer already")
        if id in self._waiting:
            return self._waiting[id].answer
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda _: self._forget(id))
        self._waiting[id] = _Request(text, answer, deadline_ms)
        self._send(id)
        return answer

    def flush(self) -> None:
        """The connection is back: everything unanswered goes out again."""
        for id in list(self._waiting):
            self._send(id)

    def answer(self, id: str, data: Any) -> bool:
        """False if nobody waits for `id`: it was answered before."""
        request = self._waiting.get(id)
        if request is None or request.answer.done():
            return False
        self._forget(id)
        request.answer.set_result(data)
        return True

    def refuse(self, id: str, error: Error) -> bool:
        """An ERROR for `id`: final, or a reason to ask again. False if nobody waits for it."""
        request = self._waiting.get(id)
        if request is None or request.answer.done():
            return False
        if error.code in RETRY_CODES:
            asked = error.retry_after if isinstance(error.retry_after, float | int) else 0.0
            self._later(id, max(asked, self._patience.backoff.delay_s(request.attempt, self._random())))
        else:
            self._forget(id)
            request.answer.set_exception(Refused.of(error))
        return True

    def fail_all(self, error: ClientError) -> None:
        """Gives all up."""
        for request in list(self._waiting.values()):
            if not request.answer.done():
                request.answer.set_exception(error)

    def _forget(self, id: str) -> None:
        request = self._waiting.pop(id, None)
        if request is not None and request.timer is not None:
            request.timer.cancel()

    def _later(self, id: str, seconds: float) -> None:
        request = self._waiting[id]
        if request.timer is not None:
            request.timer.cancel()
        request.timer = asyncio.get_running_loop().call_later(seconds, self._send, id)

    def _send(self, id: str) -> None:
        request = self._waiting.get(id)
        if request is None or request.answer.done():
            return
        if self._now_ms() > request.deadline_ms():
            if request.attempt == 0:
                request.answer.set_exception(Unconfirmed(id, sent=False))
                return
            # a new attempt could not count any more, but the last one's answer may still be under way
            self._later_or_fail(id)
            return
        if self._send_text(request.text):
            request.attempt += 1
        self._later(id, self._patience.answer_s * (0.75 + 0.5 * self._random()))

    def _later_or_fail(self, id: str) -> None:
        request = self._waiting[id]
        if request.timer is not None:
            request.timer.cancel()
        request.timer = asyncio.get_running_loop().call_later(self._patience.answer_s, self._last_look, id)

    def _last_look(self, id: str) -> None:
        """The deadline passed one answer time ago: an extension gives another attempt, else this is the end."""
        request = self._waiting.get(id)
        if request is None or request.answer.done():
            return
        if self._now_ms() <= request.deadline_ms():
            self._send(id)
        else:
            request.answer.set_exception(Unconfirmed(id, sent=True))
