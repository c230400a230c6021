"""PURE: what a receipt says, its text, and how it is checked.

    bsr1.KEY.LEAF.PROOF.SIGNATURE        each part after the first base64url without padding, KEY the key's id

LEAF is the canonical JSON of `Answered`; PROOF its index and the number of leaves (4 bytes each, big-endian) and the
hashes of its path; SIGNATURE is over `head` of the tree's root. A tree is one turn of a node and tells of no other.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

from broadcast_sync.signatures import Forged, Keyring, b64, canonical, unb64
from voting.receipts.merkle import HASH, leaf_hash, levels, path, root_of

PREFIX: Final = "bsr1"
FORMAT: Final = "broadcast-sync/receipt/1"
_place: Final = struct.Struct(">II")


class Answered(Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """What the server answered to one ballot. `id` is the client's own, `at` when its frame arrived. Accepted ballots
    have a `vote_id`, refused ones a `code`. `window_id` is empty when none was open, and in a replay of a first answer,
    which may be of an earlier window. The voter is not named: whoever holds the receipt may show it."""

    organisation: str
    outcome: Literal["accepted", "refused"]
    id: str
    at: str
    window_id: str
    contestant_id: str
    vote_type: str
    vote_count: int
    vote_id: str = ""
    code: str = ""


def head(key_id: str, root: bytes, size: int) -> bytes:
    """What is signed of a tree of `size` leaves."""
    return canonical({"format": FORMAT, "keyId": key_id, "root": b64(root), "size": size})


class Tree:
    """The tree over the leaves of one turn, still to be signed. ValueError without leaves."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._leaves = leaves
        self._levels = levels([leaf_hash(leaf) for leaf in leaves])

    def head(self, key_id: str) -> bytes:
        """What is to be signed."""
        return head(key_id, self._levels[-1][0], len(self._leaves))

    def receipts(self, key_id: str, signature: bytes) -> list[str]:
        """The receipt of each leaf, in order."""
        signed, size = b64(signature), len(self._leaves)
        return [
            ".".join((
                PREFIX, key_id, b64(leaf), b64(_place.pack(index, size) + b"".join(path(self._levels, index))), signed,
            ))
            for index, leaf in enumerate(self._leaves)
        ]


def check(text: str, ring: Keyring) -> Answered:
    """What a receipt proves. Raises Forged if it proves nothing."""
    parts = text.split(".")
    if len(parts) != 5 or parts[0] != PREFIX:
        raise Forged("is not a receipt")
    leaf, proof, signature = (unb64(part) for part in parts[2:])
    if len(proof) < _place.size or (len(proof) - _place.size) % HASH:
        raise Forged("has a proof that is cut off")
    index, size = _place.unpack_from(proof)
    beside = [proof[at : at + HASH] for at in range(_place.size, len(proof), HASH)]
    root = root_of(leaf_hash(leaf), index, size, beside)
    if root is None:
        raise Forged("has a proof that leads nowhere")
    ring.check(parts[1], signature, head(parts[1], root, size))
    try:
        return msgspec.json.decode(leaf, type=Answered)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Forged(f"is signed, and not of this version: {error}") from None
