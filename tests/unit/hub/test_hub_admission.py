"""Room at the door, without a door."""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.hub.admission import RETRY_S, Admission
from broadcast_sync.settings import Hub


def admission(**limits: float) -> Admission:
    return Admission(Hub(**limits), Random(7).random)  # type: ignore[arg-type]  # numbers, as their fields have them


def test_a_burst_comes_in_and_then_the_rate() -> None:
    door = admission(handshakes_per_second=10, handshakes_burst=5)
    answers = [door.admit("a", 100.0) for _ in range(1_000)]
    assert [answer is None for answer in answers] == [True] * 5 + [False] * 995
    assert {answer.status for answer in answers if answer} == {HTTPStatus.SERVICE_UNAVAILABLE}
    # those who were turned away did not use up what is for those who come later
    assert [door.admit("a", 100.0 + second / 10) is None for second in range(1, 6)] == [True] * 5


def test_the_more_are_turned_away_the_wider_they_are_spread() -> None:
    door = admission(handshakes_per_second=100, handshakes_burst=1)
    waits = [answer.retry_after_s for _ in range(3_001) if (answer := door.admit("a", 50.0)) is not None]
    least, most = RETRY_S
    assert len(waits) == 3_000
    assert set(waits[:100]) <= set(range(1, least + 1))
    # 3,000 at 100 a second need 30 s: the last thousand is spread over 20 to 30 of them, no second with too many
    late = Counter(waits[2_000:])
    assert 20 <= max(late) <= 30 and max(late.values()) < 100
    assert all(1 <= wait <= most for wait in waits)
    few = [door.admit("a", 5_000.0), door.admit("a", 5_000.0)]
    assert few[0] is None and few[1] is not None and few[1].retry_after_s <= least


def test_a_node_that_is_full_or_closed() -> None:
    door = admission(max_sockets=2)
    for _ in range(2):
        assert door.admit("a", 1.0) is None
        door.entered("a")
    refused = door.admit("b", 1.0)
    assert refused is not None and refused.status == 503
    door.left("a")
    assert door.admit("b", 1.0) is None
    door.open = False
    refused = door.admit("b", 1.0)
    assert refused is not None and refused.status == 503


def test_an_address_has_its_share_and_no_more() -> None:
    door = admission(sockets_per_address=2)
    for address in ("10.0.0.1", "::ffff:10.0.0.1", "2001:db8:0:1::1", "2001:db8:0:1:ffff::9", "", "", ""):
        assert door.admit(address, 1.0) is None, address
        door.entered(address)
    for address in ("10.0.0.1", "2001:db8:0:1::2"):
        refused = door.admit(address, 1.0)
        assert refused is not None and refused.status == 429 and refused.retry_after_s
    assert door.admit("10.0.0.2", 1.0) is None and door.admit("2001:db8:0:2::1", 1.0) is None
    door.left("::ffff:10.0.0.1")
    assert door.admit("10.0.0.1", 1.0) is None


def test_the_share_of_an_address_can_be_switched_off() -> None:
    door = admission(sockets_per_address=0)
    for _ in range(5_000):
        door.entered("a")
    assert door.admit("a", 1.0) is None


@given(st.lists(st.sampled_from(["10.0.0.1", "::1", "not an address", "fe80::1%eth0", "1:2:3", ""]), max_size=40))
def test_who_has_left_leaves_nothing_behind(addresses: list[str]) -> None:
    door = admission()
    for address in addresses:
        door.admit(address, 0.0)
        door.entered(address)
    for address in addresses:
        door.left(address)
    assert door.sockets == 0 and door._addresses == {}
