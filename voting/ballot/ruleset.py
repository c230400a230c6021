"""Rulesets as data: TOML that compiles to claims, its canonical hash, and its plain words for people."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from broadcast_sync.errors import CODES, StartError
from broadcast_sync.show.model import Ruleset

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
Word = Annotated[str, Meta(pattern=r"^([a-z][A-Za-z0-9]{0,63})?$")]
Limit = Annotated[int, Meta(ge=1, le=1_000_000_000)]

VOTES_MAX: Final = 1_000_000
"""The most votes in one ballot under any ruleset; times the largest weight it still fits the ledger's integer."""


class CounterRule(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="counter"):
    """At most `limit` votes of a voter within `scope`."""

    name: Name
    scope: Literal["episode"]
    limit: Limit
    code: str
    shows: Word = ""
    word: Word = ""


class RateRule(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="rate"):
    """At most `limit` votes of a voter at once and `limit` each `period_s` after that; starts afresh with each
    `scope`."""

    name: Name
    scope: Literal["episode"]
    limit: Limit
    period_s: Annotated[int, Meta(ge=1, le=86_400)]
    code: str = "RATE_LIMIT"
    word: Word = ""


Rule = CounterRule | RateRule


class TypeRule(Struct, frozen=True, forbid_unknown_fields=True):
    """One vote type: what a vote of it weighs and what it uses up beside the claims of every type."""

    weight: Annotated[int, Meta(ge=1, le=1_000)] = 1
    claims: tuple[Rule, ...] = ()


class RulesetData(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole ruleset. `word` of a rule is the key under which `words` shows its limit. What a voter has used, and the
    first answers, are remembered until `keep_days` after the hard close of the window they voted in last."""

    name: Name
    text: Annotated[str, Meta(min_length=1, max_length=500)]
    max_vote_count: Annotated[int, Meta(ge=1, le=VOTES_MAX)]
    types: Annotated[dict[Name, TypeRule], Meta(min_length=1, max_length=32)]
    claims: tuple[Rule, ...] = ()
    keep_days: Annotated[int, Meta(ge=1, le=366)] = 7
    test_only: bool = False

    def rules_of(self, vote_type: str) -> tuple[Rule, ...]:
        """The rules of a vote type in the order in which they are checked."""
        return (*self.claims, *self.types[vote_type].claims)

    def canonical(self) -> bytes:
        """The one JSON text of these rules: keys sorted, defaults written out, no white space."""
        return msgspec.json.encode(msgspec.to_builtins(self), order="sorted")

    def hash(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal: 64 characters."""
        return sha256(self.canonical()).hexdigest()

    def words(self) -> dict[str, Any]:
        """The rules for people and pages, in camelCase: name, voteTypes, maxVoteCount, text, and each limit that
        has a word (`freeVotesPerEpisode`, `votesPerMinute`)."""
        shown: dict[str, Any] = {"name": self.name}
        for kind in self.types:
            shown.update({rule.word: rule.limit for rule in self.rules_of(kind) if rule.word})
        return {**shown, "voteTypes": list(self.types), "maxVoteCount": self.max_vote_count, "text": self.text}

    def frozen(self) -> Ruleset:
        """What a window holds of these rules."""
        return Ruleset(self.name, self.hash(), self.words())


def parse(text: str, source: str) -> RulesetData:
    """The ruleset in a TOML text. Raises StartError, naming `source` and what is wrong in it."""
    try:
        data = msgspec.convert(tomllib.loads(text), RulesetData)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise StartError(f"{source}: not a ruleset: {error}") from None
    for kind in data.types:
        rules = data.rules_of(kind)
        names = [rule.name for rule in rules]
        if len(set(names)) < len(names):
            raise StartError(f"{source}: vote type {kind} has two claims of the same name")
        for rule in rules:
            if rule.code not in CODES:
                raise StartError(f"{source}: claim {rule.name} has the unknown code {rule.code}")
            if isinstance(rule, RateRule) and rule.limit < data.max_vote_count:
                raise StartError(f"{source}: max_vote_count is above the rate {rule.name}: such a ballot never passes")
    return data


def shipped() -> Mapping[str, RulesetData]:
    """The rulesets that come with the package, by name. Raises StartError if one is broken."""
    found: dict[str, RulesetData] = {}
    for file in sorted(files("voting.ballot").joinpath("rulesets").iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            data = parse(file.read_text("utf-8"), file.name)
            found[data.name] = data
    return found
