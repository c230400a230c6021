"""Who won each slot of a season."""

from __future__ import annotations

from voting.ledger.migrations.upgrade import execute_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    execute_file(__file__)
