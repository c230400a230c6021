"""Sockets: who is connected, what reaches them, and what they may send. Knows nothing of votes.

door.py       what every connection comes in by: HTTP with bounds on slow and large requests
admission.py  PURE: whether there is room for one more
provenance.py PURE: the host, the page and the proxies a request names
carrier.py    one connection that carries a session, as an asyncio protocol under uvicorn
endpoint.py   one as a WebSocket: handshake, bytes in, closing
events.py     one as an event stream, taken over by the door
events_request.py  PURE: what a request for it asks for
cable.py      one socket of an ActionCable app: subscriptions, actions
cable_feed.py from the hub's messages to those of VotingChannel; heartbeats
cable_views.py     PURE: the show as VotingChannel tells it
cable_addresses.py PURE: identifiers in use, one format each
inbound.py    PURE: RFC 6455 after the handshake: bytes -> messages, pongs, the closing handshake
compression.py  PURE: what is agreed with a client on permessage-deflate
session.py    one client: identity, channels, replies, refusals
outbox.py     PURE: what waits while a client does not read, by delivery class
channels.py   who is subscribed to what, and how far each has been served
fanout.py     one message to all subscribers of a channel, in slices
stalls.py     how long the loop is held, measured by the loop itself
router.py     a client's message to its registered handler
handlers.py   AUTH, SUBSCRIBE, UNSUBSCRIBE, PING, REQUEST_UPDATE
drain.py      everybody sent away, each in a time of their own
wheel.py      one timer for all sessions: pings, deadlines, token expiry
limits.py     PURE: how often is too often
closes.py     the table of close codes, with advice on reconnecting
metrics.py    counts of the hub for Prometheus
hub.py        puts these together; what the rest of the process talks to
"""
