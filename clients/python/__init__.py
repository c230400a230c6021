"""SDK for asyncio programs.

client.py     BroadcastSyncClient: what the show is, votes and cues
link.py       the connection under it: reconnects, AUTH, when to stop
connection.py when to try again, and how long to wait: pure
messages.py   frames -> messages with the wire's own Structs
requests.py   votes and cues that wait for their answer
positions.py  where we are in each channel: resume, duplicates
offset.py     the server's clock from PING and PONG
inbox.py      the bounded queue between the socket and whoever iterates
errors.py     what an awaited vote or cue can raise
control.py    signed cues over HTTP
post.py       one HTTP POST on asyncio streams
"""
