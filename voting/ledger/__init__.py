"""From the shards' streams to PostgreSQL, exactly once, and back again to prove it.

migrate.py     brings a database to this program's schema; migrations/ holds the versions
store.py       the connection pool and the statements (sql/*.sql) of the ledger
entries.py     PURE: what the entries of a shard's stream say
rows.py        PURE: ballots as rows of PostgreSQL's binary COPY
reader.py      a shard's stream as batches of rows, one ahead of the writer
writer.py      the writer of one shard: stream -> COPY + watermark in one transaction
service.py     a node's writers, each under its lease
recount.py     counts the ledger's rows again and compares with the tally
account.py     a window's votes by type and contestant, accepted and voided
lag.py         how far the ledger is behind its streams
watch.py       lag and recount, looked at about once a second by the director
metrics.py     what the ledger shows to Prometheus
commands.py    `broadcast-sync recount`, `broadcast-sync migrate`
"""
