"""Versions, complaints, waits and masks: the small rules of the engines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.engine.embedded import complaint
from broadcast_sync.engine.process import engine_at, environment
from broadcast_sync.engine.supervisor import FIRST_S, LONGEST_S, STEADY_S, backoff
from broadcast_sync.engine.valkey import version_of
from broadcast_sync.engine.versions import parse, told
from broadcast_sync.settings import mask_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [("7.2.4", (7, 2)), ("18.4 (Debian 18.4-1)", (18, 4)), ("16beta1", (16, 0)), ("6", (6, 0)), ("unknown", (0, 0))],
)
def test_versions_are_read(text: str, expected: tuple[int, int]) -> None:
    assert parse(text) == expected


def test_valkeys_own_version_is_the_true_one() -> None:
    assert version_of({"redis_version": "7.2.4", "valkey_version": "9.1.2"}) == "9.1.2"
    assert version_of({"redis_version": "6.2.1"}) == "6.2.1"


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("", "it said nothing"),
        (
            '2026-11-21 10:59:36.447 UTC [107] FATAL:  could not open "x"\n2026-11-21 10:59:36 UTC [107] LOG:  bye\n',
            'FATAL:  could not open "x"',
        ),
        ("107:M 21 Nov 2026 10:59:36.123 # Bad file format\n107:M 21 Nov 2026 10:59:36.124 * bye\n", "Bad file format"),
        ("\n*** FATAL CONFIG FILE ERROR (Version 9.1.2) ***\nCan't open the log: no\n", "Can't open the log: no"),
    ],
)
def test_the_line_that_says_why_is_found(output: str, expected: str) -> None:
    assert complaint(output) == expected


def test_an_error_is_told_in_one_line() -> None:
    assert told(OSError("a\n  b")) == "a b"
    assert told(TimeoutError()) == "TimeoutError"


@given(st.floats(0, 100), st.floats(0, 100))
def test_waits_are_bounded_and_end_when_it_is_well(previous_s: float, lived_s: float) -> None:
    wait_s = backoff(previous_s, lived_s)
    assert 0 < wait_s <= LONGEST_S
    assert wait_s >= min(previous_s, LONGEST_S) or lived_s >= STEADY_S
    assert backoff(previous_s, STEADY_S) == FIRST_S


def test_a_pid_of_somebody_else_is_never_an_engine(tmp_path: Path) -> None:
    assert engine_at(os.getpid(), "valkey-server", tmp_path) is None
    assert engine_at(os.getpid(), "python", tmp_path) is None
    assert engine_at(0x7FFF_FFFF, "postgres", tmp_path) is None
    assert engine_at(-1, "postgres", tmp_path) is None


def test_engines_get_no_setting_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROADCAST_SYNC__CONTROL__SECRET", "s")
    assert set(environment()) == {"PATH", "LC_ALL", "TZ"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pw@host:1/0", "redis://:********@host:1/0"),
        ("postgresql://u:p@ss/w@host/db", "postgresql://u:********@host/db"),
        ("postgresql://u@host/db?password=pw&x=1", "postgresql://u@host/db?password=********&x=1"),
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("postgresql://postgres@/db?host=/run", "postgresql://postgres@/db?host=/run"),
    ],
)
def test_passwords_are_masked(url: str, shown: str) -> None:
    assert mask_url(url) == shown
