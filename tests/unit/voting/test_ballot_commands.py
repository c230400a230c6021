"""`rules check` and `rules explain`: exit codes, places, plain words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from broadcast_sync.errors import StartError
from tests.support.ballots import BRISK, brisk
from voting.ballot.commands import rules_app
from voting.ballot.explain import explain, sentence
from voting.ballot.library import library, parse, shipped
from voting.ballot.ruleset import CapRule, CounterRule, PaceRule, RateRule


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(rules_app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_check_says_the_hash_of_a_ruleset(tmp_path: Path) -> None:
    file = tmp_path / "brisk.toml"
    file.write_text(BRISK)
    code, shown = run("check", str(file))
    assert code == 0 and brisk().hash() in shown
    code, shown = run("check", str(file), "--json")
    assert code == 0
    assert json.loads(shown) == {
        "file": str(file), "valid": True, "name": "brisk", "hash": brisk().hash(), "problems": []
    }


def test_check_lists_everything_and_its_place(tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(BRISK.replace("weight = 3", "weight = 0").replace('"pace"', '"[b]pace"'))
    code, shown = run("check", str(file))
    assert code == 1
    assert "claims[0].kind" in shown and "types.super.weight" in shown
    code, shown = run("check", str(file), "--json")
    assert code == 1
    assert [problem["place"] for problem in json.loads(shown)["problems"]] == ["claims[0].kind", "types.super.weight"]


def test_check_of_what_cannot_be_read_is_wrong_use(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(StartError) as caught:
            run("check", str(path))
        assert caught.value.exit_code == 2


def test_explain_by_name_and_by_file(tmp_path: Path) -> None:
    _, shown = run("explain", "hybrid")
    assert "one ballot of a voter in the whole show for one contestant; else ALREADY_VOTED" in shown
    assert "at most 30 votes of a voter in a round; else ROUND_LIMIT" in shown
    assert "Vote type mega: a vote counts 10 times." in shown
    assert "at most one vote of a voter in a round; else MEGA_LIMIT" in shown
    file = tmp_path / "brisk.json"
    file.write_bytes(brisk().canonical())
    code, shown = run("explain", str(file), "--json")
    assert code == 0 and json.loads(shown)["hash"] == brisk().hash()
    with pytest.raises(StartError, match="no ruleset and no file nope"):
        run("explain", "nope")


def test_every_rule_has_its_sentence() -> None:
    for data in shipped().values():
        assert all(isinstance(line, str) for line in explain(data))
    said = sentence(CapRule("all", 10_000, 60))
    assert "10,000 votes for one contestant in any minute, an equal part in each shard; else RATE_LIMIT" in said
    assert "in any 2 hours in a round for one category" in sentence(RateRule("a", "round", 3, 7200, "category"))
    assert "at most 2 votes of a voter at once, and then one each 0.6 seconds" in sentence(
        PaceRule("a", "show", 100, 60, 2)
    )
    assert "at most 7 ballots of a voter in a calendar day of the show" in sentence(
        CounterRule("a", "day", 7, "DAILY_LIMIT", counts="ballots")
    )


def test_rulesets_of_ones_own_stand_beside_the_shipped_ones(tmp_path: Path) -> None:
    file = tmp_path / "brisk.toml"
    file.write_text(BRISK)
    assert library([str(file)])["brisk"] == brisk()
    assert set(library([str(file)])) == {*shipped(), "brisk"}
    for names in ([str(file), str(file)], [str(tmp_path / "none.toml")]):
        with pytest.raises(StartError):
            library(names)
    file.write_text(BRISK.replace('"brisk"', '"xfactor"'))
    with pytest.raises(StartError, match="there is a ruleset xfactor already"):
        library([str(file)])
    assert parse(BRISK, "x") == brisk()
