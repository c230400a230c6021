from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.show.recent import Recent
from broadcast_sync.wire.prepared import Prepared


def event(offset: int, epoch: str = "e1") -> Prepared:
    return Prepared.received(
        b'{"type":"STATE_UPDATE","data":{},"timestamp":"","channel":"show","epoch":"%s","offset":%d}'
        % (epoch.encode(), offset)
    )


def offsets(found: list[Prepared] | None) -> list[int | None] | None:
    return None if found is None else [one.offset for one in found]


@given(st.integers(0, 600), st.integers(0, 700))
def test_since_is_exact_or_unknown(sent: int, seen: int) -> None:
    recent = Recent(256)
    recent.reset("e1", 0)
    for offset in range(1, sent + 1):
        recent.append(event(offset))
    found = offsets(recent.since("e1", seen))
    if seen > sent or sent - seen > 256:
        assert found is None
    else:
        assert found == list(range(seen + 1, sent + 1))


def test_only_the_next_event_may_follow() -> None:
    recent = Recent()
    recent.reset("e1", 5)
    for wrong in (event(5), event(7), event(6, "e2")):
        with pytest.raises(ValueError):
            recent.append(wrong)
    recent.append(event(6))
    assert offsets(recent.since("e1", 5)) == [6]
    assert recent.since("e2", 6) is None


def test_a_reset_keeps_what_leads_up_to_it_without_a_gap() -> None:
    recent = Recent()
    recent.reset("e1", 9, [event(5), event(7), event(8), event(9)])
    assert offsets(recent.since("e1", 6)) == [7, 8, 9]
    assert recent.since("e1", 5) is None
    recent.reset("e1", 10, [event(8), event(9)])
    assert recent.since("e1", 9) is None and recent.since("e1", 10) == []
