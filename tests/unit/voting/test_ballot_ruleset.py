"""Rulesets: what ships, what is refused and where, the hash and the words."""

from __future__ import annotations

import json
from hashlib import sha256

import msgspec
import pytest

from broadcast_sync.errors import CODES
from tests.support.ballots import BRISK, brisk
from voting.ballot.checking import KINDS, VOTING_CODES
from voting.ballot.library import RulesetError, parse, shipped
from voting.ballot.ruleset import RulesetData, thaw


def test_the_shipped_rulesets_say_what_they_allow() -> None:
    assert sorted(shipped()) == ["hybrid", "unlimited", "xfactor"]
    words = shipped()["xfactor"].words()
    assert {key: words[key] for key in words if key != "text"} == {
        "name": "xfactor",
        "votesPerMinute": 100,
        "freeVotesPerEpisode": 5,
        "smsVotesPerDay": 50,
        "voteTypes": ["free", "paid", "bundle", "sms"],
        "maxVoteCount": 100,
    }
    words = shipped()["hybrid"].words()
    assert {key: words[key] for key in words if key != "text"} == {
        "name": "hybrid",
        "rounds": 75,
        "votesPerContestant": 1,
        "clipsPerRound": 30,
        "votesPerDay": 200,
        "superVotesPerRound": 1,
        "megaVotesPerRound": 1,
        "voteTypes": ["standard", "super", "mega"],
        "maxVoteCount": 1,
    }
    assert {kind: rule.weight for kind, rule in shipped()["hybrid"].types.items()} == {
        "standard": 1, "super": 3, "mega": 10,
    }
    assert shipped()["unlimited"].words()["maxVoteCount"] == 1_000_000
    assert [name for name, data in shipped().items() if data.test_only] == ["unlimited"]


def test_the_hash_is_of_the_canonical_json_and_of_nothing_else() -> None:
    data = shipped()["xfactor"]
    plain = msgspec.to_builtins(data)
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert data.canonical() == canonical
    assert data.hash() == sha256(canonical).hexdigest() == data.frozen().hash
    assert parse("# a comment\n" + BRISK.replace("weight = 3\n", "weight=3 \n"), "x").hash() == brisk().hash()
    assert parse(BRISK.replace("limit = 12", "limit = 13"), "x").hash() != brisk().hash()


def test_the_default_written_out_is_the_same_ruleset() -> None:
    assert parse(BRISK.replace("max_vote_count = 6", "max_vote_count = 6\nkeep_days = 7"), "x").hash() == brisk().hash()


def test_a_window_holds_all_of_its_rules() -> None:
    for data in shipped().values():
        assert thaw(data.frozen()) == data
        assert sha256(data.frozen().canonical.encode()).hexdigest() == data.hash()


def test_json_is_as_good_as_toml() -> None:
    for data in shipped().values():
        assert parse(data.canonical(), "x.json") == data
    with pytest.raises(RulesetError, match=r"^x\.json: not JSON"):
        parse(BRISK, "x.json")


CHANGES = [
    ('name = "brisk"', "name = 7", "name"),
    ('name = "brisk"', 'name = "brisk\\u0000"', "name"),
    ('name = "brisk"', "", "name"),
    ("max_vote_count = 6", "max_vote_count = 0", "max_vote_count"),
    ("max_vote_count = 6", "max_vote_count = 9223372036854775808", "max_vote_count"),
    ("max_vote_count = 6", "max_vote_count = 7", "claims[0].limit"),
    ("max_vote_count = 6", "max_vote_count = 6\nspeed = 1", "speed"),
    ("max_vote_count = 6", "max_vote_count = 6\nclaims = 3", ""),
    ("max_vote_count = 6", "max_vote_count = true", "max_vote_count"),
    ('kind = "pace"', 'kind = "wish"', "claims[0].kind"),
    ('kind = "pace"', "kind = [1]", "claims[0].kind"),
    ('kind = "pace"', "", "claims[0].kind"),
    ('kind = "pace"', 'kind = "rate"', "claims[0].burst"),
    ("burst = 6", "burst = 7", "claims[0].burst"),
    ("burst = 6", "burst = 5", "claims[0].limit"),
    ("burst = 6", "", "claims[0].burst"),
    ('scope = "episode"', 'scope = "galaxy"', "claims[0].scope"),
    ('scope = "episode"', 'scope = "round"', "claims[0].scope"),
    ("limit = 12", "limit = 0", "types.free.claims[0].limit"),
    ("limit = 12", "limit = -1", "types.free.claims[0].limit"),
    ("limit = 12", "limit = 1.5", "types.free.claims[0].limit"),
    ("limit = 12", 'limit = 12\nper = "contestant"', "types.free.claims[0].shows"),
    ("limit = 12", 'limit = 12\nper = "moon"', "types.free.claims[0].per"),
    ('code = "SUPER_LIMIT"', 'code = "OOPS"', "types.super.claims[0].code"),
    ('code = "SUPER_LIMIT"', 'code = "CUE_REJECTED"', "types.super.claims[0].code"),
    ('name = "free"', 'name = "votes"', "types.free.claims[0].name"),
    ('name = "free"', 'name = "super"', "types.super.claims[0].name"),
    ('shows = "free"', 'shows = "super"', "types.super.claims[0].shows"),
    ("weight = 3", "weight = 0", "types.super.weight"),
    ("weight = 3", 'weight = 3\nrequires = "money"', "types.super.requires"),
    ("[types.super]", '["types"."a b"]', "types.a b"),
    ("[types.super]", "[types", ""),
]


@pytest.mark.parametrize(("old", "new", "place"), CHANGES)
def test_a_contradictory_ruleset_is_refused_with_source_and_place(old: str, new: str, place: str) -> None:
    assert old in BRISK
    with pytest.raises(RulesetError) as caught:
        parse(BRISK.replace(old, new, 1), "brisk.toml")
    assert place in [problem.place for problem in caught.value.problems]
    assert str(caught.value).startswith("brisk.toml: ")
    assert "\n" not in str(caught.value) or not place


def test_everything_that_is_wrong_is_said_at_once() -> None:
    text = BRISK.replace("limit = 12", "limit = 0").replace("weight = 3", "weight = 0")
    text = text.replace("limit = 6", 'limit = "six"')
    with pytest.raises(RulesetError, match="and 2 more") as caught:
        parse(text, "x")
    assert [problem.place for problem in caught.value.problems] == [
        "claims[0].limit", "types.free.claims[0].limit", "types.super.weight",
    ]


@pytest.mark.parametrize("content", ["", "[]", "3", "null", '{"types": []}', '{"types": {"free": 1}}', "[" * 100_000])
def test_what_is_no_ruleset_at_all_is_refused(content: str) -> None:
    with pytest.raises(RulesetError):
        parse(content, "x.json")
    with pytest.raises(RulesetError):
        parse("#" * 300_000, "x.toml")


def test_every_kind_and_code_that_is_checked_exists() -> None:
    assert set(CODES) >= VOTING_CODES
    assert {msgspec.inspect.type_info(kind).tag for kind in KINDS.values()} == set(KINDS)  # type: ignore[attr-defined]  # struct types have a tag


def test_a_ruleset_survives_its_own_canonical_json() -> None:
    for data in shipped().values():
        assert msgspec.json.decode(data.canonical(), type=RulesetData) == data
