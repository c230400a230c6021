"""Boards as they were, for replay."""

from __future__ import annotations

from voting.ledger.migrations.upgrade import execute_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    execute_file(__file__)
