"""Where the load goes: a URL as host, port, path and the bytes of the handshake. Pure."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

KEY: Final = base64.b64encode(b"broadcast-sync-v")
"""Sec-WebSocket-Key (16 bytes, RFC 6455, 4.1). The same for every voice: it protects caches, not us."""
ACCEPT: Final = base64.b64encode(hashlib.sha1(KEY + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
_SCHEMES: Final = {"http": False, "ws": False, "https": True, "wss": True}


class Target(Struct, frozen=True):
    """A server. `netloc` is host and port as the Host header has them."""

    host: str
    port: int
    netloc: str
    secure: bool
    prefix: str

    @property
    def loopback(self) -> bool:
        """True if it is this machine for certain: a name other than localhost could be any."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def http(self, path: str = "") -> str:
        """The address of `path` over HTTP."""
        return f"{'https' if self.secure else 'http'}://{self.netloc}{self.prefix}{path}"

    def websocket(self, path: str) -> str:
        """The address of `path` over WebSocket."""
        return f"{'wss' if self.secure else 'ws'}://{self.netloc}{self.prefix}{path}"

    def handshake(self, path: str) -> bytes:
        """The opening handshake for `path`, without extensions: what is measured is the server's one shared frame."""
        return (
            f"GET {self.prefix}{path} HTTP/1.1\r\nHost: {self.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY.decode()}\r\n"
            "User-Agent: broadcast-sync-load\r\n\r\n"
        ).encode("ascii")


def parse_target(url: str) -> Target:
    """Reads http, https, ws or wss URLs. Raises ValueError with what was expected."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ValueError(f"{url}: expected a URL like http://127.0.0.1:8000")
    if parts.username is not None or not url.isascii() or any(c.isspace() for c in url):
        raise ValueError(f"{url}: expected a plain host and port")
    secure = _SCHEMES[parts.scheme]
    port = parts.port or (443 if secure else 80)
    return Target(parts.hostname, port, parts.netloc, secure, parts.path.rstrip("/"))
