"""All that talks to the server from outside; of the server it knows the wire alone.

python/   SDK for asyncio, signed cues over HTTP
web/      JavaScript SDK and the pages we serve
load/     the load generator, and the rehearsal with its voters
"""
