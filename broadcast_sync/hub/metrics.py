"""Counts of the hub. Hot paths add to plain integers; Prometheus reads them when it asks."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from time import monotonic
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from broadcast_sync.hub.closes import CLOSES
from broadcast_sync.hub.stalls import BUCKETS as STALL_BUCKETS
from broadcast_sync.hub.stalls import Stalls

BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Upper bounds of the fan-out histogram, seconds."""


class Counts:
    """What has happened since the hub was made. Single-threaded, as the hub is."""

    __slots__ = (
        "bad", "closes", "deliveries", "dropped_jobs", "errors", "fanout", "fanout_seconds", "floods", "opened",
        "overruns", "refused",
    )

    def __init__(self) -> None:
        self.opened = 0
        self.bad = 0
        self.floods = 0
        self.errors = 0
        self.deliveries = 0
        self.overruns = 0
        self.dropped_jobs = 0
        self.refused: Counter[int] = Counter()
        self.closes: Counter[int] = Counter()
        self.fanout = [0] * (len(BUCKETS) + 1)
        self.fanout_seconds = 0.0

    def closed(self, code: int) -> None:
        """Counts an end; codes that are not in the table (clients may send any) count as 0."""
        self.closes[code if code in CLOSES else 0] += 1

    def fanned_out(self, seconds: float) -> None:
        """Counts a message that has gone to its last socket, `seconds` after its publication."""
        self.fanout[bisect_left(BUCKETS, seconds)] += 1
        self.fanout_seconds += seconds


HUB: Final = "broadcast_sync_hub"
"""What the names of all these metrics begin with."""


def counting(type: str) -> dict[str, frozenset[str]]:
    """What would tell how many messages of a type have come, for an Exposition."""
    return {f"{HUB}_messages": frozenset({type})}


class HubCollector(Collector):
    """The hub's metrics for a Prometheus registry. `sockets`, `subscribers` and `messages` read live figures."""

    def __init__(
        self,
        counts: Counts,
        stalls: Stalls,
        sockets: Callable[[], int],
        subscribers: Callable[[], dict[str, int]],
        messages: Callable[[], dict[str, int]],
    ) -> None:
        self._counts = counts
        self._stalls = stalls
        self._sockets = sockets
        self._subscribers = subscribers
        self._messages = messages

    def collect(self) -> Iterator[Metric]:
        counts = self._counts
        yield GaugeMetricFamily(f"{HUB}_sockets", "Open sockets", value=self._sockets())
        yield _labelled(
            GaugeMetricFamily(f"{HUB}_subscribers", "Subscriptions", labels=["channel"]), self._subscribers()
        )
        yield _labelled(
            CounterMetricFamily(f"{HUB}_messages", "Messages received, by type", labels=["type"]), self._messages()
        )
        yield _labelled(
            CounterMetricFamily(f"{HUB}_closes", "Sockets closed, by code", labels=["code"]),
            {str(code): count for code, count in counts.closes.items()},
        )
        yield _labelled(
            CounterMetricFamily(f"{HUB}_refused", "Handshakes refused, by HTTP status", labels=["status"]),
            {str(status): count for status, count in counts.refused.items()},
        )
        for name, text, value in (
            (f"{HUB}_opened", "Sockets opened", counts.opened),
            (f"{HUB}_bad_messages", "Messages that could not be understood", counts.bad),
            (f"{HUB}_rate_limited", "Messages over the rate limit", counts.floods),
            (f"{HUB}_handler_errors", "Faults of message handlers", counts.errors),
            (f"{HUB}_deliveries", "Frames handed to sockets by the fan-out", counts.deliveries),
            (f"{HUB}_slice_overruns", "Fan-out slices that held the loop for twice their time", counts.overruns),
            (f"{HUB}_fanout_overflows", "Messages the fan-out had no room for", counts.dropped_jobs),
        ):
            yield CounterMetricFamily(name, text, value=value)
        yield _histogram(
            f"{HUB}_fanout_seconds", "From publication to the last socket's write", BUCKETS, counts.fanout,
            counts.fanout_seconds,
        )
        stalls = self._stalls
        yield _histogram(
            f"{HUB}_loop_stall_seconds", "Time the event loop was held in one go, a beat of 5 ms each",
            STALL_BUCKETS, stalls.buckets, stalls.seconds,
        )
        yield GaugeMetricFamily(
            f"{HUB}_loop_stall_max_seconds", "The longest of them in the last minute", value=stalls.longest(monotonic())
        )


def _histogram(name: str, text: str, bounds: Sequence[float], counts: Sequence[int], total: float) -> Metric:
    """`counts` has one for each bound and one for what is beyond the last."""
    family = HistogramMetricFamily(name, text)
    cumulated = zip((*map(str, bounds), "+Inf"), accumulate(counts), strict=True)
    family.add_metric([], list(cumulated), sum_value=total)
    return family


def _labelled(family: GaugeMetricFamily | CounterMetricFamily, values: dict[str, int]) -> Metric:
    for label, value in values.items():
        family.add_metric([label], value)
    return family
