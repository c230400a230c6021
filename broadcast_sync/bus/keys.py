"""The name of every key and channel in Valkey. All carry the organisation; what must change together carries
one hash tag, so that a cluster keeps it in one slot."""

from __future__ import annotations

from hashlib import blake2b


def shard_of(voter: str, shards: int) -> int:
    """The shard of a voter: the same on every node and for ever while `shards` stays."""
    if shards == 1:
        return 0
    return int.from_bytes(blake2b(voter.encode(), digest_size=8).digest(), "big") % shards


class StageKeys:
    """Keys of an organisation's stage: its show, its cues, its results."""

    def __init__(self, organisation: str) -> None:
        tag = self._tag = f"bs:{{{organisation}}}"
        self.state = f"{tag}:stage"
        """String: the stage as JSON."""
        self.events = f"{tag}:stage:events"
        """Stream: every event of channel `show`, field `m` the JSON envelope."""
        self.acks = f"{tag}:stage:acks"
        """Prefix of strings: the first answer to each cue, by show, mode and cueId."""
        self.cues = f"{tag}:stage:cues"
        """Stream: every cue, taken or refused, on its way to the cue log."""
        self.channel = f"{tag}:show"
        """Pub/sub: events of channel `show`."""
        self.results_channel = f"{tag}:results"
        """Pub/sub: boards."""
        self.contestants_channel = f"{tag}:contestants"
        """Pub/sub: JSON object of what has changed for contestants, channel -> envelope."""
        self.control_channel = f"{tag}:control"
        """Pub/sub: tallies for control rooms."""
        self.canary_channel = f"{tag}:canary"
        self.board = f"{tag}:board"
        """String: the last LIVE_RESULTS as JSON envelope."""
        self.standing = f"{tag}:standing"
        """String: the last board whole, as MessagePack; results/standing.py has its form."""
        self.director = f"{tag}:lease:director"
        """Hash: the director's lease; its fencing number is in `...:fence`."""
        self.time = f"{tag}:time"
        """Hash: how the shared time differs from the engine's clock; bus/scripts/time_keep.lua has its fields."""
        self.nodes = f"{tag}:nodes"
        """Hash: node id -> its last report."""

    def rundown(self, due_id: str) -> str:
        """String: a rundown that waits for its date, as JSON."""
        return f"{self._tag}:rundown:{due_id}"

    def samples(self, window_id: str) -> str:
        """List: counts of a window as trends need them, oldest first; results/history.py has their form."""
        return f"{self._tag}:samples:{window_id}"

    def lease(self, tag: str, role: str) -> str:
        return f"bs:{{{tag}}}:lease:{role}"


class ShardKeys:
    """Keys of one shard of an organisation's voters: one hash tag, so one atomic script."""

    def __init__(self, organisation: str, shard: int) -> None:
        self.shard = shard
        self.tag = f"{organisation}:{shard:02d}"
        self._prefix = f"bs:{{{self.tag}}}"
        self.stream = f"{self._prefix}:votes"
        """Stream: accepted ballots, windows opened, fences; the ledger's source."""
        self.trimmed = f"{self._prefix}:votes:trimmed"
        """String: the id up to which the stream has been trimmed behind the ledger."""
        self.lease = f"{self._prefix}:lease:writer"

    def gate(self, window_id: str) -> str:
        """Hash: state (open, shut), opensMs, hardClosesMs, revision, opened, fence of a window in this shard."""
        return f"{self._prefix}:gate:{window_id}"

    def tally(self, window_id: str) -> str:
        """Hash: contestant id -> votes of a window in this shard."""
        return f"{self._prefix}:tally:{window_id}"

    def types(self, window_id: str) -> str:
        """Hash: vote type -> votes of a window in this shard."""
        return f"{self._prefix}:types:{window_id}"

    def voters(self, window_id: str) -> str:
        """HyperLogLog: the voters of a window in this shard."""
        return f"{self._prefix}:voters:{window_id}"

    def voided(self, window_id: str) -> str:
        """Hash: contestant id -> votes of the window that were taken off its tally in this shard."""
        return f"{self._prefix}:voided:{window_id}"

    def voided_ids(self, window_id: str) -> str:
        """Set: ids of the window's votes that are voided in this shard."""
        return f"{self._prefix}:voided:{window_id}:ids"

    def refused(self, window_id: str) -> str:
        """Hash: code -> attempts that were refused with it in a window."""
        return f"{self._prefix}:refused:{window_id}"

    def refusers(self, window_id: str) -> str:
        """Hash: node -> the number of its last report of refusals that was added to `refused`."""
        return f"{self._prefix}:refusers:{window_id}"

    def shared(self, window_id: str) -> str:
        """Hash: what all voters of this shard share in a window, by claim and contestant."""
        return f"{self._prefix}:shared:{window_id}"

    def book(self, scope: str, voter: str) -> str:
        """Hash: all that is remembered of a voter within `scope` (an episode, a day, all of a show): `#name` -> what
        is used of the claim `name`, `=id` -> the first answer to the client's ballot `id`, `!` -> when the book may be
        forgotten. A scope has two parts or more, the second never a voter's word, so that no two books meet."""
        return f"{self._prefix}:book:{scope}:{voter}"

    def wallet(self, voter: str) -> str:
        """Hash: `paid` -> votes that never expire, `lots` -> msgpack [expiry ms, lot, votes, ...], soonest first."""
        return f"{self._prefix}:wallet:{voter}"

    def credit(self, key: str) -> str:
        """String: the first answer to the credit with this idempotency key."""
        return f"{self._prefix}:credit:{key}"
