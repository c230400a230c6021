"""Where a request says that it comes from: its Host, its Origin, and the proxies it came by. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import urlsplit

from broadcast_sync.cors import named_origins
from broadcast_sync.errors import StartError

Headers: TypeAlias = "Sequence[tuple[bytes, bytes]]"
"""As they came, names in lower case."""

DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def values(headers: Headers, name: bytes) -> list[str]:
    """All values of a header, in order."""
    return [value.decode("latin-1").strip() for key, value in headers if key == name]


def host_allowed(headers: Headers, allowed: Sequence[str]) -> bool:
    """True if the request names one host and it is one of `allowed` (`*.example.org`: any below it), whatever its
    port. Without a list every request is."""
    if not allowed:
        return True
    hosts = values(headers, b"host")
    if len(hosts) != 1:
        return False
    try:
        name = urlsplit(f"//{hosts[0]}").hostname or ""
    except ValueError:
        return False
    return any(name == one or (one.startswith("*.") and name.endswith(one[1:])) for one in map(str.lower, allowed))


def origin_allowed(headers: Headers, allowed: Sequence[str]) -> bool:
    """True for a page of the very host it asks, for one of `allowed` (`*`: any), and for whoever names no Origin: apps
    and scripts need not, and browsers, which must, let no page leave it out."""
    origins = values(headers, b"origin")
    if not origins or "*" in allowed:
        return True
    if len(origins) > 1:
        return False
    origin = origins[0].lower()
    if origin in named_origins(allowed):
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    port = DEFAULT_PORTS.get(parts.scheme, "")
    hosts = [host.lower().removesuffix(port) for host in values(headers, b"host")]
    return bool(parts.netloc) and hosts == [parts.netloc.removesuffix(port)]


class Proxies:
    """The proxies whose X-Forwarded-For is believed; anybody else's is not even read."""

    def __init__(self, networks: Sequence[str]) -> None:
        """Raises StartError for what is no address and no network."""
        try:
            self._networks: list[IPv4Network | IPv6Network] = [ip_network(one, strict=False) for one in networks]
        except ValueError as error:
            raise StartError(f"hub.trusted_proxies: {error}; give addresses or networks, 10.0.0.0/8") from None

    def client(self, peer: str, headers: Headers) -> str:
        """The address of who asks: read from the nearest hop outwards, the first that is not one of the proxies. What
        a client may have put in front of it proves nothing."""
        if not self._networks or not self._trusts(peer):
            return peer
        nearest = peer
        for hop in reversed([hop for value in values(headers, b"x-forwarded-for") for hop in value.split(",")]):
            address = _address(hop)
            if address is None:
                break
            nearest = address
            if not self._trusts(address):
                break
        return nearest

    def _trusts(self, address: str) -> bool:
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def _address(hop: str) -> str | None:
    """An address of X-Forwarded-For, which some proxies write with its port."""
    text = hop.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return None
