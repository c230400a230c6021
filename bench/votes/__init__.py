"""Acknowledged durable votes a second and what each costs, beside a floor, the bare script and a peer:
`python -m bench.votes`.

__main__.py      the command: options, the turns, the JSON
contenders.py    who takes part: each a context that runs, with its address and its processes
rounds.py        one scenario against one contender: the load's report and the CPU of every process
echo_server.py   the floor: the same hub, an ack at once
script.py        the bare script, without sockets and without our process; a command of its own as well
node_bullmq.mjs  the peer: Node, ws and BullMQ, three calls of the engine a vote
peer.py          installs the peer into bench/peers, or says why it could not
report.py        medians, and tables for the terminal and for docs/performance.md
"""
