"""SDK for asyncio programs: README.md. What it does is in docs/sdk.md, beside what the JavaScript SDK does.

client.py         BroadcastSyncClient: what the show is, votes and cues, who is told
conversation.py   what is said on its connections: the parts below, put together
link.py           the connection under it: reconnects, silence, when to stop
connection.py     when to try again, how long to wait, when a connection is dead: pure
tokens.py         AUTH, and the next token in time
subscriptions.py  where we are in each channel: resume, gaps, duplicates, acknowledgements
messages.py       frames -> messages with the wire's own Structs
show.py           what is known of the show, message by message: pure
requests.py       votes and cues that wait for their answer
clock.py          the server's clock from PING and PONG, slewed
countdown.py      each second of the open window, by that clock
inbox.py          the bounded queue between the socket and whoever iterates
timers.py         timers by name
errors.py         what an awaited vote or cue can raise
control.py        signed cues over HTTP
post.py           one HTTP POST on asyncio streams
"""
