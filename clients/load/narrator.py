"""What the rehearsal tells the terminal: one tidy line an event. Pure, but for `say`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime

from broadcast_sync.wire.server import BoardRow, LiveResults, ResultsReady, StateUpdate, WindowInfo
from clients.load.audience import Ledger

LOUD = "!" * 8


def say(what: str, words: str = "") -> None:
    """Prints one line with the time of day."""
    sys.stdout.write(f"{datetime.now():%H:%M:%S}  {what:<16}  {words}".rstrip() + "\n")
    sys.stdout.flush()


def on_stage(state: StateUpdate) -> str:
    """Who performs what, in a state with a performance."""
    performance = state.performance
    if performance is None:
        return ""
    who = next((one for one in state.contestants if one.id == performance.contestant_id), None)
    return f'{f"{who.number} {who.name}" if who else performance.contestant_id}, "{performance.song_name}"'


def lines_open(window: WindowInfo, remaining_s: float, voters: int) -> str:
    """An open window."""
    return f"{remaining_s:.0f} s, {len(window.contestants)} contestants, {voters} voters on the line"


def last_seconds(ledger: Ledger | None, board: LiveResults | None) -> str:
    """How it stands while the lines are open."""
    leader = board.results[0] if board is not None and board.results and board.total_votes else None
    ahead = f", {leader.contestant_name} leads with {leader.percentage} %" if leader else ""
    return f"{ledger.total if ledger else 0:,} votes acked{ahead}"


def closed(reason: str, ledger: Ledger | None) -> str:
    """A window that has closed."""
    if ledger is None:
        return reason
    refused = ", ".join(f"{code} {count}" for code, count in sorted(ledger.refused.items()))
    lost = f", {ledger.unconfirmed} without an answer" if ledger.unconfirmed else ""
    return f"{reason}; {ledger.total:,} votes acked{f', refused: {refused}' if refused else ''}{lost}"


def podium(rows: Sequence[BoardRow]) -> str:
    """The first three of a board."""
    return ", ".join(f"{row.rank} {row.contestant_name} {row.percentage} %" for row in rows[:3])


def certified(results: ResultsReady) -> tuple[str, str]:
    """A result: what it is, and its words."""
    words = f"{results.total_votes:,} votes; {podium(results.results)}"
    if not results.certified:
        return LOUD, f"NOT CERTIFIED: tally {results.total_votes:,}, ledger {results.ledger_total:,}; {words}"
    return "certified", words


def checked(ledger: Ledger, results: ResultsReady) -> tuple[str, str]:
    """Whether the result holds what was acked here: what to say, and the words. Votes beyond it are those of other
    people, those acked before this rehearsal came, and those whose ack was lost."""
    missing = ledger.missing(results)
    if missing:
        which = ", ".join(f"{count} of {one}" for one, count in sorted(missing.items()))
        return LOUD, f"MISMATCH: {ledger.total:,} acked, {sum(missing.values()):,} are NOT in the result ({which})"
    more = results.total_votes - ledger.total
    if more == 0:
        return "checked", f"{ledger.total:,} acked = {results.total_votes:,} certified"
    reasons = [f"{ledger.unconfirmed} of ours had no answer"] if ledger.unconfirmed else []
    reasons.append("other people voted too" if ledger.whole else "voting had begun before this rehearsal came")
    found = f"all {ledger.total:,} acked are in the {results.total_votes:,} certified"
    return "checked", f"{found}; {more:,} more: {', or '.join(reasons)}"
