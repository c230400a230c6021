from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from broadcast_sync.operations.exposition import Exposition

COUNTING = {"ballots": frozenset[str](), "batch": frozenset[str](), "messages": frozenset({"VOTE"})}


def test_what_counts_votes_is_left_out_while_it_is_withheld_and_back_whole() -> None:
    registry = CollectorRegistry()
    ballots = Counter("ballots", "Taken", registry=registry)
    Histogram("batch", "Of a call", registry=registry).observe(7)
    messages = Counter("messages", "By type", ("type",), registry=registry)
    Gauge("sockets", "Open", registry=registry).set(3)
    for type, count in (("VOTE", 17), ("PING", 4)):
        messages.labels(type).inc(count)
    ballots.inc(17)
    withheld = True
    exposition = Exposition(registry, COUNTING, lambda: withheld)
    shown = generate_latest(exposition).decode()
    assert 'messages_total{type="PING"} 4.0' in shown and "sockets 3.0" in shown
    assert "VOTE" not in shown and "ballots" not in shown and "batch" not in shown
    withheld = False
    assert generate_latest(exposition) == generate_latest(registry)
