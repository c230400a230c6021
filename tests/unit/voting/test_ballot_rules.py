"""The rules of a window: claims and weights, or the code of the refusal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.errors import Refusal
from tests.support.ballots import brisk, stage_of
from voting.ballot.claims import COUNTER, RATE, Claim
from voting.ballot.rules import DAY_MS, WindowRules
from voting.ballot.ruleset import RulesetData, shipped

OPENS_MS = 1_800_000_000_000
HARD_MS = OPENS_MS + 65_000


def rules_of(data: RulesetData) -> WindowRules:
    stage = stage_of(data.frozen(), opens_ms=OPENS_MS, show_id="xf")
    assert stage.show is not None and stage.window is not None
    return WindowRules(data, stage.show, stage.window)


def code_of(rules: WindowRules, contestant: str = "c1", kind: str = "free", count: int = 1) -> str:
    with pytest.raises(Refusal) as caught:
        rules.judge(contestant, kind, count)
    return caught.value.code


def test_a_free_vote_claims_the_rate_and_then_the_episodes_votes() -> None:
    ruled = rules_of(shipped()["xfactor"]).judge("c1", "free", 3)
    assert ruled.weight == 1
    assert ruled.claims == (
        Claim(RATE, "votes", "xf:7", 3, 100, HARD_MS + 7 * DAY_MS, "RATE_LIMIT", period_ms=60_000),
        Claim(COUNTER, "free", "xf:7", 3, 5, HARD_MS + 7 * DAY_MS, "NO_FREE_VOTES", "free"),
    )


def test_unlimited_claims_nothing() -> None:
    rules = rules_of(shipped()["unlimited"])
    assert rules.judge("c1", "free", 1_000_000).claims == ()
    assert rules.limits() == ()
    assert rules.shown == {"free": ()}


def test_what_is_left_is_shown_by_type() -> None:
    rules = rules_of(brisk())
    assert rules.shown == {"free": ((1, "free"),), "super": ((1, "super"),)}
    assert {claim.shows: (claim.limit, claim.cost) for claim in rules.limits()} == {"free": (12, 0), "super": (2, 0)}
    assert rules.judge("c2", "super", 2).weight == 3


def test_refusals_have_their_codes() -> None:
    rules = rules_of(shipped()["xfactor"])
    assert code_of(rules, kind="paid") == "INVALID_VOTE_TYPE"
    assert code_of(rules, kind="") == "INVALID_VOTE_TYPE"
    assert code_of(rules, "nobody") == "INVALID_CONTESTANT"
    assert code_of(rules, "c3") == "CONTESTANT_ELIMINATED"
    assert code_of(rules, "nobody", "paid", 0) == "INVALID_VOTE_TYPE"


@given(st.integers())
def test_the_count_is_within_the_rules_or_refused(count: int) -> None:
    rules = rules_of(shipped()["xfactor"])
    if 1 <= count <= 100:
        assert {claim.cost for claim in rules.judge("c1", "free", count).claims} == {count}
    else:
        assert code_of(rules, count=count) == "INVALID_VOTE_COUNT"


@given(contestant=st.text(), kind=st.text(), count=st.integers())
def test_every_ballot_is_ruled_or_refused(contestant: str, kind: str, count: int) -> None:
    rules = rules_of(brisk())
    try:
        ruled = rules.judge(contestant, kind, count)
    except Refusal as refusal:
        assert refusal.code.startswith(("INVALID", "CONTESTANT"))
    else:
        assert all(1 <= claim.cost <= 6 and claim.expiry_ms > 0 for claim in ruled.claims)
