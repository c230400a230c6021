"""PURE: the rules of one window. A ballot becomes claims and a weight, or a refusal with its code."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from broadcast_sync.errors import Refusal
from broadcast_sync.show.model import Show, Window
from voting.ballot.claims import BUNDLE, COUNTER, PACE, PAID, RATE, SHARD, WALLET, Claim
from voting.ballot.days import Day, day_of
from voting.ballot.ruleset import CapRule, CounterRule, DebitRule, OnceRule, PaceRule, RateRule, Rule, RulesetData

DAY_MS: Final = 86_400_000
LATE_MS: Final = 3_600_000
"""How long after its end a day's book is kept: far beyond the time in which a ballot may still be under way."""

ALWAYS: Final = Day("", -(2**62), 2**62)
"""The only day of rules that do not ask which day it is."""


class Ruled(Struct, frozen=True, gc=False):
    """A ballot that the rules allow, if the engine grants its claims. `weight` multiplies its votes; `phone` says that
    the voter needs a verified phone."""

    claims: tuple[Claim, ...]
    weight: int
    phone: bool = False


class WindowRules:
    """A ruleset applied to one window of one episode; made once a window, asked once a ballot."""

    def __init__(self, data: RulesetData, show: Show, window: Window, season: str = "") -> None:
        """`season` is the id of the season whose round the window is, if there are rounds."""
        self.data: Final = data
        self._round = f"@{season}.{window.round}" if season else f"@{window.round}"
        self._show = show
        self._window = window
        self._types: Final = {kind: (rule, data.rules_of(kind)) for kind, rule in data.types.items()}
        self._max = data.max_vote_count
        self._contestants: Final = {contestant.id: contestant.status for contestant in window.contestants}
        rules = [rule for _, all_rules in self._types.values() for rule in all_rules]
        self.categories: Final = (
            {contestant.id: contestant.category for contestant in window.contestants}
            if any(getattr(rule, "per", "") == "category" for rule in rules) else {}
        )
        """Contestant id -> category if a rule asks for it, else empty."""
        self._zone = (
            ZoneInfo(show.timezone) if any(getattr(rule, "scope", "") == "day" for rule in rules) else None
        )
        # a rehearsal has books of its own, so that nobody's votes of the real show are used up
        self._books = f"{show.show_id}:rehearsal" if show.rehearsal else show.show_id
        self.scope: Final = f"{self._books}:{show.episode_ref}"
        """The scope of a voter's first book, which holds the first answers: the episode."""
        self.expiry_ms: Final = window.hard_closes_ms + data.keep_days * DAY_MS
        """Until when what a voter does in this window is remembered."""
        self.shown: Final = {
            kind: tuple(
                (index, claim.shows)
                for index, claim in enumerate(self._claims(kind, 0, "", ALWAYS))
                if claim.shows
            )
            for kind in self._types
        }
        """By vote type: (index of the claim, name) of each claim whose rest an answer shows."""

    def judge(self, contestant_id: str, vote_type: str, vote_count: int, day: Day = ALWAYS) -> Ruled:
        """What the ballot claims on `day`. Raises Refusal INVALID_VOTE_TYPE, INVALID_CONTESTANT, CONTESTANT_ELIMINATED
        or INVALID_VOTE_COUNT, in that order."""
        found = self._types.get(vote_type)
        if found is None:
            raise Refusal("INVALID_VOTE_TYPE")
        self.stands(contestant_id)
        if not 1 <= vote_count <= self._max:
            raise Refusal("INVALID_VOTE_COUNT", f"The number of votes must be from 1 to {self._max}.")
        rule, rules = found
        if self._show.rehearsal and any(isinstance(one, DebitRule) for one in rules):
            raise Refusal("INVALID_VOTE_TYPE", "Votes that are paid for are not taken in a rehearsal.")
        category = self.categories.get(contestant_id, "")
        claims = tuple(self._claims(vote_type, vote_count, category, day))
        return Ruled(claims, rule.weight, rule.requires == "phone_verified")

    def stands(self, contestant_id: str) -> None:
        """Raises Refusal INVALID_CONTESTANT or CONTESTANT_ELIMINATED unless one may vote for the contestant."""
        status = self._contestants.get(contestant_id)
        if status is None:
            raise Refusal("INVALID_CONTESTANT")
        if status == "eliminated":
            raise Refusal("CONTESTANT_ELIMINATED")

    def day(self, at_ms: int) -> Day:
        """The show's day at `at_ms`, as far as these rules ask for it."""
        return ALWAYS if self._zone is None else day_of(at_ms, self._zone)

    def limits(self, day: Day = ALWAYS) -> tuple[Claim, ...]:
        """Every claim that answers show, at cost 0: which counters to read to know what a voter has left."""
        claims = {
            claim.shows: replace(claim, cost=0)
            for _, rules in self._types.values()
            for claim in (self._claim(rule, 0, "", day) for rule in rules)
            if claim.shows
        }
        return tuple(claims.values())

    def once(self, contestant_id: str) -> Claim | None:
        """The claim that a contestant can be voted for once only, if there is one: whose counter says so."""
        for _, rules in self._types.values():
            for rule in rules:
                if isinstance(rule, OnceRule) and rule.per == "contestant":
                    claim = self._claim(rule, 1, "", ALWAYS)
                    return replace(claim, counter=claim.counter + contestant_id, by_contestant=False)
        return None

    def _claims(self, vote_type: str, vote_count: int, category: str, day: Day) -> list[Claim]:
        """What a ballot takes, and a look at whatever else answers show from the books that it opens anyway."""
        _, rules = self._types[vote_type]
        taken = [self._claim(rule, vote_count, category, day) for rule in rules]
        named = {claim.shows for claim in taken}
        opened = {claim.scope for claim in taken} | {self.scope}
        return taken + [claim for claim in self.limits(day) if claim.shows not in named and claim.scope in opened]

    def _claim(self, rule: Rule, votes: int, category: str, day: Day) -> Claim:
        if isinstance(rule, DebitRule):
            kind = PAID if rule.account == "paid" else BUNDLE
            return Claim(kind, _WALLET_FIELDS[kind], WALLET, votes, 0, 0, rule.code, rule.shows)
        if isinstance(rule, CapRule):
            return Claim(
                RATE, f"{rule.name}/", SHARD, votes, rule.limit, 0, rule.code, period_ms=rule.period_s * 1000,
                by_contestant=True,
            )
        scope, suffix, expiry_ms = self._book(rule.scope, day)
        per = {"": "", "contestant": "/", "category": f"/{category}"}[rule.per]
        cost = 1 if isinstance(rule, OnceRule) or rule.counts == "ballots" else votes
        limit = 1 if isinstance(rule, OnceRule) else rule.limit
        claim = Claim(
            COUNTER, f"#{rule.name}{suffix}{per}", scope, cost, limit, expiry_ms, rule.code,
            by_contestant=rule.per == "contestant",
        )
        if isinstance(rule, CounterRule):
            return replace(claim, shows=rule.shows)
        if isinstance(rule, RateRule | PaceRule):
            burst = rule.burst if isinstance(rule, PaceRule) else 0
            return replace(claim, kind=PACE if burst else RATE, period_ms=rule.period_s * 1000, burst=burst)
        return claim

    def _book(self, scope: str, day: Day) -> tuple[str, str, int]:
        """Which of the voter's books a scope is kept in, what it adds to a field's name there, and its expiry."""
        books = self._books
        if scope == "day":
            return f"{books}:day:{day.name}", "", day.end_ms + LATE_MS
        if scope == "show":
            return f"{books}:all", "", self.expiry_ms
        if scope == "round":
            return f"{books}:all", self._round, self.expiry_ms
        return self.scope, f"@{self._window.window_id}" if scope == "window" else "", self.expiry_ms


_WALLET_FIELDS: Final = {PAID: "paid", BUNDLE: "lots"}
