"""PURE: finding contestants by a part of their name, in Latin or Khmer script, from two letters on.

An index of pairs of characters, in memory: PostgreSQL's pg_trgm needs three letters to be of use, takes Khmer vowel
signs for spaces, and is not among what the embedded PostgreSQL carries.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Sequence
from typing import Final

from broadcast_sync.wire.server import ContestantInfo

LETTERS: Final = r"[^\W_].*[^\W_]|[\u1780-\u17d3]{2}"
"""What a search has at least: two letters or digits, or a Khmer letter with its vowel."""

_INVISIBLE: Final = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
_ACCENTS: Final = re.compile(r"[\u0300-\u036f]")


def folded(text: str) -> str:
    """As texts are compared: without case, accents of Latin letters, invisible marks and superfluous spaces. Khmer
    vowels, which are marks as well, stay."""
    plain = unicodedata.normalize("NFKD", text.translate(_INVISIBLE)).casefold()
    return " ".join(unicodedata.normalize("NFC", _ACCENTS.sub("", plain)).split())


class SearchIndex:
    """The names of an event's contestants."""

    def __init__(self, contestants: Sequence[ContestantInfo]) -> None:
        self._texts = [f"{folded(person.name)}\n{folded(person.khmer_name)}" for person in contestants]
        self._places: dict[str, array[int]] = {}
        for place, text in enumerate(self._texts):
            for pair in _pairs(text):
                self._places.setdefault(pair, array("l")).append(place)

    def find(self, query: str) -> list[int]:
        """The places of those who have `query` in one of their names, in order. Every character stands for itself.
        Empty as well when fewer than two characters are left of it."""
        wanted = folded(query)
        pairs = _pairs(wanted)
        if not pairs:
            return []
        rarest = min((self._places.get(pair, _NOWHERE) for pair in pairs), key=len)
        return [place for place in rarest if wanted in self._texts[place]]


_NOWHERE: Final = array("l")


def _pairs(text: str) -> set[str]:
    return {text[at : at + 2] for at in range(len(text) - 1)}
