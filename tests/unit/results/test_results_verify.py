"""A certificate, checked offline: any byte changed anywhere is noticed, and so are sums that lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import typer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from broadcast_sync.api import application
from broadcast_sync.errors import StartError
from broadcast_sync.operations.keys import Keys
from broadcast_sync.show.model import Ruleset, Show, Window
from broadcast_sync.signatures import Keyring, Signer, canonical
from broadcast_sync.wire.server import ContestantInfo
from results.certificate import certificate
from results.verify import examine, verify
from voting.ballot.gates import ShardFence
from voting.ballot.library import shipped
from voting.ledger.account import Account, Line

OPENS = 1_800_000_000_000
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNER = Signer(KEY)
RING = Keyring([KEY.public_key()])


def content() -> dict[str, Any]:
    """A certificate of a window with voided and refused ballots, not sealed yet."""
    rules = shipped()["xfactor"]
    people = (ContestantInfo("c1", 1, "Sok", "", "active"), ContestantInfo("c2", 2, "ដារា", "", "active"))
    window = Window(
        "01a0c1f5-0000-7000-8000-000000000001", OPENS, OPENS + 90_000, OPENS + 95_000,
        Ruleset(rules.name, rules.hash(), rules.words()), people,
    )  # fmt: skip
    fences = [
        ShardFence(0, "17-3", "17-3", {"c1": 5}, {"NO_FREE_VOTES": 3}),
        ShardFence(1, "17-9", "18-0", {"c1": 2, "c2": 1}, {}),
    ]
    ledger = Account((
        Line("c1", "free", 7, 7, 0, 0, OPENS, OPENS + 9), Line("c2", "free", 3, 3, 2, 2, OPENS + 5, OPENS + 95_000),
    ))
    return certificate(
        "default", Show("demo", 1, "Finale “ភាសា”", 7, people), window, msgspec.to_builtins(rules), fences, ledger,
        voters=4, at_ms=OPENS + 99_000, software="broadcast-sync test",
    )


SEALED = canonical(SIGNER.seal(content()))


def verdict_of(changed: dict[str, Any]) -> list[str]:
    return examine(canonical(SIGNER.seal(changed)), RING).faults


def test_a_sealed_certificate_is_valid_and_says_what_it_is() -> None:
    verdict = examine(SEALED, RING)
    assert verdict.valid and not verdict.faults and verdict.content["voided"] == {"c2": 2}
    assert examine(SEALED + b"\n", RING).valid


@given(at=st.integers(0, len(SEALED) - 1), byte=st.integers(0, 255))
def test_any_byte_changed_is_noticed(at: int, byte: int) -> None:
    changed = SEALED[:at] + bytes([byte]) + SEALED[at + 1 :]
    try:
        assert examine(changed, RING).valid == (changed == SEALED)
    except StartError as error:
        assert error.exit_code == 2 and changed != SEALED


@given(at=st.integers(0, len(SEALED)), extra=st.binary(min_size=1, max_size=3))
def test_nothing_can_be_put_in(at: int, extra: bytes) -> None:
    changed = SEALED[:at] + extra + SEALED[at:]
    try:
        assert not examine(changed, RING).valid or changed == SEALED + b"\n"
    except StartError as error:
        assert error.exit_code == 2


@given(at=st.integers(0, len(SEALED) - 1), length=st.integers(1, 40))
def test_nothing_can_be_taken_out(at: int, length: int) -> None:
    try:
        assert not examine(SEALED[:at] + SEALED[at + length :], RING).valid
    except StartError as error:
        assert error.exit_code == 2


def test_another_key_or_none_is_not_enough() -> None:
    stranger = Ed25519PrivateKey.generate()
    assert not examine(SEALED, Keyring([stranger.public_key()])).valid
    assert not examine(canonical(Signer(stranger).seal(content())), RING).valid
    unsigned = {**content(), "keyId": SIGNER.key_id}
    assert examine(canonical(unsigned), RING).faults == ["it has no signature"]


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("tallyTotal", 9, "tallyTotal is 9"),
        ("ledgerTotal", 7, "ledgerTotal is 7"),
        ("voidedTotal", 0, "voidedTotal is 0"),
        ("refusedTotal", 4, "refusedTotal is 4"),
        ("votesByType", {"free": {"c1": 8}}, "votesByType"),
        ("counts", {"c1": 8}, "recount says EQUAL"),
        ("recount", "DIFFERS", "the counts say EQUAL"),
        ("rulesHash", "00", "rulesHash"),
        ("closesAt", "2020-01-01T00:00:00.000Z", "closes before it opens"),
        ("firstVoteAt", "2020-01-01T00:00:00.000Z", "outside of the window"),
        ("ballots", "ten", "not a certificate of this version"),
    ],
)
def test_a_signature_does_not_excuse_what_does_not_add_up(name: str, value: object, fault: str) -> None:
    assert any(fault in found for found in verdict_of({**content(), name: value}))


app = typer.Typer()
app.command()(verify)


def run(*arguments: str | Path) -> tuple[int, str]:
    try:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    except StartError as error:
        return error.exit_code, str(error)
    return result.exit_code, result.output


def test_the_command_tells_valid_not_valid_and_unreadable_apart(tmp_path: Path) -> None:
    good, bad, junk = tmp_path / "good.json", tmp_path / "bad.json", tmp_path / "junk.json"
    good.write_bytes(SEALED)
    bad.write_bytes(SEALED.replace(b'"ballots":10', b'"ballots":11'))
    junk.write_bytes(b"\xff\x00")
    pem, jwks = tmp_path / "key.pem", tmp_path / "keys.json"
    pem.write_bytes(
        KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    jwks.write_bytes(msgspec.json.encode(SIGNER.jwks()))
    assert run(good, "--key", pem)[0] == run(good, "--keys-url", jwks)[0] == 0
    code, said = run(bad, "--key", pem, "--json")
    assert code == 1 and msgspec.json.decode(said)["valid"] is False
    for arguments in (
        (junk, "--key", pem), (tmp_path / "none", "--key", pem), (good, "--key", junk), (good, "--keys-url", junk),
        (good, "--key", pem, "--keys-url", jwks), (jwks, "--key", pem),
    ):
        assert run(*arguments)[0] == 2


async def test_the_keys_are_served_as_a_jwks() -> None:
    transport = httpx.ASGITransport(app=application(Keys(SIGNER).endpoints()))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        answer = await http.get("/api/v1/keys")
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert examine(SEALED, Keyring.of_jwks(answer.content)).valid
    assert answer.json()["keys"][0].keys() == {"kty", "crv", "x", "kid", "alg", "use"}
