"""The table of close codes."""

from __future__ import annotations

import pytest

from broadcast_sync.hub import closes


def test_ranges_carry_the_advice() -> None:
    for code, close in closes.CLOSES.items():
        if 4000 <= code < 4500:
            assert close.reconnect, code
        if code >= 4500:
            assert not close.reconnect, code
        assert 0 < len(close.reason.encode()) <= 123


def test_every_named_code_has_its_row() -> None:
    named = {value for name, value in vars(closes).items() if name.isupper() and isinstance(value, int)}
    assert named == set(closes.CLOSES)


@pytest.mark.parametrize(
    ("code", "reconnect"), [(1000, False), (1001, True), (4000, True), (4499, True), (4500, False), (4999, False)]
)
def test_advice(code: int, reconnect: bool) -> None:
    assert closes.advice(code) is reconnect


def test_people_leaving_is_expected_and_misbehaviour_is_not() -> None:
    assert closes.expected(1001)
    assert not closes.expected(closes.TOO_MANY_BAD)
    assert not closes.expected(3999)
