"""Every refusal the outside can meet: a code, whether trying again can help, and its HTTP status.

The codes are fixed by the protocol. `Refusal` carries one through the process to whoever asked; it is an
answer, not a fault. `StartError` ends the process with one line for the person at the terminal.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Code(NamedTuple):
    """What a wire code means: plain words for people, `retryable` for machines, `status` for HTTP."""

    message: str
    retryable: bool
    status: int


CODES: Final[dict[str, Code]] = {
    "BAD_MESSAGE": Code("The message could not be understood.", False, 400),
    "TOO_LARGE": Code("The message is too large.", False, 413),
    "UNSUPPORTED": Code("This is not supported.", False, 400),
    "UNAUTHENTICATED": Code("Sign in first.", False, 401),
    "TOKEN_EXPIRED": Code("The token has expired.", False, 401),
    "FORBIDDEN": Code("This needs another role.", False, 403),
    "RATE_LIMIT": Code("Too many, please slow down.", True, 429),
    "BUSY": Code("The server is busy, try again shortly.", True, 503),
    "TRY_AGAIN": Code("The outcome is unknown, try again with the same id.", True, 503),
    "NOT_FOUND": Code("There is no such thing here.", False, 404),
    "METHOD_NOT_ALLOWED": Code("This address does not take that method.", False, 405),
    "UNSUPPORTED_MEDIA_TYPE": Code("The body must be application/json.", False, 415),
    "VOTING_CLOSED": Code("Voting is not open.", False, 409),
    "VOTING_ENDED": Code("Voting has ended.", False, 409),
    "INVALID_CONTESTANT": Code("There is no such contestant in this vote.", False, 422),
    "CONTESTANT_ELIMINATED": Code("This contestant has been eliminated.", False, 422),
    "INVALID_VOTE_TYPE": Code("This vote type is not offered here.", False, 422),
    "INVALID_VOTE_COUNT": Code("The number of votes is out of range.", False, 422),
    "NO_FREE_VOTES": Code("No free votes are left in this episode.", False, 409),
    "INSUFFICIENT_VOTE_BALANCE": Code("The vote balance is too low.", False, 409),
    "INSUFFICIENT_BUNDLE_VOTES": Code("The bundle has too few votes left.", False, 409),
    "PHONE_NOT_VERIFIED": Code("The phone number is not verified.", False, 403),
    "SMS_LIMIT": Code("The daily SMS vote limit is reached.", False, 429),
    "ALREADY_VOTED": Code("This vote has been cast already.", False, 409),
    "ROUND_LIMIT": Code("The limit of this round is reached.", False, 429),
    "DAILY_LIMIT": Code("The daily vote limit is reached.", False, 429),
    "SUPER_LIMIT": Code("The super vote of this round is used.", False, 429),
    "MEGA_LIMIT": Code("The mega vote of this round is used.", False, 429),
    "STALE_REVISION": Code("The show has moved on since.", False, 409),
    "CUE_REJECTED": Code("The cue does not fit the state of the show.", False, 409),
    "TIMECODE_INVALID": Code("The timecode is not valid.", False, 422),
}


class Refusal(Exception):
    """A typed refusal with a code of the protocol; nothing was changed by what it refuses.

    `message` replaces the code's plain words; `retry_after` is in seconds; `detail` holds further camelCase
    fields of the answer (the current `revision`, for example).
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        retry_after: float | None = None,
        detail: dict[str, object] | None = None,
    ) -> None:
        entry = CODES[code]
        super().__init__(f"{code}: {message or entry.message}")
        self.code = code
        self.message = message or entry.message
        self.retryable = entry.retryable
        self.status = entry.status
        self.retry_after = retry_after
        self.detail = detail


class StartError(Exception):
    """The process cannot start or a command cannot run; the text is one line that ends with the way out."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class SettingsError(StartError):
    """A setting is unknown, of a wrong type or out of range; names the key's path and what was expected."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=2)
