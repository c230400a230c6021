"""What a message lists of a long line-up, of a long result and of its certificate."""

from __future__ import annotations

from hashlib import sha256

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from broadcast_sync.show.excerpt import MOST, MOST_BYTES, excerpt, results_told
from broadcast_sync.show.machine import decide
from broadcast_sync.show.model import Show, Stage
from broadcast_sync.show.orders import Certify, CloseByTimer, ReleaseResults, StartShow
from broadcast_sync.show.views import state_update, window_info
from broadcast_sync.signatures import canonical
from broadcast_sync.wire.server import BoardRow, ContestantInfo, ResultsReady
from tests.support.stages import NOW, after, on_air, open_voting, results_of


def line_up(count: int, name: str = "ញឹម បុប្ផា", photo: str = "/photos/c.svg") -> tuple[ContestantInfo, ...]:
    return tuple(ContestantInfo(f"k{n:04d}", n, name, photo, "active", name) for n in range(1, count + 1))


def result(count: int) -> ResultsReady:
    rows = [BoardRow(f"k{n:04d}", f"Name {n}", "", count - n, "1", 0.1, n, 0, "stable") for n in range(count)]
    counts = {row.contestant_id: row.vote_count for row in rows}
    certificate = {"windowId": "w1", "counts": counts, "ledgerCounts": counts, "voters": 7, "recount": "EQUAL"}
    return ResultsReady("w1", rows, sum(counts.values()), True, sum(counts.values()), certificate)


@given(st.integers(0, 2 * MOST), st.text(max_size=300), st.sampled_from(["", f"https://tv.example/{'p' * 490}"]))
def test_a_list_is_as_long_as_it_may_be_and_no_longer(count: int, name: str, photo: str) -> None:
    everybody = line_up(count, name, photo)
    listed = excerpt(everybody)
    assert tuple(listed) == everybody[: len(listed)]
    assert len(listed) <= MOST and len(msgspec.json.encode(listed)) <= MOST_BYTES
    if len(listed) < min(count, MOST):
        assert len(msgspec.json.encode(everybody[: len(listed) + 1])) > MOST_BYTES


def test_two_hundred_contestants_ride_along_and_five_thousand_do_not() -> None:
    for count, listed in ((200, 200), (5_000, MOST)):
        show = Show("long", 1, "L", 9, line_up(count))
        stage = after(after(Stage("default"), StartShow(show)), open_voting())
        told = state_update(stage)
        assert told.window is not None and told.show is not None and told.show.event == 9
        assert (len(told.contestants), len(told.window.contestants)) == (listed, listed)
        assert (told.contestant_count, told.window.contestant_count) == (count, count)
        assert stage.window is not None and len(stage.window.contestants) == count  # the stage itself has all
        assert window_info(stage, stage.window) == told.window
        assert len(msgspec.json.encode(told)) < 3 * MOST_BYTES


def test_a_long_result_names_the_best_and_where_its_certificate_is() -> None:
    whole = result(5_000)
    told = results_told(whole)
    assert told.results == whole.results[:MOST] and told.contestant_count == 5_000
    assert (told.total_votes, told.ledger_total, told.certified) == (whole.total_votes, whole.ledger_total, True)
    assert told.certificate == {
        "format": "broadcast-sync/certificate-summary/1", "windowId": "w1", "recount": "EQUAL", "voters": 7,
        "at": "/api/v1/results/w1/certificate", "sha256": sha256(canonical(whole.certificate)).hexdigest(),
    }  # fmt: skip
    assert len(msgspec.json.encode(told)) < 2 * MOST_BYTES


def test_a_result_that_fits_is_told_as_it_is() -> None:
    whole = result(200)
    told = results_told(whole)
    assert whole.contestant_count is UNSET and replace(told, contestant_count=UNSET) == whole


def test_a_release_tells_the_excerpt_and_keeps_the_whole() -> None:
    stage = after(after(on_air(), open_voting()), CloseByTimer("w1"), NOW + 90_000)
    long = replace(result(5_000), window_id="w1")
    certified = after(stage, Certify(long, False), NOW + 95_000)
    for decision in (
        decide(stage, Certify(long, True), NOW + 95_000), decide(certified, ReleaseResults(), NOW + 95_000),
    ):  # fmt: skip
        assert decision.stage.results == long
        [told] = [event for event in decision.events if isinstance(event, ResultsReady)]
        assert told == results_told(long)
    assert results_told(results_of("w1")).contestant_count == 0
