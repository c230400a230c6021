"""PURE: all that is wrong with a ruleset, each with its place: a file's author sees everything in one go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import NODEFAULT, Struct, ValidationError

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
    TypeRule,
)

KINDS: Final[dict[str, type[Rule]]] = {
    "counter": CounterRule, "once": OnceRule, "rate": RateRule, "pace": PaceRule, "debit": DebitRule, "cap": CapRule,
}
VOTING_CODES: Final = frozenset({
    "RATE_LIMIT", "NO_FREE_VOTES", "INSUFFICIENT_VOTE_BALANCE", "INSUFFICIENT_BUNDLE_VOTES", "SMS_LIMIT",
    "ALREADY_VOTED", "ROUND_LIMIT", "DAILY_LIMIT", "SUPER_LIMIT", "MEGA_LIMIT",
})  # fmt: skip
"""The codes with which a claim may fail: those of the protocol that say so of a voter's ballot."""
PROBLEMS_MAX: Final = 100


class Problem(Struct, frozen=True):
    """`place` is a path as in `types.super.claims[0].code`, empty for the file as a whole."""

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


def problems(raw: Any) -> list[Problem]:
    """What keeps `raw` (a decoded TOML or JSON file) from being a ruleset, at most 100; none if it is one."""
    found = list(_shape(raw))
    if not found:
        try:
            found = list(_sense(msgspec.convert(raw, RulesetData)))
        except ValidationError as error:
            found = [Problem("", str(error))]
    return found[:PROBLEMS_MAX]


# --- shape: every key and value by itself --------------------------------------------------------------------


def _shape(raw: Any) -> Iterable[Problem]:
    if not isinstance(raw, dict):
        yield Problem("", "a ruleset is a table")
        return
    yield from _struct(raw, RulesetData, "", ("types", "claims"))
    yield from _claims(raw.get("claims", []), "claims")
    types = raw.get("types", {})
    if not isinstance(types, dict) or not 1 <= len(types) <= 32:
        yield Problem("types", "expected 1 to 32 vote types, each a table")
        return
    for name, rule in types.items():
        place = f"types.{name}"
        yield from _value(name, "name", RulesetData, "", place)
        if not isinstance(rule, dict):
            yield Problem(place, "expected a table")
            continue
        yield from _struct(rule, TypeRule, place, ("claims",))
        yield from _claims(rule.get("claims", []), f"{place}.claims")


def _claims(raw: Any, place: str) -> Iterable[Problem]:
    if not isinstance(raw, list) or len(raw) > 16:
        yield Problem(place, "expected a list of at most 16 claims")
        return
    for index, claim in enumerate(raw):
        at = f"{place}[{index}]"
        if not isinstance(claim, dict):
            yield Problem(at, "expected a table")
            continue
        kind = claim.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            yield Problem(f"{at}.kind", f"there is no claim {str(kind)[:64]!r}; known are {', '.join(KINDS)}")
            continue
        yield from _struct({key: value for key, value in claim.items() if key != "kind"}, KINDS[kind], at, ())


def _struct(raw: dict[Any, Any], of: type[Struct], place: str, later: tuple[str, ...]) -> Iterable[Problem]:
    """Problems of a table's keys; those of the keys `later` are looked at elsewhere, if they are there."""
    known = {field.encode_name: field for field in msgspec.structs.fields(of)}
    for key, value in raw.items():
        if key not in known:
            yield Problem(_at(place, key), f"unknown key; known are {', '.join(known)}")
        elif key not in later:
            yield from _value(value, key, of, place, _at(place, key))
    for key, field in known.items():
        if key not in raw and field.default is NODEFAULT and field.default_factory is NODEFAULT:
            yield Problem(_at(place, key), "is missing")


def _value(value: Any, key: str, of: type[Struct], place: str, at: str) -> Iterable[Problem]:
    kinds = {field.encode_name: field.type for field in msgspec.structs.fields(of)}
    try:
        msgspec.convert(value, kinds[key])
    except ValidationError as error:
        text = str(error).partition(" - at `")[0]
        yield Problem(at, f"{text[0].lower()}{text[1:]}, not {str(value)[:64]!r}")


def _at(place: str, key: object) -> str:
    return f"{place}.{str(key)[:64]}" if place else str(key)[:64]


# --- sense: what contradicts itself --------------------------------------------------------------------------


def _sense(data: RulesetData) -> Iterable[Problem]:
    seen: dict[str, tuple[str, Rule]] = {}
    shown: dict[str, tuple[str, Rule]] = {}
    for place, rule in _placed(data):
        yield from _sense_of(data, place, rule)
        if rule.name in seen and seen[rule.name][1] != rule:
            yield Problem(f"{place}.name", f"{rule.name} is another claim at {seen[rule.name][0]} already")
        seen.setdefault(rule.name, (place, rule))
        name = rule.shows if isinstance(rule, CounterRule | DebitRule) else ""
        if name and name in shown and shown[name][1] != rule:
            yield Problem(f"{place}.shows", f"{name} is shown by {shown[name][0]} already")
        if name:
            shown.setdefault(name, (place, rule))
    common = [rule.name for rule in data.claims]
    for index, name in enumerate(common):
        if name in common[:index]:
            yield Problem(f"claims[{index}].name", f"{name} is claimed twice by one ballot")
    for kind, of_kind in data.types.items():
        names = [rule.name for rule in data.rules_of(kind)]
        accounts = [rule.account for rule in data.rules_of(kind) if isinstance(rule, DebitRule)]
        for index, rule in enumerate(of_kind.claims):
            if names.count(rule.name) > 1:
                yield Problem(f"types.{kind}.claims[{index}].name", f"{rule.name} is claimed twice by one ballot")
        if len(set(accounts)) < len(accounts):
            yield Problem(f"types.{kind}.claims", "a ballot pays twice from the same account")


def _placed(data: RulesetData) -> Iterable[tuple[str, Rule]]:
    for index, rule in enumerate(data.claims):
        yield f"claims[{index}]", rule
    for kind, of_kind in data.types.items():
        for index, rule in enumerate(of_kind.claims):
            yield f"types.{kind}.claims[{index}]", rule


def _sense_of(data: RulesetData, place: str, rule: Rule) -> Iterable[Problem]:
    if rule.code not in CODES:
        yield Problem(f"{place}.code", f"there is no code {rule.code}")
    elif rule.code not in VOTING_CODES:
        known = ", ".join(sorted(VOTING_CODES))
        yield Problem(f"{place}.code", f"{rule.code} is not said of a limit; known are {known}")
    if isinstance(rule, CounterRule) and rule.shows and rule.per:
        yield Problem(f"{place}.shows", "a limit per contestant or category has no one number to show")
    if not isinstance(rule, DebitRule | CapRule) and rule.scope == "round" and not data.rounds:
        yield Problem(f"{place}.scope", "there are no rounds; set `rounds` to their number")
    if isinstance(rule, PaceRule) and rule.burst > rule.limit:
        yield Problem(f"{place}.burst", f"{rule.burst} at once are more than {rule.limit} in the whole period")
    most = rule.burst if isinstance(rule, PaceRule) else rule.limit if isinstance(rule, RateRule | CapRule) else None
    votes = 1 if isinstance(rule, RateRule | PaceRule) and rule.counts == "ballots" else data.max_vote_count
    if most is not None and most < votes:
        yield Problem(f"{place}.limit", f"a ballot of max_vote_count = {votes} never passes {most}")
