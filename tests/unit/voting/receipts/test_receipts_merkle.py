"""Merkle trees against the recursive definition of RFC 6962, and receipts against every change of a byte."""

from __future__ import annotations

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from broadcast_sync.errors import StartError
from broadcast_sync.signatures import Forged, Keyring, Signer, canonical
from results.verify import examine
from voting.receipts.merkle import leaf_hash, levels, node_hash, path, root_of
from voting.receipts.receipt import Answered, Tree, check

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNER, RING = Signer(KEY), Keyring([KEY.public_key()])


def mth(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1: the hash of a tree over data, by its definition."""
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\1" + mth(leaves[:split]) + mth(leaves[split:])).digest()


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=70))
def test_every_leaf_is_proved_and_only_where_it_stands(leaves: list[bytes]) -> None:
    tree = levels([leaf_hash(leaf) for leaf in leaves])
    assert tree[-1][0] == mth(leaves)
    for index, leaf in enumerate(leaves):
        proof = path(tree, index)
        assert root_of(leaf_hash(leaf), index, len(leaves), proof) == tree[-1][0]
        assert root_of(leaf_hash(leaf), index, len(leaves), [*proof, bytes(32)]) is None
        if proof:
            assert root_of(leaf_hash(leaf), index, len(leaves), proof[:-1]) is None
        for other in range(len(leaves)):
            if other != index and leaves[other] != leaf:
                assert root_of(leaf_hash(leaf), other, len(leaves), proof) != tree[-1][0]


def test_the_test_vectors_of_rfc_6962_implementations() -> None:
    """The empty leaf and the first trees of the Certificate Transparency test data."""
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    data = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657",
                                             "606162636465666768696a6b6c6d6e6f")]  # fmt: skip
    root = levels([leaf_hash(one) for one in data])[-1][0]
    assert root.hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_a_leaf_is_never_a_node() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(left + right) != node_hash(left, right)
    with pytest.raises(ValueError, match="needs a leaf"):
        levels([])


def answered(number: int = 7) -> Answered:
    return Answered(
        organisation="default", outcome="accepted", id=f"my-{number}", at="2026-11-21T20:15:00.123Z", window_id="w",
        contestant_id="ដារា", vote_type="free", vote_count=1, vote_id=f"{number:032x}",
    )


def issued(count: int) -> list[str]:
    tree = Tree([canonical(answered(number)) for number in range(count)])
    return tree.receipts(SIGNER.key_id, SIGNER.sign(tree.head(SIGNER.key_id)))


RECEIPTS = issued(11)


@pytest.mark.parametrize("count", [1, 2, 3, 11, 256])
def test_every_receipt_of_a_turn_is_valid(count: int) -> None:
    for number, receipt in enumerate(issued(count)):
        assert check(receipt, RING) == answered(number)


@given(st.integers(0, 10), st.data())
def test_any_byte_changed_in_a_receipt_is_noticed(which: int, data: st.DataObject) -> None:
    whole = RECEIPTS[which].encode()
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    try:
        assert examine(changed, RING).valid == (changed == whole)
    except StartError as error:
        assert error.exit_code == 2 and changed != whole


@given(st.integers(0, 10), st.integers(0, 10), st.integers(0, 4))
def test_no_part_of_another_receipt_fits(which: int, other: int, part: int) -> None:
    parts = RECEIPTS[which].split(".")
    parts[part] = RECEIPTS[other].split(".")[part]
    mixed = ".".join(parts)
    if mixed in RECEIPTS:
        assert check(mixed, RING)
    else:
        with pytest.raises(Forged):
            check(mixed, RING)


def test_a_certificates_signature_is_no_receipts() -> None:
    """What is signed names its own format, so one kind never stands for the other."""
    sealed = SIGNER.seal({"format": "broadcast-sync/certificate/1", "root": "x", "size": 1})
    prefix, key, leaf, proof, _ = RECEIPTS[0].split(".")
    with pytest.raises(Forged):
        check(".".join((prefix, key, leaf, proof, sealed["signature"])), RING)
    with pytest.raises(Forged):
        check(RECEIPTS[0], Keyring([Ed25519PrivateKey.generate().public_key()]))
