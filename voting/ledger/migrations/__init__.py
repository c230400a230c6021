"""The ledger's schema, version by version.

env.py      hands alembic the connection of `voting.ledger.migrate`
versions/   a revision file and the .sql file it runs, by number
"""
