"""The ledger's schema, version by version.

upgrade.py  runs alembic over asyncpg, one node at a time
env.py      hands alembic the connection of upgrade.py
versions/   a revision file and the .sql file it runs, by number
"""
