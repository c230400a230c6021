from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.load.histogram import Histogram
from clients.load.load import Scenario, read_tokens
from clients.load.processes import split
from clients.load.report import Report, merged
from clients.load.target import parse_target
from clients.load.tokens import TokenFile
from clients.load.voters import FREE_VOTES, popularity, presses


@given(st.lists(st.integers(-5, 10**10), min_size=1, max_size=200), st.floats(0.1, 100))
def test_a_percentile_is_at_most_1_6_percent_too_high(values: list[int], percent: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    exact = max(0, sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1])
    found = histogram.percentile_ms(percent)
    assert found is not None
    assert exact <= round(found * 1000) <= max(exact + 1, exact * 1.017)


def test_no_values_have_no_percentile() -> None:
    assert Histogram().percentile_ms(50) is None


def test_histograms_add_up() -> None:
    one, other = Histogram(), Histogram()
    one.add(10)
    other.add(1_000_000)
    one.merge(other.counts)
    assert (one.total, one.percentile_ms(50)) == (2, 0.01)
    assert Histogram(one.counts).total == 2


@pytest.mark.parametrize(
    ("url", "loopback", "netloc", "secure"),
    [
        ("http://127.0.0.1:8000", True, "127.0.0.1:8000", False),
        ("ws://localhost:1/", True, "localhost:1", False),
        ("127.0.0.2:80", True, "127.0.0.2:80", False),
        ("https://[::1]/x/", True, "[::1]", True),
        ("http://0.0.0.0:1", False, "0.0.0.0:1", False),
        ("wss://votes.example", False, "votes.example", True),
        ("http://127.0.0.1.example", False, "127.0.0.1.example", False),
    ],
)
def test_targets(url: str, loopback: bool, netloc: str, secure: bool) -> None:
    target = parse_target(url)
    assert (target.loopback, target.netloc, target.secure) == (loopback, netloc, secure)


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "http://", "http://u:p@127.0.0.1", "http://127.0.0.1:99999", "http://a b"]
)
def test_what_is_no_target(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected|Port|port"):
        parse_target(url)


def test_addresses_of_a_target() -> None:
    target = parse_target("https://votes.example/live/")
    assert target.websocket("/voting/sync") == "wss://votes.example/live/voting/sync"
    assert target.http("/auth/guest") == "https://votes.example/live/auth/guest"
    assert target.handshake("/voting/sync").startswith(b"GET /live/voting/sync HTTP/1.1\r\nHost: votes.example\r\n")
    assert target.port == 443


@given(st.integers(1, 500), st.integers(1, 16), st.integers(1, 5_000))
def test_a_split_scenario_is_the_whole_scenario(sockets: int, processes: int, votes: int) -> None:
    tokens = tuple(str(number).encode() for number in range(sockets))
    whole = Scenario(parse_target("127.0.0.1"), "over", sockets, 1.0, 100.0, votes, tokens)
    parts = split(whole, processes)
    assert sum(part.votes for part in parts) == votes
    assert len(parts) <= processes and all(part.sockets == len(part.tokens) for part in parts)
    assert all(part.sockets and part.votes for part in parts)
    assert tuple(token for part in parts for token in part.tokens) == tokens
    assert [part.first for part in parts] == [sum(p.sockets for p in parts[:i]) for i in range(len(parts))]


def test_reports_add_up() -> None:
    latency = Histogram()
    latency.add(500)
    one = Report("closed", 2, 2, 1.0, 0.5, sent=10, acked=10, late=2, errors={"BUSY": 1}, latency_us=latency.counts,
                 board_spread_us=Histogram().counts)
    both = merged([one, one])
    assert (both.sockets, both.acked, both.errors, both.seconds, both.cpu_s) == (4, 20, {"BUSY": 2}, 1.0, 1.0)
    assert both.acked_per_second == 16.0 and not both.clean
    summary = both.summary()
    assert summary["loadCpuUsPerVote"] == 50_000.0
    ack_ms = summary["ackMs"]
    assert isinstance(ack_ms, dict) and 0.5 <= ack_ms["p99"] < 0.51


def test_token_files(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text('{"type":"AUTH","token":"a"}\n{"type":"AUTH","token":"b"}\n')
    assert read_tokens(file, 1) == (b'{"type":"AUTH","token":"a"}',)
    assert len(read_tokens(file, 9)) == 2
    file.write_text("eyJ0\n")
    with pytest.raises(ValueError, match="line 1"):
        read_tokens(file, 1)


async def test_a_token_file_starts_over_at_its_end(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("".join(f'{{"type":"AUTH","token":"{name}"}}\n' for name in "abc"))
    tokens = TokenFile(file)
    assert await tokens.take(2) == ["a", "b"]
    assert await tokens.take(2) == ["c", "a"]
    assert await tokens.take(9) == ["b", "c", "a"]
    file.write_text("\n")
    with pytest.raises(ValueError, match="no tokens"):
        TokenFile(file)


@given(st.integers(0, 2**32), st.integers(1, 7_200))
def test_voters_press_within_the_window_at_a_human_pace(seed: int, window_s: int) -> None:
    chance = random.Random(seed)
    liked = popularity(["c01", "c02", "c03"], {}, chance)
    plan = presses(liked, float(window_s), chance)
    assert len(plan) <= FREE_VOTES + 1
    assert all(0 <= press.at_s <= window_s and press.contestant_id in liked for press in plan)
    assert list(plan) == sorted(plan, key=lambda press: press.at_s)


def test_an_audience_votes_in_bursts_and_some_only_watch() -> None:
    chance = random.Random(4)
    liked = popularity([f"c{n}" for n in range(12)], {}, chance)
    plans = [presses(liked, 90.0, chance) for _ in range(2_000)]
    firsts = [plan[0].at_s for plan in plans if plan]
    assert 0.05 < sum(not plan for plan in plans) / 2_000 < 0.2
    assert 0.05 < sum(len(plan) > FREE_VOTES for plan in plans) / 2_000 < 0.2
    assert sum(at < 15 for at in firsts) > 0.35 * len(firsts)
    assert sum(at > 75 for at in firsts) > 0.2 * len(firsts)
    assert presses({}, 90.0, chance) == ()


def test_popularity_drifts() -> None:
    chance = random.Random(1)
    before = popularity(["a", "b"], {}, chance)
    after = popularity(["a", "c"], before, chance)
    assert set(after) == {"a", "c"} and after["a"] != before["a"] and min(after.values()) > 0
