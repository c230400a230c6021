"""Rehearsals, and what the cue log says of cues that wait."""

from __future__ import annotations

from voting.ledger.migrations.upgrade import execute_file

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    execute_file(__file__)
