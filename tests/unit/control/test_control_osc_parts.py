"""Packets in a stream, and who may send how many."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc import slip

from broadcast_sync.control.osc import check_osc
from broadcast_sync.control.osc_frames import PACKET_BYTES, BadFrame, Frames
from broadcast_sync.control.osc_gate import LINES_BURST, SOURCES, Gate, Verdict
from broadcast_sync.errors import SettingsError, StartError
from broadcast_sync.settings import Osc

PACKETS = st.lists(st.binary(min_size=1, max_size=60).map(lambda rest: b"/" + rest), min_size=1, max_size=5)


def sized(packet: bytes) -> bytes:
    return len(packet).to_bytes(4, "big") + packet


def slipped_bare(packet: bytes) -> bytes:
    return slip.encode(packet)[1:]


@given(PACKETS, st.sampled_from([sized, slip.encode, slipped_bare]), st.integers(1, 7))
def test_packets_come_out_whole_however_the_stream_is_cut(packets: list[bytes], wrap: object, step: int) -> None:
    assert callable(wrap)
    stream, frames, found = b"".join(wrap(packet) for packet in packets), Frames(), []
    for at in range(0, len(stream), step):
        found += frames.receive(stream[at : at + step])
    assert found == packets and not frames.partial
    assert frames.wrap(b"/ok") == (sized(b"/ok") if wrap is sized else slip.encode(b"/ok"))


@pytest.mark.parametrize("stream", [
    b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"\0\1\0\0", (PACKET_BYTES + 1).to_bytes(4, "big"),
    b"\xc0" + bytes(2 * PACKET_BYTES + 1), b"/a\xdb\0\xc0",
])
def test_a_stream_that_cannot_be_read(stream: bytes) -> None:
    with pytest.raises(BadFrame):
        Frames().receive(stream)


def test_a_packet_that_has_begun_is_held() -> None:
    frames = Frames()
    assert frames.receive(b"\0") == [] and frames.partial
    assert frames.receive(b"\0\0\4/a\0") == [] and frames.partial
    assert frames.receive(b"\0\0\0\0\4/b\0\0") == [b"/a\0\0", b"/b\0\0"] and not frames.partial


def test_the_list_of_addresses() -> None:
    gate = Gate(["192.168.10.0/24", "fd00::1"], 10, 100)
    allowed = ["192.168.10.7", "::ffff:192.168.10.7", "fd00::1"]
    assert [gate.allowed(address) for address in allowed] == [True] * 3
    assert not any(gate.allowed(address) for address in ("192.168.11.7", "127.0.0.1", "fd00::2", "", "elsewhere"))
    assert gate.judge("10.0.0.1", 0.0) is Verdict.STRANGER
    here = Gate([], 10, 100)
    assert here.allowed("127.0.0.1") and here.allowed("::1") and not here.allowed("192.168.10.7")


def test_a_flood_is_told_once_and_heard_again_when_it_slows_down() -> None:
    gate = Gate([], 10, 100)
    first = [gate.judge("127.0.0.1", 0.0) for _ in range(1_000)]
    assert first[:11] == [Verdict.PASS] * 10 + [Verdict.FLOOD_BEGINS] and set(first[11:]) == {Verdict.FLOOD}
    assert gate.judge("127.0.0.1", 0.11) is Verdict.PASS
    assert gate.judge("127.0.0.1", 0.12) is Verdict.FLOOD
    assert gate.judge("127.0.0.2", 0.12) is Verdict.PASS
    calm = [gate.judge("127.0.0.1", 5.0) for _ in range(12)]
    assert calm[9:] == [Verdict.PASS, Verdict.FLOOD_BEGINS, Verdict.FLOOD]


def test_all_together_have_a_limit_too() -> None:
    gate = Gate(["10.0.0.0/8"], 10, 25)
    verdicts = [gate.judge(f"10.0.0.{n % 10}", 0.0) for n in range(100)]
    assert verdicts.count(Verdict.PASS) == 25
    assert gate.judge("10.0.0.99", 0.0, cost=5) is Verdict.FLOOD_BEGINS


def test_a_line_a_source_and_reason_and_not_too_many_in_all() -> None:
    gate = Gate([], 10, 100)
    assert gate.worth_a_line("a", "flood", 0.0) and not gate.worth_a_line("a", "flood", 100.0)
    assert gate.worth_a_line("a", "malformed", 100.0)
    lines = sum(gate.worth_a_line(f"forged {n}", "stranger", 200.0) for n in range(5_000))
    assert lines == LINES_BURST
    assert len(gate._sources) == SOURCES


def test_a_port_that_others_could_reach_needs_a_list() -> None:
    check_osc(Osc())
    check_osc(Osc(enabled=True))
    check_osc(Osc(enabled=True, host="::1"))
    check_osc(Osc(enabled=True, host="0.0.0.0", allow=["192.168.10.0/24"]))
    with pytest.raises(SettingsError, match=r"osc\.allow.*0\.0\.0\.0"):
        check_osc(Osc(enabled=True, host="0.0.0.0"))
    with pytest.raises(StartError, match=r"osc\.allow.*not-an-address"):
        check_osc(Osc(allow=["not-an-address"]))
