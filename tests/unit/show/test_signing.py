from __future__ import annotations

import pytest

from broadcast_sync.errors import Refusal
from broadcast_sync.show.signing import check, cue_id_of, sign

SECRET = b"0123456789abcdef0123456789abcdef"
BODY = b'{"event":"SHOW_END"}'
NOW_S = 1_795_000_000


def code(timestamp: str, signature: str, body: bytes = BODY, now_s: int = NOW_S, other_s: int = NOW_S) -> str:
    try:
        check(SECRET, timestamp, signature, body, {now_s * 1000, other_s * 1000}, 30)
    except Refusal as refusal:
        return refusal.code
    return "ok"


def test_a_known_signature() -> None:
    # printf '1795000000.{"event":"SHOW_END"}' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
    expected = "sha256=7bd0d63014cd9fcb2c76669dfe81fac9c4825d271f0ffefb882028e3869a4fa2"
    assert sign(SECRET, NOW_S, BODY) == sign(SECRET, str(NOW_S), BODY) == expected


@pytest.mark.parametrize("late", [-30, 0, 30])
def test_right_within_the_window(late: int) -> None:
    late_s = NOW_S + late
    assert code(str(NOW_S), sign(SECRET, NOW_S, BODY), now_s=late_s, other_s=late_s) == "ok"


@pytest.mark.parametrize("late", [-31, 31, 10_000])
def test_too_old_or_ahead(late: int) -> None:
    late_s = NOW_S + late
    assert code(str(NOW_S), sign(SECRET, NOW_S, BODY), now_s=late_s, other_s=late_s) == "UNAUTHENTICATED"


def test_right_by_one_of_two_clocks_is_right() -> None:
    right = sign(SECRET, NOW_S, BODY)
    assert code(str(NOW_S), right, now_s=NOW_S + 3_600) == code(str(NOW_S), right, other_s=NOW_S + 3_600) == "ok"


def test_anything_else_is_refused() -> None:
    right = sign(SECRET, NOW_S, BODY)
    assert code(str(NOW_S), right, BODY + b" ") == "UNAUTHENTICATED"
    assert code(str(NOW_S + 1), right) == "UNAUTHENTICATED"
    assert code(str(NOW_S), sign(b"another secret of the right length", NOW_S, BODY)) == "UNAUTHENTICATED"
    for timestamp in ("", "now", "-1", "1e9", "٣", "9" * 13):
        assert code(timestamp, sign(SECRET, timestamp, BODY)) == "UNAUTHENTICATED"
    for signature in ("", "sha256=", right.removeprefix("sha256="), "sha256=é"):
        assert code(str(NOW_S), signature) == "UNAUTHENTICATED"


def test_the_same_request_is_the_same_cue() -> None:
    one, other = sign(SECRET, NOW_S, BODY), sign(SECRET, NOW_S + 1, BODY)
    assert cue_id_of(one) == cue_id_of(one.upper().replace("SHA256", "sha256"))
    assert cue_id_of(one) != cue_id_of(other)
    assert len(cue_id_of(one)) <= 64
