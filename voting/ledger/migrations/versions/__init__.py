"""One revision a file pair: NNNN_name.py (alembic's identifiers) and NNNN_name.sql (what it does)."""
