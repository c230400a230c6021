"""What came of a load: counts, latencies, costs. Reports of several processes add up to one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct, field

from clients.load.histogram import Histogram

Mode = Literal["watch", "closed", "over"]


class Report(Struct, frozen=True, rename="camel"):
    """`seconds` is how long was measured, ramp and settling left out; `cpu_s` what this program used meanwhile.

    `acked` were counted by the server, `late` of them after the bell, so that they are left out of the rate;
    `unanswered` still had no answer at the end; `failures` are sockets that did
    not come up or were lost, by reason; `board_*` describe LIVE_RESULTS: how many arrived on all sockets together,
    and how far apart the first and the last socket got the same one.
    """

    mode: Mode
    sockets: int
    connected: int
    seconds: float
    cpu_s: float
    sent: int = 0
    acked: int = 0
    late: int = 0
    replayed: int = 0
    unanswered: int = 0
    mismatched: int = 0
    errors: dict[str, int] = {}
    failures: dict[str, int] = {}
    messages: dict[str, int] = {}
    received_bytes: int = 0
    boards: int = 0
    latency_us: list[int] = field(default_factory=list)
    board_spread_us: list[int] = field(default_factory=list)
    note: str = ""

    @property
    def acked_per_second(self) -> float:
        return (self.acked - self.late) / self.seconds if self.seconds else 0.0

    @property
    def clean(self) -> bool:
        """True if every socket came up and stayed, and every vote was taken."""
        return not (self.failures or self.errors or self.mismatched or self.unanswered or self.note)

    def summary(self) -> dict[str, object]:
        """As plain values: buckets as percentiles in milliseconds."""
        latency, spread = Histogram(self.latency_us), Histogram(self.board_spread_us)
        cpu = self.cpu_s * 1e6
        return {
            "mode": self.mode, "sockets": self.sockets, "connected": self.connected,
            "seconds": round(self.seconds, 3), "sent": self.sent, "acked": self.acked, "late": self.late,
            "ackedPerSecond": round(self.acked_per_second, 1), "replayed": self.replayed,
            "unanswered": self.unanswered, "mismatched": self.mismatched,
            "ackMs": {name: latency.percentile_ms(p) for name, p in PERCENTILES},
            "boards": self.boards, "boardSpreadMs": {name: spread.percentile_ms(p) for name, p in PERCENTILES},
            "errors": self.errors, "failures": self.failures, "messages": self.messages,
            "receivedBytes": self.received_bytes, "loadCpuS": round(self.cpu_s, 3),
            "loadCpuUsPerVote": round(cpu / self.acked, 2) if self.acked else None, "note": self.note,
        }


PERCENTILES = (("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("max", 100.0))


def merged(reports: Sequence[Report]) -> Report:
    """One report of several processes that ran the same scenario side by side."""
    latency, spread = Histogram(), Histogram()
    for report in reports:
        latency.merge(report.latency_us)
        spread.merge(report.board_spread_us)

    def total(name: str) -> int:
        return sum(getattr(report, name) for report in reports)

    def by_key(name: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for report in reports:
            for key, count in getattr(report, name).items():
                found[key] = found.get(key, 0) + count
        return found

    return Report(
        mode=reports[0].mode, sockets=total("sockets"), connected=total("connected"),
        seconds=max(report.seconds for report in reports), cpu_s=sum(report.cpu_s for report in reports),
        sent=total("sent"), acked=total("acked"), late=total("late"), replayed=total("replayed"),
        unanswered=total("unanswered"), mismatched=total("mismatched"), errors=by_key("errors"),
        failures=by_key("failures"), messages=by_key("messages"), received_bytes=total("received_bytes"),
        boards=total("boards"), latency_us=latency.counts, board_spread_us=spread.counts,
        note=next((report.note for report in reports if report.note), ""),
    )
