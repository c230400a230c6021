"""What alembic runs for each upgrade: the connection is the one `migrate` opened, with its transaction."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
