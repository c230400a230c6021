"""The load generator, and the rehearsal that shows a newcomer the product at work.

target.py     where to: URL -> host, port, handshake
frames.py     client frames ready to be written, server frames found in bytes: pure
histogram.py  latencies in logarithmic buckets: pure
crowd.py      what the voices of one process share and count
voices.py     one voice: a raw asyncio protocol, a few microseconds a vote
load.py       a scenario run in this process
report.py     what came of it
processes.py  a scenario split over processes
commands.py   `broadcast-sync load`
voters.py     how people vote: pure
operator.py   how a show runs, cue by cue: pure
tokens.py     where the voters' tokens come from
audience.py   the rehearsal's voters on real sockets, and their ledger
production.py the rehearsal at work
narrator.py   what the rehearsal says
rehearsal.py  `python -m clients.load.rehearsal`: the show that `make run` plays
"""
