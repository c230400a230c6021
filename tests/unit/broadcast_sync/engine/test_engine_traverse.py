"""Access control lists: the account gets in, and nobody else gains anything."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.engine.traverse import Entry, admitting, decode, encode, enters, make_readable, of_mode

ROOT = (0, 0)
modes = st.integers(0, 0o777)
uids = st.integers(1, 70_000)


@given(modes, uids, uids)
def test_the_account_enters_afterwards(mode: int, uid: int, gid: int) -> None:
    assert enters(admitting(of_mode(mode), uid), ROOT, uid, gid)


@given(modes, uids, uids, uids)
def test_nobody_else_gains(mode: int, uid: int, other: int, gid: int) -> None:
    if other != uid:
        before = of_mode(mode)
        assert enters(admitting(before, uid), ROOT, other, gid) == enters(before, ROOT, other, gid)


@given(modes, uids)
def test_admitting_twice_is_admitting_once(mode: int, uid: int) -> None:
    once = admitting(of_mode(mode), uid)
    assert admitting(once, uid) == once


@given(modes, uids)
def test_the_kernels_form_is_read_back(mode: int, uid: int) -> None:
    entries = admitting(of_mode(mode), uid)
    assert decode(encode(entries)) == entries


def test_a_plain_mode_is_judged_as_the_kernel_does() -> None:
    assert enters(of_mode(0o700), (5, 5), 5, 9)
    assert not enters(of_mode(0o677), (5, 5), 5, 9)
    assert enters(of_mode(0o710), (0, 9), 5, 9)
    assert not enters(of_mode(0o701), (0, 9), 5, 9)
    assert enters(of_mode(0o701), (0, 0), 5, 9)
    assert not enters(of_mode(0o700), (0, 0), 5, 9)


def test_the_mask_limits_a_named_user() -> None:
    entries = [*of_mode(0o700), Entry(0x02, 5, 1), Entry(0x10, 0xFFFF_FFFF, 0)]
    assert not enters(entries, ROOT, 5, 5)
    assert enters(admitting(entries, 5), ROOT, 5, 5)


def test_programs_are_made_readable_and_stay_programs(tmp_path: Path) -> None:
    (tmp_path / "share").mkdir(mode=0o700)
    (tmp_path / "share" / "data").write_text("")
    (tmp_path / "share" / "data").chmod(0o600)
    (tmp_path / "run").write_text("")
    (tmp_path / "run").chmod(0o700)
    make_readable(tmp_path)
    assert (tmp_path / "share").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "share" / "data").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o755
