"""Rulesets as data: the rules there are, a whole ruleset, its canonical text and hash."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from broadcast_sync.show.model import Ruleset

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}\Z")]
Word = Annotated[str, Meta(pattern=r"^([a-z][A-Za-z0-9]{0,63})?\Z")]
Code = Annotated[str, Meta(pattern=r"^[A-Z][A-Z_]{0,63}\Z")]
Limit = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Period = Annotated[int, Meta(ge=1, le=86_400)]
Scope = Literal["episode", "window", "round", "day", "show"]
"""Within what a limit counts. A day is the calendar day in the show's time zone; a round is the show's."""
Per = Literal["", "contestant", "category"]
"""Whether a limit holds for each contestant, or each category of contestants, by itself."""
Counts = Literal["votes", "ballots"]
"""What a limit counts; a ballot may hold several votes. Weights count in the result, never in a limit."""

VOTES_MAX: Final = 1_000_000
"""The most votes in one ballot under any ruleset; times the largest weight it still fits the ledger's integer."""


class CounterRule(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="counter"):
    """At most `limit` of a voter within `scope`."""

    name: Name
    scope: Scope
    limit: Limit
    code: Code
    per: Per = ""
    counts: Counts = "votes"
    shows: Word = ""
    word: Word = ""


class OnceRule(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="once"):
    """One ballot of a voter within `scope`, or one `per` contestant or category."""

    name: Name
    scope: Scope
    per: Per = ""
    code: Code = "ALREADY_VOTED"


class RateRule(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="rate"):
    """Never more than `limit` of a voter in any `period_s` seconds, wherever they begin; starts afresh with each
    `scope`. Kept to a twentieth of the period, always in the stricter direction."""

    name: Name
    scope: Scope
    limit: Limit
    period_s: Period
    per: Per = ""
    counts: Counts = "votes"
    code: Code = "RATE_LIMIT"
    word: Word = ""


class PaceRule(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="pace"):
    """An even pace (GCRA): at most `burst` of a voter at once after a rest, and then one each `period_s / limit`. In
    the first period as many as `burst + limit` may pass."""

    name: Name
    scope: Scope
    limit: Limit
    period_s: Period
    burst: Limit
    per: Per = ""
    counts: Counts = "votes"
    code: Code = "RATE_LIMIT"
    word: Word = ""


class DebitRule(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="debit"):
    """Every vote is paid from an account of the voter's wallet: `paid` votes never expire, those of a `bundle` do and
    what expires first is spent first."""

    name: Name
    account: Literal["paid", "bundle"]
    code: Code
    shows: Word = ""


class CapRule(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="cap"):
    """Never more than `limit` votes for one contestant, of all voters together, in any `period_s` seconds of a window.
    Each shard keeps `limit / shards`, rounded down: with voters spread unevenly a contestant gets somewhat less."""

    name: Name
    limit: Limit
    period_s: Period
    code: Code = "RATE_LIMIT"
    word: Word = ""


Rule = CounterRule | OnceRule | RateRule | PaceRule | DebitRule | CapRule


class TypeRule(Struct, frozen=True, forbid_unknown_fields=True):
    """One vote type: what a vote of it weighs, what it uses up beside the claims of every type, and what its voter
    must be; a voter without a verified phone gets PHONE_NOT_VERIFIED."""

    weight: Annotated[int, Meta(ge=1, le=1_000)] = 1
    requires: Literal["", "phone_verified"] = ""
    claims: Annotated[tuple[Rule, ...], Meta(max_length=16)] = ()


class RulesetData(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole ruleset. `word` of a rule is the key under which `words` shows its limit, `shows` the name under which
    answers tell what is left. What a voter has used, and the first answers, are remembered until `keep_days` after the
    hard close of the window they voted in last. `rounds` is after how many rounds a season ends; 0 without rounds."""

    name: Name
    text: Annotated[str, Meta(min_length=1, max_length=500)]
    max_vote_count: Annotated[int, Meta(ge=1, le=VOTES_MAX)]
    types: Annotated[dict[Name, TypeRule], Meta(min_length=1, max_length=32)]
    claims: Annotated[tuple[Rule, ...], Meta(max_length=16)] = ()
    keep_days: Annotated[int, Meta(ge=1, le=366)] = 7
    rounds: Annotated[int, Meta(ge=0, le=10_000)] = 0
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
        """The rules for people and pages, in camelCase: name, voteTypes, maxVoteCount, text, rounds if there are any,
        each limit that has a word (`freeVotesPerEpisode`, `votesPerMinute`), and `votesPerContestant` where each may
        be voted for once."""
        shown: dict[str, Any] = {"name": self.name}
        for kind in self.types:
            for rule in self.rules_of(kind):
                if not isinstance(rule, OnceRule | DebitRule) and rule.word:
                    shown[rule.word] = rule.limit
                elif isinstance(rule, OnceRule) and rule.per == "contestant":
                    shown["votesPerContestant"] = 1
        if self.rounds:
            shown["rounds"] = self.rounds
        return {**shown, "voteTypes": list(self.types), "maxVoteCount": self.max_vote_count, "text": self.text}

    def frozen(self) -> Ruleset:
        """What a window holds of these rules: all of them."""
        text = self.canonical()
        return Ruleset(self.name, sha256(text).hexdigest(), self.words(), self.rounds, text.decode())


def thaw(held: Ruleset) -> RulesetData:
    """The rules that a window holds, whatever rulesets this program ships. Raises ValueError when the text is not the
    one that was hashed, or has rules that this version does not know."""
    if sha256(held.canonical.encode()).hexdigest() != held.hash:
        raise ValueError(f"the text of ruleset {held.name} does not have the hash {held.hash}")
    data = msgspec.json.decode(held.canonical, type=RulesetData)
    if data.name != held.name:
        raise ValueError(f"ruleset {held.name} has the text of {data.name}")
    return data
