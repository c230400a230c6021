"""Who may see the counts of a window before its result is released."""

from __future__ import annotations

from voting.ledger.migrations.upgrade import execute_file

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    execute_file(__file__)
