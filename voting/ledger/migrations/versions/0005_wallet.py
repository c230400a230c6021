"""The wallet's journal, and the whole of a window's rules."""

from __future__ import annotations

from voting.ledger.migrations.upgrade import execute_file

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    execute_file(__file__)
