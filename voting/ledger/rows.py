"""PURE: the ballots of a stream entry as rows of PostgreSQL's binary COPY, without an object a row in between.

The format (PostgreSQL manual, COPY, "Binary Format"): a header, per row the number of fields and each field with its
length in front, a trailer; integers big-endian, times in microseconds since 2000-01-01 UTC.
"""

from __future__ import annotations

import struct
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import Meta

from voting.ledger.entries import Ballots, EntryError

COLUMNS: Final = (
    "org_id", "episode_ref", "window_id", "shard", "contestant_id", "vote_type", "vote_count", "weight",
    "received_at", "vote_id", "voter", "client_id", "metadata",
)  # fmt: skip
"""In the order of the rows made here: first what many rows have alike, so that it is one piece of bytes."""
HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"

_Amount = Annotated[int, Meta(ge=1, lt=2**31)]
_VoteId = Annotated[bytes, Meta(min_length=16, max_length=16)]
decode_rows: Final = msgspec.msgpack.Decoder(
    list[tuple[_VoteId, str, str, str, _Amount, _Amount, str, int, str | None]]
).decode
_MS_TO_2000: Final = 946_684_800_000
_size: Final = struct.Struct(">i").pack
_time: Final = struct.Struct(">iq").pack
_NULL: Final = _size(-1)


def _field(value: bytes) -> bytes:
    return _size(len(value)) + value


def _text(text: str) -> bytes:
    """U+FFFD stands for NUL, which PostgreSQL's text cannot hold."""
    return text.replace("\0", "\ufffd").encode()


class _Heads(dict[tuple[str, str, int, int], bytes]):
    """The columns up to the weight, made once for all rows that have them alike."""

    def __init__(self, start: bytes) -> None:
        super().__init__()
        self._start = start

    def __missing__(self, key: tuple[str, str, int, int]) -> bytes:
        contestant, kind, count, weight = key
        amounts = _field(_size(count)) + _field(_size(weight))
        made = self[key] = self._start + _field(_text(contestant)) + _field(_text(kind)) + amounts
        return made


class _Times(dict[int, bytes]):
    """`received_at`, and the length of the vote id that follows it."""

    def __missing__(self, ms: int) -> bytes:
        made = self[ms] = _time(8, (ms - _MS_TO_2000) * 1000) + _size(16)
        return made


class _Sizes(dict[int, bytes]):
    def __missing__(self, length: int) -> bytes:
        made = self[length] = _size(length)
        return made


def binary_rows(ballots: Ballots, organisation: str, shard: int, episode_ref: int) -> bytes:
    """The rows of the votes table in `ballots`, to be sent between HEADER and TRAILER; their number is `ballots.size`.

    Raises EntryError if they are not what the entry says they are.
    """
    try:
        rows = decode_rows(ballots.payload)
        if len(rows) != ballots.size:
            raise EntryError(ballots.entry_id, f"says {ballots.size} rows and has {len(rows)}")
        heads, times, sizes = _Heads(_start(ballots.window_id, organisation, shard, episode_ref)), _Times(), _Sizes()
        pieces: list[bytes] = []
        add = pieces.extend
        for vote_id, voter, contestant, kind, count, weight, client_id, received, metadata in rows:
            who = _text(voter) if "\0" in voter else voter.encode()
            client = _text(client_id) if "\0" in client_id else client_id.encode()
            add((
                heads[contestant, kind, count, weight], times[received], vote_id, sizes[len(who)], who,
                sizes[len(client)], client, _NULL if metadata is None else _field(_text(metadata)),
            ))
        return b"".join(pieces)
    except (ValueError, struct.error, msgspec.MsgspecError) as error:
        raise EntryError(ballots.entry_id, str(error)) from None


def _start(window_id: UUID, organisation: str, shard: int, episode_ref: int) -> bytes:
    """The beginning of every row of an entry: the number of fields and the columns up to the shard."""
    return b"".join((
        struct.pack(">h", len(COLUMNS)), _field(_text(organisation)), _field(_size(episode_ref)),
        _field(window_id.bytes), _field(struct.pack(">h", shard)),
    ))
