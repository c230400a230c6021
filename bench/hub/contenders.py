"""Who takes part, and what a client of each says in its handshake."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from broadcast_sync.wire.codecs import MSGPACK

Kind = Literal["python", "node", "nginx"]


class Contender(Struct, frozen=True):
    """One row of the table. `headers` are what its clients add to the handshake; with `extension` the answer must
    agree to permessage-deflate, or the row would be about something else. The floor speaks no WebSocket at all."""

    name: str
    title: str
    kind: Kind = "python"
    path: str = "/"
    headers: tuple[str, ...] = ()
    extension: bool = False
    upgrade: bool = True

    def handshake(self, port: int) -> bytes:
        """The opening handshake's bytes; empty for a contender that wants none."""
        if not self.upgrade:
            return b""
        lines = (
            f"GET {self.path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", *self.headers, "", "",
        )
        return "\r\n".join(lines).encode()


HUB_PATH: Final = "/voting/results"
DEFLATE: Final = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
"""What browsers offer."""

FLOOR: Final = "floor"
CONTENDERS: Final = (
    Contender(FLOOR, "floor: bare uvloop `transport.write`", upgrade=False),
    Contender("hub", "this server's hub, JSON", path=HUB_PATH),
    Contender("hub-deflate", "this server's hub, JSON deflated", path=HUB_PATH, headers=(DEFLATE,), extension=True),
    Contender(
        "hub-msgpack", "this server's hub, MessagePack", path=HUB_PATH,
        headers=(f"Sec-WebSocket-Protocol: {MSGPACK.name}",),
    ),
    Contender("websockets", "websockets `broadcast()`"),
    Contender("starlette", "Starlette `send_text` under uvicorn"),
    Contender("node-ws", "Node ws, one prepared frame", kind="node"),
    Contender("nchan", "nchan in nginx", kind="nginx", path="/sub"),
)
BY_NAME: Final = {contender.name: contender for contender in CONTENDERS}
