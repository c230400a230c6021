"""Votes by voter."""

from __future__ import annotations

from voting.ledger.migrations.upgrade import execute_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    execute_file(__file__)
