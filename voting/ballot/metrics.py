"""What the ballot intake counts, as a Prometheus collector. Plain integers: nothing is locked on the vote's path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

COUNTING: Final[dict[str, frozenset[str]]] = {
    f"broadcast_sync_{name}": frozenset()
    for name in ("ballots_accepted", "ballot_votes", "ballots_replayed", "ballot_batch_size")
}
"""The families that count votes. Refusals, and how long answers take, are load."""


class BallotMetrics(Collector):
    """Register with `registry.register(metrics)`."""

    def __init__(self) -> None:
        self.accepted = 0
        """Ballots acknowledged for the first time by this node."""
        self.votes = 0
        """Votes in them, weighted."""
        self.replayed = 0
        """Ballots whose first answer was given again."""
        self.refused: Final[Counter[str]] = Counter()
        """Ballots refused, by code."""
        self.waiting: Callable[[], int] = lambda: 0
        """Ballots that wait for the engine, in flight included."""
        self.batch_size: Final = Histogram(
            "broadcast_sync_ballot_batch_size", "Ballots in one script call.", registry=None,
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
        )
        self.answer_seconds: Final = Histogram(
            "broadcast_sync_ballot_answer_seconds", "Arrival of a batch's oldest frame until its answer.",
            registry=None, buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
        )

    def collect(self) -> Iterator[Metric]:
        for name, text, value in (
            ("ballots_accepted", "Ballots acknowledged for the first time.", self.accepted),
            ("ballot_votes", "Votes in accepted ballots, weighted.", self.votes),
            ("ballots_replayed", "Ballots whose first answer was given again.", self.replayed),
        ):
            yield CounterMetricFamily(f"broadcast_sync_{name}", text, value)
        refused = CounterMetricFamily("broadcast_sync_ballots_refused", "Ballots refused, by code.", labels=["code"])
        for code, count in sorted(self.refused.items()):
            refused.add_metric([code], count)
        yield refused
        yield GaugeMetricFamily("broadcast_sync_ballots_waiting", "Ballots that wait for the engine.", self.waiting())
        yield from self.batch_size.collect()
        yield from self.answer_seconds.collect()
