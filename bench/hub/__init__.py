"""What the hub costs and how soon it reaches everybody, beside its floor and its peers: `python -m bench.hub`.

__main__.py    the command: options, tables, the JSON
contenders.py  who takes part, and what a client of each says in its handshake
board.py       the message that everybody sends
servers.py     contenders in Python, each a process that sends when told
node_ws.mjs    the contender on Node
nginx.py       the contender in C
peers.py       installs the peers into bench/peers, or says why it could not
audience.py    a process of clients: raw sockets that count
stand.py       one contender with its audience: rounds, CPU, memory
process.py     what the kernel says of another process
fanout.py      all stands side by side, by turns
cues.py        cues to 15,000 sockets of a real server while votes come in
watchers.py    a process of sockets that note when each cue arrived
report.py      tables for the terminal and for docs/performance.md
"""
