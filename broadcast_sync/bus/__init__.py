"""Valkey adapters: everything nodes share between the ledger's rows.

keys.py       the name of every key and channel; all carry the organisation
scripts.py    Lua scripts, loaded once and called by hash
connect.py    clients with one policy for timeouts and retries
leases.py     who is director, who writes a shard
pubsub.py     one node's subscription, reconnecting
scripts/*.lua one script a file, with a header of keys, arguments and result
"""
