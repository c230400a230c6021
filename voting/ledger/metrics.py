"""What the ledger shows to Prometheus, by organisation and shard."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

_LABELS: Final = ("organisation", "shard")

COUNTING: Final[dict[str, frozenset[str]]] = {"broadcast_sync_ledger_rows": frozenset()}
"""The families that count votes."""

WRITTEN: Final = Counter("broadcast_sync_ledger_rows", "Rows of votes committed to PostgreSQL", _LABELS)
OUTAGES: Final = Counter("broadcast_sync_ledger_outages", "Outages of an engine met by a writer", _LABELS)
STREAM_BYTES: Final = Gauge("broadcast_sync_ledger_stream_bytes", "Memory of the vote streams", ("organisation",))
STREAM_BUDGET: Final = Gauge(
    "broadcast_sync_ledger_stream_budget_bytes", "Memory the vote streams may take", ("organisation",)
)
STREAM_STATE: Final = Gauge(
    "broadcast_sync_ledger_stream_state", "0 OK, 1 alarm (half of the budget), 2 full (ballots refused)",
    ("organisation",),
)
STOPPED: Final = Gauge("broadcast_sync_ledger_stopped", "1 while a shard stands still at an entry", _LABELS)
