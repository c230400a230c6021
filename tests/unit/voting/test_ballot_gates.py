"""Which rulesets a window may hold here."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal, cast

import msgspec
import pytest
from redis.asyncio import Redis

from broadcast_sync.errors import Refusal, SettingsError
from broadcast_sync.settings import Server, Settings, Voting
from broadcast_sync.show.model import Ruleset
from tests.support.ballots import BRISK
from voting.ballot.gates import Gates
from voting.ballot.library import parse, shipped

NO_ENGINE = cast(Redis, None)


def gates(allow: Literal["loopback", "always", "never"] = "loopback", host: str = "127.0.0.1") -> Gates:
    return Gates(Settings(server=Server(host=host), voting=Voting(allow_unlimited=allow)), NO_ENGINE)


def test_the_default_ruleset_is_the_settings_one() -> None:
    assert gates().ruleset(None) == gates().ruleset("xfactor") == shipped()["xfactor"].frozen()
    with pytest.raises(SettingsError, match=r"voting\.ruleset: there is no ruleset nope"):
        Gates(Settings(voting=Voting(ruleset="nope")), NO_ENGINE)


@pytest.mark.parametrize("name", ["nope", "XFACTOR", "../xfactor", "x" * 10_000])
def test_an_unknown_ruleset_is_refused(name: str) -> None:
    with pytest.raises(Refusal) as caught:
        gates().ruleset(name)
    assert caught.value.code == "CUE_REJECTED"
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("allow", "host", "allowed"),
    [
        ("loopback", "127.0.0.1", True), ("loopback", "0.0.0.0", False), ("always", "0.0.0.0", True),
        ("never", "127.0.0.1", False),
    ],
)
def test_unlimited_only_where_the_settings_allow_it(
    allow: Literal["loopback", "always", "never"], host: str, allowed: bool
) -> None:
    if allowed:
        assert gates(allow, host).ruleset("unlimited").name == "unlimited"
    else:
        with pytest.raises(Refusal, match="CUE_REJECTED"):
            gates(allow, host).ruleset("unlimited")


def test_a_window_gets_the_very_rules_it_holds_or_none() -> None:
    held = gates().ruleset("xfactor")
    assert gates().rules(held) == shipped()["xfactor"]
    assert gates().rules(msgspec.structs.replace(held, hash="0" * 64)) is None
    assert gates().rules(msgspec.structs.replace(held, name="nope")) is None
    assert gates().rules(msgspec.structs.replace(held, canonical=held.canonical.replace("5", "6", 1))) is None


def test_rules_of_a_window_are_known_where_no_file_of_that_name_is() -> None:
    held = parse(BRISK, "brisk").frozen()
    assert gates().rules(held) == parse(BRISK, "brisk")


def test_rules_of_a_newer_version_are_not_guessed() -> None:
    text = shipped()["xfactor"].canonical().decode().replace('"rounds":0', '"rounds":0,"seasons":3')
    assert "seasons" in text
    held = Ruleset("xfactor", sha256(text.encode()).hexdigest(), {}, canonical=text)
    assert gates().rules(held) is None


def test_a_cap_that_no_shard_could_keep_is_refused() -> None:
    data = parse(BRISK + '\n[[types.super.claims]]\nkind = "cap"\nname = "all"\nlimit = 20\nperiod_s = 60\n', "x")
    settings = Settings(voting=Voting(ruleset="brisk", shards=4))
    with pytest.raises(Refusal, match="cap all of 20 leaves each of the 4 shards less than the 6 votes"):
        Gates(settings, NO_ENGINE, {"brisk": data}).ruleset(None)
    assert Gates(Settings(voting=Voting(ruleset="brisk", shards=3)), NO_ENGINE, {"brisk": data}).ruleset(None)
