"""Rulesets: what ships, what is refused, the hash and the words."""

from __future__ import annotations

import json
from hashlib import sha256

import msgspec
import pytest

from broadcast_sync.errors import StartError
from tests.support.ballots import BRISK, brisk
from voting.ballot.ruleset import RulesetData, parse, shipped


def test_the_shipped_rulesets_say_what_they_allow() -> None:
    assert sorted(shipped()) == ["unlimited", "xfactor"]
    words = shipped()["xfactor"].words()
    assert {key: words[key] for key in words if key != "text"} == {
        "name": "xfactor",
        "votesPerMinute": 100,
        "freeVotesPerEpisode": 5,
        "voteTypes": ["free"],
        "maxVoteCount": 100,
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


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "brisk"', "name = 7", "name"),
        ("max_vote_count = 6", "max_vote_count = 0", ">= 1"),
        ("max_vote_count = 6", "max_vote_count = 7", "never passes"),
        ("max_vote_count = 6", "max_vote_count = 6\nspeed = 1", "speed"),
        ('kind = "rate"', 'kind = "wish"', "wish"),
        ('scope = "episode"', 'scope = "galaxy"', "galaxy"),
        ("limit = 12", "limit = 0", ">= 1"),
        ("limit = 12", "limit = 1.5", "int"),
        ('code = "SUPER_LIMIT"', 'code = "OOPS"', "OOPS"),
        ('name = "free"', 'name = "votes"', "same name"),
        ("weight = 3", "weight = 0", ">= 1"),
        ("[types.super]", "[types", "TOML|ruleset"),
    ],
)
def test_a_contradictory_ruleset_is_refused_with_its_source(old: str, new: str, said: str) -> None:
    assert old in BRISK
    with pytest.raises(StartError, match=said) as caught:
        parse(BRISK.replace(old, new, 1), "brisk.toml")
    assert str(caught.value).startswith("brisk.toml: ")


def test_a_ruleset_survives_its_own_canonical_json() -> None:
    for data in shipped().values():
        assert msgspec.json.decode(data.canonical(), type=RulesetData) == data
