"""What the ledger shows to Prometheus, by organisation and shard."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

_LABELS: Final = ("organisation", "shard")

WRITTEN: Final = Counter("broadcast_sync_ledger_rows", "Rows of votes committed to PostgreSQL", _LABELS)
OUTAGES: Final = Counter("broadcast_sync_ledger_outages", "Outages of an engine met by a writer", _LABELS)
STOPPED: Final = Gauge("broadcast_sync_ledger_stopped", "1 while a shard stands still at an entry", _LABELS)
