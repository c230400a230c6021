"""PURE: the rules of one window. A ballot becomes claims and a weight, or a refusal with its code."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from broadcast_sync.errors import Refusal
from broadcast_sync.show.model import Show, Window
from voting.ballot.claims import COUNTER, RATE, Claim
from voting.ballot.ruleset import RateRule, Rule, RulesetData

DAY_MS: Final = 86_400_000


class Ruled(Struct, frozen=True, gc=False):
    """A ballot that the rules allow, if the engine grants its claims. `weight` multiplies its votes."""

    claims: tuple[Claim, ...]
    weight: int


class WindowRules:
    """A ruleset applied to one window of one episode; made once a window, asked once a ballot."""

    def __init__(self, data: RulesetData, show: Show, window: Window) -> None:
        self._types: Final = {kind: (rule.weight, data.rules_of(kind)) for kind, rule in data.types.items()}
        self._max = data.max_vote_count
        self._contestants: Final = {contestant.id: contestant.status for contestant in window.contestants}
        self.scope: Final = f"{show.show_id}:{show.episode_ref}"
        """The scope of a voter's first book, which holds the first answers: the episode."""
        self.expiry_ms: Final = window.hard_closes_ms + data.keep_days * DAY_MS
        """Until when what a voter does in this window is remembered."""
        self.shown: Final = {
            kind: tuple(
                (index, rule.shows)
                for index, rule in enumerate(rules)
                if not isinstance(rule, RateRule) and rule.shows
            )
            for kind, (_, rules) in self._types.items()
        }
        """By vote type: (index of the claim, name) of each claim whose rest an answer shows."""

    def judge(self, contestant_id: str, vote_type: str, vote_count: int) -> Ruled:
        """What the ballot claims. Raises Refusal INVALID_VOTE_TYPE, INVALID_CONTESTANT, CONTESTANT_ELIMINATED or
        INVALID_VOTE_COUNT, in that order."""
        found = self._types.get(vote_type)
        if found is None:
            raise Refusal("INVALID_VOTE_TYPE")
        self.stands(contestant_id)
        if not 1 <= vote_count <= self._max:
            raise Refusal("INVALID_VOTE_COUNT", f"The number of votes must be from 1 to {self._max}.")
        weight, rules = found
        return Ruled(tuple([self._claim(rule, vote_count) for rule in rules]), weight)

    def stands(self, contestant_id: str) -> None:
        """Raises Refusal INVALID_CONTESTANT or CONTESTANT_ELIMINATED unless one may vote for the contestant."""
        status = self._contestants.get(contestant_id)
        if status is None:
            raise Refusal("INVALID_CONTESTANT")
        if status == "eliminated":
            raise Refusal("CONTESTANT_ELIMINATED")

    def limits(self) -> tuple[Claim, ...]:
        """Every claim that answers show, at cost 0: which counters to read to know what a voter has left."""
        claims = {
            claim.shows: claim
            for _, rules in self._types.values()
            for claim in (self._claim(rule, 0) for rule in rules)
            if claim.shows
        }
        return tuple(claims.values())

    def _claim(self, rule: Rule, cost: int) -> Claim:
        shared = rule.name, self.scope, cost, rule.limit, self.expiry_ms, rule.code
        if isinstance(rule, RateRule):
            return Claim(RATE, *shared, period_ms=rule.period_s * 1000)
        return Claim(COUNTER, *shared, rule.shows)
