"""Voting over HTTP, for apps that hold no socket. A ballot goes the same way as one from a socket.

caller.py     one request as the ballot intake sees a session
limits.py     requests a minute of a user and of an address, in bounded memory
admission.py  who is let in: the token, then the limits
cursor.py     opaque, signed places in a voter's history
history.py    a voter's ballots as the ledger has them
tallies.py    the votes of the open window, read at most once a second
mobile.py     /api/v1/xfactor/voting/...: the mobile apps' API
shapes.py     its JSON, field by field
clips.py      /api/vote: clips in rounds
sql/          the statements, one a file
"""
