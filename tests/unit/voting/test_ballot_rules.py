"""The rules of a window: claims and weights, or the code of the refusal."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.errors import Refusal
from tests.support.ballots import BRISK, brisk, stage_of
from voting.ballot.claims import BUNDLE, COUNTER, PAID, RATE, WALLET, Claim
from voting.ballot.library import parse, shipped
from voting.ballot.rules import DAY_MS, LATE_MS, WindowRules
from voting.ballot.ruleset import RulesetData

OPENS_MS = 1_800_000_000_000
HARD_MS = OPENS_MS + 65_000


def rules_of(data: RulesetData, round: int = 0, timezone: str = "UTC", rehearsal: bool = False) -> WindowRules:
    stage = stage_of(data.frozen(), opens_ms=OPENS_MS, show_id="xf")
    assert stage.show is not None and stage.window is not None
    people = tuple([msgspec.structs.replace(person, category="rock") for person in stage.window.contestants])
    window = msgspec.structs.replace(stage.window, round=round, contestants=people)
    return WindowRules(data, msgspec.structs.replace(stage.show, timezone=timezone, rehearsal=rehearsal), window)


def code_of(rules: WindowRules, contestant: str = "c1", kind: str = "free", count: int = 1) -> str:
    with pytest.raises(Refusal) as caught:
        rules.judge(contestant, kind, count)
    return caught.value.code


KEPT_MS = HARD_MS + 7 * DAY_MS
PAID_LOOK = Claim(PAID, "paid", WALLET, 0, 0, 0, "INSUFFICIENT_VOTE_BALANCE", "paid")
BUNDLE_LOOK = Claim(BUNDLE, "lots", WALLET, 0, 0, 0, "INSUFFICIENT_BUNDLE_VOTES", "bundle")


def test_a_free_vote_claims_the_rate_and_then_the_episodes_votes() -> None:
    rules = rules_of(shipped()["xfactor"])
    ruled = rules.judge("c1", "free", 3, rules.day(OPENS_MS))
    assert (ruled.weight, ruled.phone) == (1, False)
    assert ruled.claims == (
        Claim(RATE, "#votes", "xf:7", 3, 100, KEPT_MS, "RATE_LIMIT", period_ms=60_000),
        Claim(COUNTER, "#free", "xf:7", 3, 5, KEPT_MS, "NO_FREE_VOTES", "free"),
    )


def test_paid_and_bundle_votes_are_debits_and_sms_needs_a_phone() -> None:
    rules = rules_of(shipped()["xfactor"])
    assert msgspec.structs.replace(PAID_LOOK, cost=7) in rules.judge("c1", "paid", 7).claims
    assert msgspec.structs.replace(BUNDLE_LOOK, cost=7) in rules.judge("c1", "bundle", 7).claims
    assert rules.judge("c1", "sms", 1).phone


def test_an_answer_shows_whatever_is_left_in_the_books_it_opens() -> None:
    rules = rules_of(shipped()["xfactor"])
    shown = {kind: {name for _, name in names} for kind, names in rules.shown.items()}
    assert shown == {
        "free": {"free"}, "paid": {"free", "paid", "bundle"}, "bundle": {"free", "paid", "bundle"},
        "sms": {"free", "sms"},
    }
    assert BUNDLE_LOOK in rules.judge("c1", "paid", 1).claims and PAID_LOOK in rules.judge("c1", "bundle", 1).claims


def test_a_hybrid_vote_claims_the_clip_the_round_and_the_day() -> None:
    rules = rules_of(shipped()["hybrid"], round=12, timezone="Asia/Phnom_Penh")
    day = rules.day(OPENS_MS)
    ruled = rules.judge("c2", "mega", 1, day)
    kept = HARD_MS + 366 * DAY_MS
    assert ruled.weight == 10
    assert day.name == "2027-01-15"
    assert [claim for claim in ruled.claims if claim.cost] == [
        Claim(COUNTER, "#clip/", "xf:all", 1, 1, kept, "ALREADY_VOTED", by_contestant=True),
        Claim(COUNTER, "#clips@12", "xf:all", 1, 30, kept, "ROUND_LIMIT", "round"),
        Claim(COUNTER, "#day", "xf:day:2027-01-15", 1, 200, day.end_ms + LATE_MS, "DAILY_LIMIT", "standard"),
        Claim(COUNTER, "#mega@12", "xf:all", 1, 1, kept, "MEGA_LIMIT", "mega"),
    ]
    assert {claim.shows for claim in ruled.claims if not claim.cost} == {"super"}
    once = rules.once("c2")
    assert once is not None and once.counter == "#clip/c2"


def test_a_limit_that_nobody_thought_of_is_data_only() -> None:
    data = parse(
        BRISK + """
[[types.free.claims]]
kind = "rate"
name = "hourly"
scope = "show"
per = "category"
limit = 3
period_s = 3600
counts = "ballots"
""", "x")
    rules = rules_of(data)
    [claim] = [claim for claim in rules.judge("c2", "free", 4).claims if claim.counter.startswith("#hourly")]
    assert claim == Claim(RATE, "#hourly/rock", "xf:all", 1, 3, KEPT_MS, "RATE_LIMIT", period_ms=3_600_000)


def test_unlimited_claims_nothing() -> None:
    rules = rules_of(shipped()["unlimited"])
    assert rules.judge("c1", "free", 1_000_000).claims == ()
    assert rules.limits() == ()
    assert rules.shown == {"free": ()}


def test_what_is_left_is_shown_by_type() -> None:
    rules = rules_of(brisk())
    assert rules.shown == {"free": ((1, "free"), (2, "super")), "super": ((1, "super"), (2, "free"))}
    assert {claim.shows: (claim.limit, claim.cost) for claim in rules.limits()} == {"free": (12, 0), "super": (2, 0)}
    assert rules.judge("c2", "super", 2).weight == 3


def test_refusals_have_their_codes() -> None:
    rules = rules_of(shipped()["xfactor"])
    assert code_of(rules, kind="super") == "INVALID_VOTE_TYPE"
    assert code_of(rules, kind="") == "INVALID_VOTE_TYPE"
    assert code_of(rules, "nobody") == "INVALID_CONTESTANT"
    assert code_of(rules, "c3") == "CONTESTANT_ELIMINATED"
    assert code_of(rules, "nobody", "super", 0) == "INVALID_VOTE_TYPE"


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
        assert all(0 <= claim.cost <= 6 and claim.expiry_ms > 0 for claim in ruled.claims)


def test_a_rehearsal_uses_up_nobodys_real_votes() -> None:
    books: set[str] = set()
    for data in shipped().values():
        real, rehearsed = rules_of(data), rules_of(data, rehearsal=True)
        day = real.day(OPENS_MS)
        for kind in data.types:
            if kind in ("paid", "bundle"):
                continue
            ours = {claim.scope for claim in rehearsed.judge("c1", kind, 1, day).claims if claim.scope.count(":")}
            assert all(scope.startswith("xf:rehearsal:") for scope in ours)
            assert not ours & {claim.scope for claim in real.judge("c1", kind, 1, day).claims}
            books |= ours
    assert len(books) > 2


def test_a_rehearsal_takes_no_votes_that_are_paid_for() -> None:
    rules = rules_of(shipped()["xfactor"], rehearsal=True)
    assert code_of(rules, kind="paid") == code_of(rules, kind="bundle") == "INVALID_VOTE_TYPE"
