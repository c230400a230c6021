"""From the shards' streams to PostgreSQL, exactly once, and back again to prove it.

migrate.py     brings a database to this program's schema; migrations/ holds the versions
store.py       the connection pool and the statements (sql/*.sql) of the ledger
entries.py     PURE: what the entries of a shard's stream say
rows.py        PURE: ballots as rows of PostgreSQL's binary COPY
reader.py      a shard's stream as batches of rows, one ahead of the writer
writer.py      the writer of one shard: stream -> COPY + watermark in one transaction
service.py     a node's writers, each under its lease
recount.py     counts the ledger's rows again and compares with the tally
counter.py     counts an episode's votes again and again, a slice at a time
voids.py       votes that do not count any more; scripts/void_votes.lua takes them off the tally
pressure.py    how full the streams are, and when ballots must be refused
account.py     a window's votes by type and contestant, accepted and voided
lag.py         how far the ledger is behind its streams
watch.py       lag and recount, looked at about once a second by the director
metrics.py     what the ledger shows to Prometheus
void_command.py  `broadcast-sync void`
commands.py    `broadcast-sync recount`, `broadcast-sync migrate`
"""
