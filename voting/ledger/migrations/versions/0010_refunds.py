"""Voided votes come back to the wallets that paid for them."""

from __future__ import annotations

from voting.ledger.migrations.upgrade import execute_file

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    execute_file(__file__)
