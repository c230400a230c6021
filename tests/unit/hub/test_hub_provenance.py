"""Hosts, origins and proxies, as headers tell of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.errors import StartError
from broadcast_sync.hub.provenance import Proxies, host_allowed, origin_allowed


def headers(**named: str | list[str]) -> list[tuple[bytes, bytes]]:
    return [
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, found in named.items() for value in ([found] if isinstance(found, str) else found)
    ]


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("tv.example", True), ("TV.example:8000", True), ("a.live.example", True), ("a.b.live.example:1", True),
        ("live.example", False), ("xlive.example", False), ("tv.example.evil", False), ("", False), ("[::1]:80", True),
        ("[::1", False), ("tv.example@evil", False), ([], False), (["tv.example", "evil"], False),
    ],
)
def test_hosts(host: str | list[str], allowed: bool) -> None:
    assert host_allowed(headers(host=host), ["tv.example", "*.live.example", "::1"]) is allowed
    assert host_allowed(headers(host=host), [])


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ([], "tv.example", True),
        ("https://tv.example", "tv.example", True),
        ("https://TV.example", "tv.example:443", True),
        ("http://tv.example:80", "tv.example", True),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", True),
        ("http://127.0.0.1:8001", "127.0.0.1:8000", False),
        ("https://evil.example", "tv.example", False),
        ("https://evil.example", [], False),
        ("https://tv.example.evil", "tv.example", False),
        ("null", "tv.example", False),
        ("null", "null", False),
        ("", "tv.example", False),
        ("http://[::1", "tv.example", False),
        (["https://tv.example", "https://evil.example"], "tv.example", False),
        ("https://partner.example", "tv.example", True),
        ("https://PARTNER.example", "tv.example", True),
        ("http://partner.example", "tv.example", False),
        ("https://partner.example:444", "tv.example", False),
    ],
)
def test_origins(origin: str | list[str], host: str | list[str], allowed: bool) -> None:
    named = headers(origin=origin, host=host)
    assert origin_allowed(named, ["https://partner.example/"]) is allowed
    assert origin_allowed(named, ["*"])


@pytest.mark.parametrize("origin", ["null", "file://"])
def test_a_page_from_a_file_names_no_host_and_is_let_in_by_its_name_alone(origin: str) -> None:
    """Chromium says `null`, older ones `file://`: that is where CasparCG keeps its templates."""
    named = headers(origin=origin, host="tv.example")
    assert not origin_allowed(named, ["https://partner.example"])
    assert origin_allowed(named, ["null", "file://"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1:4711", "10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "198.51.100.1, rubbish", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, rubbish, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", ", ,", "10.0.0.1"),
        ("", "198.51.100.1", ""),
    ],
)
def test_the_client_behind_proxies(peer: str, forwarded: str | list[str], client: str) -> None:
    assert Proxies(["10.0.0.0/8", "::1"]).client(peer, headers(x_forwarded_for=forwarded)) == client
    assert Proxies([]).client(peer, headers(x_forwarded_for=forwarded)) == peer


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_rubbish_is_nobody(forwarded: bytes, host: bytes) -> None:
    named = [(b"x-forwarded-for", forwarded), (b"host", host), (b"origin", host)]
    Proxies(["10.0.0.0/8"]).client("10.0.0.1", named)
    host_allowed(named, ["tv.example"])
    origin_allowed(named, [])


def test_a_proxy_that_is_none_stops_the_start() -> None:
    with pytest.raises(StartError, match=r"hub\.trusted_proxies.*10\.0\.0\.0/8"):
        Proxies(["nginx"])
