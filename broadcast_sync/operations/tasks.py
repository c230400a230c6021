"""How many tasks the event loop has, for Prometheus: a number that grows and does not shrink is a leak."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

NAME: Final = "broadcast_sync_tasks"


class TaskCollector(Collector):
    """To be registered, and collected, in the running loop."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(NAME, "Tasks of the event loop", value=len(asyncio.all_tasks()))
