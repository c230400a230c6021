"""How a ballot becomes a counted vote.

ballot/   rules turn a ballot into claims; one script a batch takes them, all or none, and keeps the vote
ledger/   accepted ballots go from the engine's streams to PostgreSQL, each exactly once
wallet/   votes that have been bought: balances in the engine, a double-entry journal in PostgreSQL
rebuild/  from the ledger back into an engine that has lost its data
receipts/ a voter's proof of what was answered, signed many at a time, checked offline
"""
