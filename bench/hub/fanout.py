"""Every contender with the same number of sockets, side by side, by turns.

Whatever else the machine does falls on all of them, so a ratio to the floor of the same round says more than any
figure. A first round learns how long the message is, two more warm up; then it counts.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from msgspec import Struct

from bench.hub.audience import Refused
from bench.hub.contenders import FLOOR, Contender
from bench.hub.peers import PeerMissing
from bench.hub.stand import Stand

WARMING = 2

Say = Callable[[str], None]


class Result(Struct, frozen=True):
    """One contender at one size: medians of the rounds. `ratio` is None where no floor took part."""

    name: str
    title: str
    sockets: int
    us_a_delivery: float
    ratio: float | None
    spread_ms: float
    bytes_a_socket: float
    bytes_a_delivery: int
    rounds_us: list[float]


def measure(
    contenders: Sequence[Contender], sockets: int, rounds: int, say: Say
) -> tuple[list[Result], dict[str, str]]:
    """The results in the order of `contenders`, and why others are missing, by name."""
    stands, missing = _stand_up(contenders, sockets, say)
    try:
        for stand in stands:
            stand.learn()
        memory = {}
        for number in range(WARMING + rounds):
            if number == WARMING:
                memory = {stand.contender.name: stand.bytes_a_socket() for stand in stands}
                for stand in stands:
                    stand.rounds.clear()
            for stand in stands:
                stand.round()
    finally:
        for stand in stands:
            stand.stop()
    floor = next((stand for stand in stands if stand.contender.name == FLOOR), None)
    return [_result(stand, floor, memory[stand.contender.name]) for stand in stands], missing


def _stand_up(contenders: Sequence[Contender], sockets: int, say: Say) -> tuple[list[Stand], dict[str, str]]:
    stands: list[Stand] = []
    missing: dict[str, str] = {}
    for number, contender in enumerate(contenders):
        say(f"{sockets:,} sockets: {contender.title}")
        try:
            stands.append(Stand(contender, sockets, number))
        except (PeerMissing, Refused) as reason:
            missing[contender.name] = str(reason)
        except BaseException:
            for stand in stands:
                stand.stop()
            raise
    return stands, missing


def _result(stand: Stand, floor: Stand | None, memory: float) -> Result:
    each = [measured.cpu_s / stand.sockets * 1e6 for measured in stand.rounds]
    ratio = None
    if floor is not None:
        pairs = zip(stand.rounds, floor.rounds, strict=True)
        ratio = round(statistics.median(ours.cpu_s / bare.cpu_s for ours, bare in pairs), 3)
    return Result(
        stand.contender.name, stand.contender.title, stand.sockets, round(statistics.median(each), 3), ratio,
        round(statistics.median(measured.spread_s for measured in stand.rounds) * 1e3, 1),
        round(memory), stand.bytes_a_delivery, [round(us, 3) for us in each],
    )
