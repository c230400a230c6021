"""The vocabulary of the protocol: what goes over the wire, and as which bytes.

times.py      milliseconds since 1970 <-> ISO 8601 UTC
delivery.py   the delivery class of each message type
client.py     messages that clients send
server.py     messages that the server sends
codecs.py     JSON and MessagePack
frames.py     RFC 6455 server frames
prepared.py   one message, encoded and framed once for everybody
"""
