"""Which results are public."""

from __future__ import annotations

from voting.ledger.migrations.upgrade import execute_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    execute_file(__file__)
