"""What the script said of one ballot."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

TAKEN: Final = 0
BEFORE: Final = 1
FAILED: Final = 2
NOT_OPEN: Final = 3
ENDED: Final = 4
BROKEN: Final = 5
UNKNOWN: Final = 6
"""The engine did not answer: the ballot may have been taken or not. The script says it of a window that it has no gate
of: its data are lost until they are rebuilt."""
FULL: Final = 7
"""With it the window would have more votes than can be counted exactly."""


class Answer(Struct, frozen=True, array_like=True, gc=False):
    """`verdict` is one of the constants above.

    `values`: of TAKEN what is left of each claim (0 for a rate); of FAILED the index of the claim and the wait in
    milliseconds. `first`: of BEFORE, the first answer as the engine remembers it, for `First`.
    """

    verdict: int
    values: list[int]
    first: bytes = b""


class Ack(Struct, frozen=True, array_like=True):
    """What a first answer remembers of its ballot. `vote_id` is a UUID's 16 bytes."""

    vote_id: bytes
    contestant_id: str
    vote_type: str
    vote_count: int


class First(Struct, frozen=True, array_like=True):
    """A first answer: its ballot's ack and what was left of each claim."""

    ack: Ack
    left: list[int]


UNKNOWN_ANSWER: Final = Answer(UNKNOWN, [])

decode_first: Final = msgspec.msgpack.Decoder(First).decode
"""`Answer.first` -> First; msgspec.DecodeError if the engine's memory is broken."""

_decode: Final = msgspec.msgpack.Decoder(list[Answer]).decode


def read_answers(reply: Any, expected: int) -> list[Answer]:
    """The script's reply, one Answer a ballot in order. ValueError if it does not have `expected` answers
    or not every first one."""
    packed, *firsts = reply
    answers = _decode(packed)
    if len(answers) != expected or len(firsts) != sum([answer.verdict == BEFORE for answer in answers]):
        raise ValueError(f"{len(answers)} answers and {len(firsts)} first ones to {expected} ballots")
    if not firsts:
        return answers
    following = iter(firsts)
    return [Answer(BEFORE, [], next(following)) if answer.verdict == BEFORE else answer for answer in answers]
