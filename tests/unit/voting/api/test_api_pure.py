from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from broadcast_sync.errors import Refusal
from broadcast_sync.signatures import Signer
from results.published import breakdown
from voting.api.caller import ballot_id
from voting.api.cursor import Cursors
from voting.api.limits import Buckets, network_of
from voting.api.shapes import TimeRemaining

KEY = Ed25519PrivateKey.generate()
CURSORS = Cursors(Signer(KEY), "org")
PLACE = UUID("019aa7b8-0000-7000-8000-000000000001")
NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)


def asking(**headers: str) -> Request:
    lines = [(name.replace("_", "-").lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "headers": lines, "query_string": b"", "method": "POST", "path": "/"})


# --- cursors ------------------------------------------------------------------------------------------------


@given(st.uuids(), NAMES)
def test_a_cursor_leads_its_owner_back(place: UUID, voter: str) -> None:
    assert CURSORS.read(voter, CURSORS.make(voter, place)) == place


@given(st.integers(0, 10**6), NAMES)
def test_a_cursor_that_was_changed_is_refused(seed: int, voter: str) -> None:
    cursor = CURSORS.make(voter, PLACE)
    at = seed % len(cursor)
    forged = cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
    with pytest.raises(Refusal, match="BAD_MESSAGE"):
        CURSORS.read(voter, forged)


@pytest.mark.parametrize("cursor", ["", "x", "=", "ក", "A" * 107, "/" * 20, CURSORS.make("anna", PLACE) + "A"])
def test_what_was_not_made_here_is_refused(cursor: str) -> None:
    with pytest.raises(Refusal, match="not one of yours"):
        CURSORS.read("anna", cursor)


@given(NAMES, NAMES)
def test_another_voters_cursor_is_refused(anna: str, ben: str) -> None:
    if anna != ben:
        with pytest.raises(Refusal, match="not one of yours"):
            CURSORS.read(ben, CURSORS.make(anna, PLACE))


def test_a_cursor_is_good_in_its_organisation_and_under_its_key_alone() -> None:
    cursor = CURSORS.make("anna", PLACE)
    for other in (Cursors(Signer(KEY), "other"), Cursors(Signer(Ed25519PrivateKey.generate()), "org")):
        with pytest.raises(Refusal):
            other.read("anna", cursor)
    assert Cursors(Signer(KEY), "org").read("anna", cursor) == PLACE


# --- limits -------------------------------------------------------------------------------------------------


def test_a_bucket_gives_its_minute_at_once_and_then_by_time() -> None:
    buckets = Buckets(50, 100)
    assert all(buckets.take("anna", 1_000.0) == 0.0 for _ in range(50))
    assert buckets.take("anna", 1_000.0) == pytest.approx(1.2)
    assert buckets.take("ben", 1_000.0) == 0.0
    # what is refused costs nothing, so the wait that was told is the wait
    assert all(buckets.take("anna", 1_000.5) > 0 for _ in range(500))
    assert buckets.take("anna", 1_001.3) == 0.0


def test_buckets_are_bounded_and_forget_who_was_away_longest() -> None:
    buckets = Buckets(1, 100)
    for number in range(100):
        assert buckets.take(f"u{number}", 0.0) == 0.0
    assert buckets.take("u0", 0.0) > 0
    for number in range(100, 199):
        assert buckets.take(f"u{number}", 0.0) == 0.0
    assert len(buckets) == 100
    assert buckets.take("u0", 0.0) > 0, "it asked lately"
    assert buckets.take("u1", 0.0) == 0.0, "it was forgotten, and begins afresh"


@pytest.mark.parametrize(("host", "network"), [
    ("203.0.113.7", "203.0.113.7"),
    ("2001:db8:1:2:3:4:5:6", "2001:0db8:0001:0002"),
    ("2001:db8:1:2::1", "2001:0db8:0001:0002"),
    ("::ffff:203.0.113.7", "203.0.113.7"),
    ("testclient", "testclient"),
])  # fmt: skip
def test_what_an_address_counts_by(host: str, network: str) -> None:
    assert network_of(host) == network


# --- ids and shapes -----------------------------------------------------------------------------------------


def test_a_ballots_id_comes_from_the_body_or_the_header() -> None:
    assert ballot_id(asking(), "b1", 0) == "b1"
    assert ballot_id(asking(Idempotency_Key="b1"), None, 0) == "b1"
    assert ballot_id(asking(Idempotency_Key='"b1"'), "b1", 0) == "b1"
    assert UUID(ballot_id(asking(), None, 0)) != UUID(ballot_id(asking(), None, 0))


@pytest.mark.parametrize(("header", "body"), [("b2", "b1"), ("", None), ("x" * 65, None), ("a\tb", None), ("é", None)])
def test_ids_that_differ_or_cannot_be_are_refused(header: str, body: str | None) -> None:
    with pytest.raises(Refusal, match="BAD_MESSAGE"):
        ballot_id(asking(Idempotency_Key=header), body, 0)


@given(st.integers(0, 10**7))
def test_time_remaining_adds_up(seconds: int) -> None:
    left = TimeRemaining.of(seconds)
    assert left.total_seconds == left.days * 86_400 + left.hours * 3_600 + left.minutes * 60 + left.seconds == seconds
    assert left.hours < 24 and left.minutes < 60 and left.seconds < 60


def test_a_breakdown_has_every_type_and_the_last_day() -> None:
    first = datetime(2026, 11, 21, 20, tzinfo=UTC)
    rows = [
        {"vote_type": kind, "hour": first + timedelta(hours=hour), "votes": votes}
        for kind, hour, votes in (("free", 0, 5), ("free", 30, 7), ("super", 30, 3), ("paid", 31, 1))
    ]
    made = breakdown(9, rows)
    assert made.by_type == {"free": 12, "paid": 1, "sms": 0, "super": 3}
    assert (made.total_votes, made.unique_voters) == (16, 9)
    assert [(hour.hour[11:13], hour.votes) for hour in made.by_hour] == [("02", 10), ("03", 1)]
    assert breakdown(0, []).by_hour == []
