"""What the SDK raises. Nothing here is ever swallowed by it: whoever awaits a vote or a cue gets one of these."""

from __future__ import annotations

from typing import Final

from broadcast_sync.wire.server import Error

RETRY_CODES: Final = frozenset({"TRY_AGAIN", "BUSY", "RATE_LIMIT"})
"""Refusals that decided nothing: the same message with the same id is sent again after the time they name."""


class ClientError(Exception):
    """Base of all errors of the SDK."""


class Refused(ClientError):
    """The server's final word: nothing was counted or changed. `code` is the protocol's, `retry_after` in seconds."""

    def __init__(
        self, code: str, message: str, *, retryable: bool = False, retry_after: float | None = None,
        revision: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retryable = retryable
        self.retry_after = retry_after
        self.revision = revision

    @classmethod
    def of(cls, error: Error) -> Refused:
        """From the data of an ERROR."""
        return cls(
            error.code, error.message, retryable=error.retryable,
            retry_after=error.retry_after if isinstance(error.retry_after, float | int) else None,
            revision=error.revision if isinstance(error.revision, int) else None,
        )


class Unconfirmed(ClientError):
    """No answer came in time. `sent` False: it never left, so it was not counted. True: it may have been, once;
    asking again with the same id would tell."""

    def __init__(self, id: str, *, sent: bool) -> None:
        super().__init__(f"{id}: no answer in time" if sent else f"{id}: never sent, there was no connection in time")
        self.id = id
        self.sent = sent


class ConnectionEnded(ClientError):
    """The client is closed, by `close()` or by a close code that forbids another attempt (4500-4999)."""

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(f"closed ({code or 'by us'}){': ' if reason else ''}{reason}")
        self.code = code
        self.reason = reason


class Overloaded(ClientError):
    """Too many votes or cues of this client wait for an answer; this one was not sent."""
