"""The vocabulary of the protocol: what goes over the wire, and as which bytes.

times.py      milliseconds since 1970 <-> ISO 8601 UTC
delivery.py   the delivery class of each message type
visibility.py PURE: who may see counts, and the channels for those who may before others
client.py     messages that clients send
server.py     messages that the server sends
codecs.py     JSON and MessagePack
frames.py     RFC 6455 server frames
deflate.py    PURE: compression of messages, RFC 7692
formats.py    what a message looks like on the sockets of one kind: codec, frames, compression
events.py     PURE: messages as server-sent events, ids to resume by
cable.py      PURE: ActionCable's protocol, its messages and formats
prepared.py   one message, made once a format for everybody
"""
