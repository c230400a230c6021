"""Messages as blocks of an event stream, and the ids that come back."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.wire import server
from broadcast_sync.wire.events import EVENTS, event_id, parse_event_id
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.times import iso

NOW = 1_795_292_100_123


def received(data: server.Data, channel: str, epoch: str, offset: int) -> Prepared:
    return Prepared.received(
        msgspec.json.encode(server.Envelope(data.TYPE, data, iso(NOW), channel, epoch, offset))
    )


def test_only_counted_messages_that_must_arrive_have_an_id() -> None:
    event = received(server.Warning_("1_MINUTE", 60), "show", "e1", 12)
    assert event.frame_for(EVENTS) == b"id: e1:12\ndata: " + event.json + b"\n\n"
    board = received(server.VoteUpdate([], 3), "results", "w1", NOW)
    assert board.frame_for(EVENTS) == b"data: " + board.json + b"\n\n"
    snapshot = Prepared.of(server.Warning_("1_MINUTE", 60), NOW, "show")
    assert snapshot.frame_for(EVENTS) == b"data: " + snapshot.json + b"\n\n"


def test_reconnect_sets_the_clients_own_waiting_time() -> None:
    data = server.Reconnect(1_234, "deploy")
    made = EVENTS.reply(server.Envelope(data.TYPE, data, iso(NOW)))
    assert made.startswith(b'retry: 1234\ndata: {"type":"RECONNECT"') and made.endswith(b"}\n\n")


@given(st.dictionaries(st.text(), st.text(), max_size=4), st.sampled_from([None, 2]))
def test_a_message_is_one_line_however_its_json_was_written(code: dict[str, str], indent: int | None) -> None:
    text = msgspec.json.encode(code).decode()
    written = msgspec.json.format(msgspec.json.encode({"type": "WARNING", "data": code, "timestamp": text}), indent=2)
    made = Prepared.received(written.replace(b"\n", b"\r\n" if indent else b"\n")).frame_for(EVENTS)
    assert made.count(b"\n") == 2 and made.endswith(b"\n\n") and b"\r" not in made
    assert msgspec.json.decode(made[6:])["data"] == code


@given(st.text("0123456789abcdef-", min_size=1, max_size=64), st.integers(0, 2**53 - 1))
def test_ids_come_back_as_they_went(epoch: str, offset: int) -> None:
    found = parse_event_id(event_id(epoch, offset))
    assert found is not None and (found.epoch, found.offset) == (epoch, offset)


@given(st.text())
def test_no_text_is_too_strange_to_be_asked_about(text: str) -> None:
    found = parse_event_id(text)
    assert found is None or (0 <= found.offset < 2**53 and 0 < len(found.epoch) <= 64)
