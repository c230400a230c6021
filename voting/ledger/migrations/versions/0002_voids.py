"""Voids, and partitions that are made without stopping anybody."""

from __future__ import annotations

from voting.ledger.migrations.upgrade import execute_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    execute_file(__file__)
