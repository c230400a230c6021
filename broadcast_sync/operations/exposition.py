"""What `/metrics` shows: everything that is registered, but for what would tell how many votes have been counted while
the counts of a window are under an embargo. A figure that is withheld is not there; at the release it is back, whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

Counting: TypeAlias = "Mapping[str, frozenset[str]]"
"""Families that count votes, by name: the values of their one label that do, or nothing for the whole of it."""


class Exposition:
    """As a registry for `generate_latest`. `withholding` says whether this process must keep its counts to itself."""

    def __init__(self, registry: CollectorRegistry, counting: Counting, withholding: Callable[[], bool]) -> None:
        self._registry = registry
        self._counting = counting
        self._withholding = withholding

    def collect(self) -> Iterator[Metric]:
        counting = self._counting if self._withholding() else {}
        for family in self._registry.collect():
            if family.name not in counting:
                yield family
            elif counting[family.name]:
                yield _without(family, counting[family.name])


def _without(family: Metric, labels: frozenset[str]) -> Metric:
    told = Metric(family.name, family.documentation, family.type, family.unit)
    told.samples = [sample for sample in family.samples if labels.isdisjoint(sample.labels.values())]
    return told
