"""PURE: a ruleset in plain words, a sentence a rule, for people who do not read TOML."""

from __future__ import annotations

from typing import Final

from broadcast_sync.errors import CODES
from voting.ballot.ruleset import (
    CapRule,
    CounterRule,
    DebitRule,
    OnceRule,
    PaceRule,
    RateRule,
    Rule,
    RulesetData,
)

_WITHIN: Final = {
    "episode": "in an episode",
    "window": "in a voting window",
    "round": "in a round",
    "day": "in a calendar day of the show",
    "show": "in the whole show",
}
_PER: Final = {"": "", "contestant": " for one contestant", "category": " for one category of contestants"}


def explain(data: RulesetData) -> list[str]:
    """The ruleset, line by line: what every ballot must keep to, then each vote type."""
    lines = [data.text, "", f"A ballot holds 1 to {data.max_vote_count:,} votes."]
    if data.rounds:
        lines.append(f"A season has {data.rounds} rounds.")
    kept = "a day" if data.keep_days == 1 else f"{data.keep_days} days"
    lines.append(f"What a voter has used is remembered for {kept} after the last window they voted in.")
    if data.test_only:
        lines.append("For tests: the settings say where a window may have these rules.")
    if data.claims:
        lines += ["", "Every ballot:", *[f"  - {sentence(rule)}" for rule in data.claims]]
    for name, kind in data.types.items():
        counts = "counts once" if kind.weight == 1 else f"counts {kind.weight} times"
        needs = "; its voter needs a verified phone" if kind.requires else ""
        lines += ["", f"Vote type {name}: a vote {counts}{needs}."]
        lines += [f"  - {sentence(rule)}" for rule in kind.claims]
        if not kind.claims:
            lines.append("  - no limit of its own")
    return lines


def sentence(rule: Rule) -> str:
    """One rule in one sentence, with the code and the words of its refusal."""
    return f"{_rule(rule)}; else {rule.code}: {CODES[rule.code].message}"


def _rule(rule: Rule) -> str:
    if isinstance(rule, DebitRule):
        account = "their paid votes" if rule.account == "paid" else "a bundle, the one that expires first before others"
        return f"the voter pays each vote from {account}"
    if isinstance(rule, CapRule):
        most, period = _amount(rule.limit, "votes"), _seconds(rule.period_s)
        return f"all voters together: at most {most} for one contestant in any {period}, an equal part in each shard"
    within = _WITHIN[rule.scope] + _PER[rule.per]
    if isinstance(rule, OnceRule):
        return f"one ballot of a voter {within}"
    most = _amount(rule.limit, rule.counts)
    if isinstance(rule, CounterRule):
        return f"at most {most} of a voter {within}"
    if isinstance(rule, RateRule):
        return f"at most {most} of a voter in any {_seconds(rule.period_s)} {within}"
    assert isinstance(rule, PaceRule)
    burst, each = _amount(rule.burst, rule.counts), rule.period_s / rule.limit
    return f"at most {burst} of a voter at once, and then one each {each:g} seconds, {within}"


def _amount(number: int, what: str) -> str:
    return f"one {what.removesuffix('s')}" if number == 1 else f"{number:,} {what}"


def _seconds(seconds: int) -> str:
    for size, name in ((3600, "hour"), (60, "minute")):
        if seconds % size == 0:
            return name if seconds == size else f"{seconds // size} {name}s"
    return f"{seconds} seconds"
