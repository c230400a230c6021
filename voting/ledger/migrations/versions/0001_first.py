"""The ledger's first schema."""

from __future__ import annotations

from voting.ledger.migrations.upgrade import execute_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    execute_file(__file__)
