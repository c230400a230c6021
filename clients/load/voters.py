"""How people vote in a rehearsal. Pure: chance is an argument.

Most press when the lines open or when they are about to close; some use all they have and try once more, which the
server must refuse; some only watch. Favourites change a little from round to round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

from msgspec import Struct

FREE_VOTES: Final = 5
"""Free votes an episode in the ruleset of the demo."""
WATCH_ONLY: Final = 0.12
USE_ALL: Final = 0.10
LATE_S: Final = 15.0
DRIFT: Final = 0.45
LEAST_GAP_S: Final = 0.8
"""A thumb needs this long between two presses."""


class Press(Struct, frozen=True):
    """One press of a vote button, `at_s` seconds after the lines opened."""

    at_s: float
    contestant_id: str


def popularity(contestants: Sequence[str], before: Mapping[str, float], random: Random) -> dict[str, float]:
    """How much each contestant is liked now (any positive weights): near what it was, or by chance for a new one."""
    return {
        one: math.exp(0.8 * math.log(before[one]) + random.gauss(0, DRIFT)) if one in before
        else math.exp(random.gauss(0, 0.8))
        for one in contestants
    }


def presses(liked: Mapping[str, float], window_s: float, random: Random) -> tuple[Press, ...]:
    """What one voter will do in a window of `window_s`: nothing, a few presses, or one more than are allowed."""
    chance = random.random()
    if chance < WATCH_ONLY or not liked:
        return ()
    count = FREE_VOTES + 1 if chance < WATCH_ONLY + USE_ALL else random.choice((1, 1, 2, 2, 3, 3, 4, 5))
    favourites = _favourites(liked, random)
    last_s = max(0.0, window_s - 0.5)
    at_s, made = _begin(window_s, random), []
    for _ in range(count):
        made.append(Press(min(at_s, last_s), random.choice(favourites)))
        at_s += LEAST_GAP_S + random.expovariate(1 / 1.5)
    return tuple(made)


def _favourites(liked: Mapping[str, float], random: Random) -> list[str]:
    """One favourite for most, two for some, one of them more often."""
    names, weights = list(liked), list(liked.values())
    first, second = random.choices(names, weights, k=2)
    return [first, first, second] if random.random() < 0.3 else [first]


def _begin(window_s: float, random: Random) -> float:
    """When somebody starts to press: soon after the opening, just before the close, or in between."""
    chance = random.random()
    if chance < 0.45:
        return min(random.expovariate(1 / 6.0) + 0.3, window_s)
    if chance < 0.75:
        return max(0.0, window_s - random.uniform(0.5, min(LATE_S, window_s)))
    return random.uniform(0.0, window_s)
