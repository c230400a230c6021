"""PURE: the certificate of a window, and what must add up in one, whoever made it.

It is a flat JSON object, sealed as broadcast_sync/signatures.py says. `counts` are the engine's tally, `ledgerCounts`
the rows of the ledger counted again; both without what was voided. `votesByType`, `voters` and `voided` are the
ledger's.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import Struct

from broadcast_sync.show.model import Show, Window
from broadcast_sync.signatures import canonical
from broadcast_sync.wire.times import iso
from voting.ballot.gates import ShardFence
from voting.ledger.account import Account
from voting.ledger.recount import Comparison, added, compare

FORMAT: Final = "broadcast-sync/certificate/1"

Counts = dict[str, int]


class Certificate(Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """What is known of a window whose ledger has been drained to its fences and counted again. Times are ISO 8601,
    the first and last vote's empty without any; `rules` is the whole ruleset that `rules_hash` is the SHA-256 of, null
    if the certifying node did not have it."""

    format: str
    organisation: str
    show_id: str
    episode: int
    title: str
    window_id: str
    opens_at: str
    closes_at: str
    hard_closes_at: str
    ruleset: str
    rules_hash: str
    rules: dict[str, Any] | None
    contestants: list[str]
    counts: Counts
    ledger_counts: Counts
    votes_by_type: dict[str, Counts]
    voided: Counts
    refused: Counts
    tally_total: int
    ledger_total: int
    voided_total: int
    refused_total: int
    ballots: int
    voided_ballots: int
    first_vote_at: str
    last_vote_at: str
    fences: list[dict[str, Any]]
    recount: Comparison
    certified_at: str
    software: str
    key_id: str = ""
    voters: int | None = None
    """Different voters with a vote that counts; certificates of before this was counted have none."""


class SealedCertificate(Certificate, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """A certificate as it goes out: `signature` is over the canonical bytes of everything else, by the key `key_id`."""

    signature: str


def certificate(
    organisation: str,
    show: Show,
    window: Window,
    rules: dict[str, Any] | None,
    fences: Sequence[ShardFence],
    ledger: Account,
    voters: int,
    *,
    at_ms: int,
    software: str,
) -> dict[str, Any]:
    """The certificate as plain data, not sealed yet."""
    tally, refused = added([fence.tally for fence in fences]), added([fence.refused for fence in fences])
    counted, voided = ledger.counts(), ledger.voided()
    made: dict[str, Any] = msgspec.to_builtins(Certificate(
        format=FORMAT, organisation=organisation, show_id=show.show_id, episode=show.episode, title=show.title,
        window_id=window.window_id, opens_at=iso(window.opens_ms), closes_at=iso(window.closes_ms),
        hard_closes_at=iso(window.hard_closes_ms), ruleset=window.ruleset.name, rules_hash=window.ruleset.hash,
        rules=rules, contestants=[person.id for person in window.contestants],
        counts=tally, ledger_counts=counted, votes_by_type=ledger.by_type(), voided=voided, refused=refused,
        tally_total=sum(tally.values()), ledger_total=sum(counted.values()), voided_total=sum(voided.values()),
        refused_total=sum(refused.values()), ballots=ledger.ballots, voided_ballots=ledger.voided_ballots,
        first_vote_at=_time(ledger.first_ms), last_vote_at=_time(ledger.last_ms),
        fences=[{"shard": fence.shard, "lastId": fence.last_id} for fence in fences],
        recount=compare(tally, counted, True), certified_at=iso(at_ms), software=software,
        voters=voters,
    ))
    del made["keyId"]  # the seal's
    return made


def _time(ms: int | None) -> str:
    return "" if ms is None else iso(ms)


def contradictions(content: Certificate) -> list[str]:
    """What in a certificate does not agree with the rest of it, in plain words; empty when all does."""
    tally, ledger = content.counts, content.ledger_counts
    equal = compare(tally, ledger, True)
    by_type = added(list(content.votes_by_type.values()))
    sums = {
        "tallyTotal": (content.tally_total, tally),
        "ledgerTotal": (content.ledger_total, ledger),
        "voidedTotal": (content.voided_total, content.voided),
        "refusedTotal": (content.refused_total, content.refused),
    }
    found = [
        f"{name} is {total:,}, its parts add up to {sum(parts.values()):,}"
        for name, (total, parts) in sums.items()
        if total != sum(parts.values())
    ]
    if compare(by_type, ledger, True) != "EQUAL":
        found.append("votesByType does not add up to ledgerCounts")
    counting = content.ballots - content.voided_ballots
    if content.voters is not None and not min(1, counting) <= content.voters <= counting:
        found.append(f"there are {content.voters:,} voters with {counting:,} ballots that count")
    if content.recount != equal:
        found.append(f"recount says {content.recount}, the counts say {equal}")
    if content.rules is not None and sha256(canonical(content.rules)).hexdigest() != content.rules_hash:
        found.append("rulesHash is not the hash of rules")
    if not content.opens_at <= content.closes_at <= content.hard_closes_at:
        found.append("the window closes before it opens")
    votes = (content.opens_at, content.first_vote_at, content.last_vote_at, content.hard_closes_at)
    if content.first_vote_at and list(votes) != sorted(votes):
        found.append("a vote lies outside of the window")
    return found
