"""Whatever a client of the cable says: an answer or none, never a fault of ours."""

from __future__ import annotations

from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync import settings as sections
from broadcast_sync.clock import EngineClock
from broadcast_sync.hub.cable import CableSession
from broadcast_sync.hub.hub import Hub
from broadcast_sync.hub.router import Router
from broadcast_sync.settings import Settings
from broadcast_sync.tokens import Tokens
from broadcast_sync.wire.cable import CABLE

SETTINGS = Settings(hub=sections.Hub(bad_messages=100_000, channels_per_socket=8))
KEY = Ed25519PrivateKey.generate()

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def as_json(values: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    return values.map(lambda value: msgspec.json.encode(value).decode())


params = st.fixed_dictionaries(
    {"channel": st.just("VotingChannel") | json_values},
    optional={"episode_id": json_values, "contestant_id": json_values, "note": st.integers(0, 9)},
)
identifiers = as_json(params) | as_json(json_values) | st.text(max_size=20)
actions = st.fixed_dictionaries(
    {"action": st.just("request_update") | json_values}, optional={"episode_id": json_values}
)
commands = st.fixed_dictionaries(
    {"command": st.sampled_from(["subscribe", "unsubscribe", "message", "x"]) | json_values, "identifier": identifiers},
    optional={"data": as_json(actions) | json_values},
)


class Deaf:
    """A connection that says nothing."""

    def send_close(self, code: int, reason: str) -> None: ...
    def ping(self) -> bool:
        return True

    def abort(self) -> None: ...


@given(st.lists(as_json(commands).map(str.encode) | as_json(json_values).map(str.encode) | st.binary(max_size=40)))
def test_nothing_that_is_said_is_a_fault(said: list[bytes]) -> None:
    hub = Hub(SETTINGS, EngineClock(), Router(), Tokens(SETTINGS, KEY), "n1")
    written: list[bytes] = []
    session = CableSession(hub, Deaf(), written.append, "s1", "/cable", "", CABLE, 0.0)
    session.open(None, 0)
    for payload in said:
        session.understand(payload, 0)
    assert session.is_open and session.close_code == 0
    assert all(made == b"" or made[0] == 0x81 for made in written)
    assert len(session._subscriptions) <= 8
    session.ended(1006)
    assert (len(hub.cable.addresses), hub.channels.counts()) == (0, {})
