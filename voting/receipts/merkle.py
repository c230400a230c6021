"""PURE: Merkle trees as RFC 6962 (and 9162) has them: leaves and nodes are hashed with different prefixes, so that
neither can be passed off as the other."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

HASH: Final = 32
"""Bytes of a hash."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf."""
    return sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over two others."""
    return sha256(b"\1" + left + right).digest()


def levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """The tree over leaf hashes from the leaves up to the root; the last level has one hash. ValueError without leaves.

    A node without a neighbour goes up as it is, which is the same tree as the RFC's recursive definition.
    """
    if not leaves:
        raise ValueError("a tree needs a leaf")
    tree = [list(leaves)]
    while len(level := tree[-1]) > 1:
        above = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        tree.append(above if len(level) % 2 == 0 else [*above, level[-1]])
    return tree


def path(tree: Sequence[Sequence[bytes]], index: int) -> list[bytes]:
    """The inclusion proof of leaf `index`: its neighbours from the bottom up, those that it has."""
    found: list[bytes] = []
    for level in tree[:-1]:
        beside = index ^ 1
        if beside < len(level):
            found.append(level[beside])
        index >>= 1
    return found


def root_of(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """The root that the proof leads to from a leaf hash (RFC 9162, 2.1.3.2); None if a tree of `size` leaves has no
    such place or its proof another length."""
    if not 0 <= index < size:
        return None
    at, last, found = index, size - 1, leaf
    for beside in proof:
        if last == 0:
            return None
        if at & 1 or at == last:
            found = node_hash(beside, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, beside)
        at, last = at >> 1, last >> 1
    return found if last == 0 else None
