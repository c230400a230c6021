"""Votes that have been bought: balances in the engine for speed, a double-entry journal in PostgreSQL for truth.

A balance changes in the engine only, in one script with what it pays for, and the script writes the change into the
shard's stream. From there the ledger writer brings it into the journal in the transaction of the votes beside it: so a
vote and its payment are journalled together, once, and a credit once.

transfers.py  PURE: what the entries of a stream move between accounts
journal.py    the journal's tables: written by the ledger writer, read for history and for rebuilding
wallet.py     a voter's balances, credits and history
rebuild.py    balances out of the journal, after the engine has lost its data
sweep.py      expires what nobody has touched, a duty of the director
commands.py   `broadcast-sync wallet`
scripts/      the Lua script;  sql/  the statements
"""
