"""PURE: the ballots of a stream entry as rows of PostgreSQL's binary COPY, without an object a row in between.

The format (PostgreSQL manual, COPY, "Binary Format"): a header, per row the number of fields and each field with its
length in front, a trailer; integers big-endian, times in microseconds since 2000-01-01 UTC.
"""

from __future__ import annotations

import struct
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from voting.ledger.entries import Ballots, EntryError

COLUMNS: Final = (
    "org_id", "episode_ref", "vote_id", "window_id", "shard", "voter", "contestant_id", "vote_type",
    "vote_count", "weight", "client_id", "received_at", "metadata",
)  # fmt: skip
HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"

_Amount = Annotated[int, Meta(ge=1, lt=2**31)]
_VoteId = Annotated[bytes, Meta(min_length=16, max_length=16)]
_decode: Final = msgspec.msgpack.Decoder(
    list[tuple[_VoteId, str, str, str, _Amount, _Amount, str, int, str | None]]
).decode
_MS_TO_2000: Final = 946_684_800_000
_size: Final = struct.Struct(">i").pack
_time: Final = struct.Struct(">iq").pack
_NULL: Final = _size(-1)


def _field(value: bytes) -> bytes:
    return _size(len(value)) + value


class _Texts(dict[str, bytes]):
    """Text fields, made once each: for what repeats. U+FFFD stands for NUL, which PostgreSQL's text cannot hold."""

    def __missing__(self, text: str) -> bytes:
        made = self[text] = _field(text.replace("\0", "\ufffd").encode())
        return made


class _Integers(dict[int, bytes]):
    def __missing__(self, number: int) -> bytes:
        made = self[number] = _field(_size(number))
        return made


class _Times(dict[int, bytes]):
    def __missing__(self, ms: int) -> bytes:
        made = self[ms] = _time(8, (ms - _MS_TO_2000) * 1000)
        return made


def binary_rows(ballots: Ballots, organisation: str, shard: int, episode_ref: int) -> bytes:
    """The rows of the votes table in `ballots`, to be sent between HEADER and TRAILER; their number is `ballots.size`.

    Raises EntryError if they are not what the entry says they are.
    """
    try:
        rows = _decode(ballots.payload)
        if len(rows) != ballots.size:
            raise EntryError(ballots.entry_id, f"says {ballots.size} rows and has {len(rows)}")
        texts, integers, times = _Texts(), _Integers(), _Times()
        start = struct.pack(">h", len(COLUMNS)) + texts[organisation] + integers[episode_ref] + _size(16)
        window = _field(ballots.window_id.bytes) + _field(struct.pack(">h", shard))
        pieces: list[bytes] = []
        for vote_id, voter, contestant, kind, count, weight, client_id, received, metadata in rows:
            pieces += (
                start, vote_id, window, texts[voter], texts[contestant], texts[kind], integers[count], integers[weight],
                texts[client_id], times[received], _NULL if metadata is None else texts[metadata],
            )  # fmt: skip
        return b"".join(pieces)
    except (ValueError, struct.error, msgspec.MsgspecError) as error:
        raise EntryError(ballots.entry_id, str(error)) from None
